"""Programs that run inside a session: standard library only, no import from outside this directory.

Sandboxes show this directory as a whole, so a program may consist of several modules. A program that is one file is run
by its path. One that is a package is run by ``__main__``, with this directory as the package above it.
"""
