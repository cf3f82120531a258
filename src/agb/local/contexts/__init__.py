"""Contexts: their store, their mounts in sessions, and the syncs between the two. Knows no HTTP."""
