"""Coroutine functions of 0.12 in classes that are synchronous otherwise: the synchronous flavour only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_worker_thread(function: Callable[[], T]) -> T:
    """Call a function that blocks in a thread, and return its result: the event loop goes on meanwhile."""
    from anyio.to_thread import run_sync

    return await run_sync(function)
