# Generated from src/agb/_async/net/__init__.py by tools/unasync.py. Do not edit.
"""Connections to the service: the only package that imports httpx, httpcore, h11 or websockets."""
