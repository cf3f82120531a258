# Generated from tests/_async/__init__.py by tools/unasync.py. Do not edit.
"""Tests of the asynchronous flavour; those of the synchronous one are generated from them."""
