"""The X display of a session: what it needs of the machine, its start, and the requests to the program that runs it."""
