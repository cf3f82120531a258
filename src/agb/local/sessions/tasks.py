"""Tasks that are ended before their time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end, also when the caller is cancelled meanwhile."""
    left = set(tasks)
    for task in left:
        task.cancel()
    was_cancelled = False
    while left:
        try:
            _, left = await asyncio.wait(left)
        except asyncio.CancelledError:
            was_cancelled = True
        left = {task for task in left if not task.done()}
    if was_cancelled:
        raise asyncio.CancelledError
