# Generated from src/agb/_async/__init__.py by tools/unasync.py. Do not edit.
"""The asynchronous flavour, written by hand; ``_sync`` is generated from it."""
