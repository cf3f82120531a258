"""The desktop of a session: an X server, its window manager, and the program that serves requests about them.

The program holds one connection to the X server and speaks X through python-xlib, so an action costs no process. It
runs in the sandbox, not in the runtime: programs of a session can replace its X server by one that sends anything, and
only this program has to trust what the server sends.
"""
