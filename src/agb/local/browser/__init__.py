"""Chromium in sessions: found on the machine, started in a session's sandbox, driven and ended. Knows no web server."""
