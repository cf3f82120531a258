"""Connections to the service: the only package that imports httpx, httpcore, h11 or websockets."""
