"""The error of a request that cannot be served."""

from __future__ import annotations


class DesktopError(Exception):
    """A request that fails; the message is a sentence for the caller."""
