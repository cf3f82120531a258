# Generated from src/agb/_async/modules/computer/__init__.py by tools/unasync.py. Do not edit.
"""The desktop of a session: mouse, keyboard, windows, applications, screen."""
