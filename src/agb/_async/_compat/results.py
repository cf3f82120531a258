"""The result of a context synchronization, and the marker of its method: the asynchronous flavour.

They have a module of their own, since a first call should not import it.
"""

from __future__ import annotations

from typing import TypeVar

from ...results.syncs import ContextSyncResult as ContextSyncAnswer

F = TypeVar("F")

__all__ = ["ContextSyncAnswer", "coroutine_function"]


def coroutine_function(function: F) -> F:
    """Return the function, which is a coroutine function already."""
    return function
