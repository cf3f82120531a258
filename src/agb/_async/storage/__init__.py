"""Contexts of an account: the service, transfers to pre-signed URLs, browser extensions."""
