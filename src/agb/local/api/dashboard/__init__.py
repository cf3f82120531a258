"""The dashboard: what a person sees of a runtime and can do there, at a host name of its own.

It is served at ``http://dashboard.localhost:PORT/`` only. A browser that was let in has a cookie, and a cookie is valid
for a whole origin; links by path, behind which are pages of programs in sessions, are on the origin of the API.
Browsers resolve names below ``localhost`` to loopback themselves.

Looking at a session here is not activity of it.
"""
