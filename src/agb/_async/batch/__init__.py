"""A function applied to many items, each in a session: on this machine or on an executor."""
