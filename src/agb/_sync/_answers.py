"""What a sync gives, in the synchronous flavour; ``_async/_answers.py`` has the same name.

Programs written for agbcloud-sdk 0.12 await it.
"""

from ..results.syncs import AwaitableContextSyncResult as ContextSyncAnswer

__all__ = ["ContextSyncAnswer"]
