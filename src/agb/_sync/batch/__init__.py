# Generated from src/agb/_async/batch/__init__.py by tools/unasync.py. Do not edit.
"""A function applied to many items, each in a session: on this machine, or by the workers of an executor."""
