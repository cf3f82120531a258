"""Adapters for frameworks, each an extra of its own, and the facade of a session that they are written for."""
