"""The desktop of a session: mouse, keyboard, windows, applications, screen."""
