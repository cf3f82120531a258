"""The result of a context synchronization, and the marker of its method: the synchronous flavour.

In agbcloud-sdk 0.12 ``sync`` is a coroutine function. Programs await its result, and frameworks and mocks ask
`inspect.iscoroutinefunction` whether they have to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from ...results.syncs import AwaitableContextSyncResult as ContextSyncAnswer

F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["ContextSyncAnswer", "coroutine_function"]


def coroutine_function(function: F) -> F:
    """Mark a function that returns a finished coroutine as a coroutine function; calling it does not change.

    Python 3.11 has a marker for `asyncio.iscoroutinefunction` only; there `inspect.iscoroutinefunction`, which looks at
    the code of a function, still returns False.
    """
    if sys.version_info >= (3, 12):
        from inspect import markcoroutinefunction

        return markcoroutinefunction(function)
    from asyncio import coroutines

    function._is_coroutine = coroutines._is_coroutine  # type: ignore[attr-defined]
    return function
