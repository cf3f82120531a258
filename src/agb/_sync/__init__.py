# Generated from src/agb/_async/__init__.py by tools/unasync.py. Do not edit.
"""One of the two flavours of the client: ``_sync`` is written by hand, ``_sync`` is generated from it."""
