"""The result of a context synchronization: the asynchronous flavour.

It has a module of its own, since a first call should not import it.
"""

from ...results.syncs import ContextSyncResult as ContextSyncAnswer

__all__ = ["ContextSyncAnswer"]
