"""Tests of the local runtime: what is below HTTP, and the server above it."""
