# Generated from src/agb/_async/storage/__init__.py by tools/unasync.py. Do not edit.
"""Contexts of an account: the service, transfers to pre-signed URLs, browser extensions."""
