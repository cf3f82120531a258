"""The result of a context synchronization: the synchronous flavour.

Programs written for agbcloud-sdk 0.12 await it.
"""

from ...results.syncs import AwaitableContextSyncResult as ContextSyncAnswer

__all__ = ["ContextSyncAnswer"]
