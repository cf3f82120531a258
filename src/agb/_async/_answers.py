"""What a sync gives, in the asynchronous flavour; ``_sync/_answers.py`` has the same name.

It stands apart from ``_compat``, since a first call should not wait for it.
"""

from ..results.syncs import ContextSyncResult as ContextSyncAnswer

__all__ = ["ContextSyncAnswer"]
