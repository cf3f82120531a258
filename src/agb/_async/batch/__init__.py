"""A function applied to many items, each in a session: on this machine, or by the workers of an executor."""
