# Generated from tests/_async/__init__.py by tools/unasync.py. Do not edit.
"""Tests of one flavour: ``_sync`` is written by hand, ``_sync`` is generated from it."""
