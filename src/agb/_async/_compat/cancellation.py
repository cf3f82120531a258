"""Cancellation, and work that it must not cut short: the asynchronous flavour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

CLEANUP_LIMIT = 30.0
"""Seconds that a clean-up may take; the caller's own deadline is usually over by then."""


async def checkpoint() -> None:
    """Raise the cancellation if the caller is in a scope that is cancelled already."""
    from anyio.lowlevel import checkpoint_if_cancelled

    await checkpoint_if_cancelled()


async def run_to_completion(function: Callable[[], Awaitable[T]], if_cancelled: Callable[[T], Awaitable[object]]) -> T:
    """Run ``function`` to its end whatever happens to the caller, and return what it gives.

    If the caller is cancelled meanwhile, or was before, ``if_cancelled`` gets the result, runs to its end too, and the
    cancellation goes on; should one of the two raise, that is the cancellation's cause. (Where only a scope is
    cancelled, an error of ``function`` itself is raised, and the cancellation comes with the caller's next wait.)
    """
    from anyio import get_cancelled_exc_class
    from anyio.lowlevel import checkpoint_if_cancelled

    result, cancelled = await _to_the_end(function)
    try:
        if cancelled is not None:
            raise cancelled
        await checkpoint_if_cancelled()
    except get_cancelled_exc_class() as cancellation:
        try:
            await _to_the_end(lambda: if_cancelled(result))
        except Exception as error:
            raise cancellation from error
        raise
    return result


async def shielded(function: Callable[[], Awaitable[T]]) -> T:
    """Run a clean-up to its end, with cancellation held back until then."""
    result, cancelled = await _to_the_end(function)
    if cancelled is not None:
        raise cancelled
    return result


async def _to_the_end(function: Callable[[], Awaitable[T]]) -> tuple[T, BaseException | None]:
    """Run ``function`` under a shield; return its result and the cancellation that came meanwhile, if any.

    anyio's shield holds back anyio's cancellation only. A native ``task.cancel()``, as ``asyncio.wait_for`` makes it,
    goes straight to the running task; so on asyncio the function runs in a task of its own, which is awaited.
    """
    import asyncio

    from anyio import CancelScope

    with CancelScope(shield=True):
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # trio, where the shield is enough
            return await function(), None
        return await _in_own_task(function)
    raise AssertionError("a shielded scope is left by its result or by an error")


async def _in_own_task(function: Callable[[], Awaitable[T]]) -> tuple[T, BaseException | None]:
    """Run ``function`` in a task of its own and wait for its end, however often the waiting is cancelled."""
    import asyncio

    cancelled: asyncio.CancelledError | None = None
    task = asyncio.ensure_future(_awaited(function))
    # asyncio.run ends by cancelling every task it can see; this one is awaited by another that it does see. The
    # function is meant for event loops of one's own (docs: "Extending"); a test holds us to what it does.
    asyncio._unregister_task(task)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and task.exception() is not None:
        raise cancelled from task.exception()
    return task.result(), cancelled


async def _awaited(function: Callable[[], Awaitable[T]]) -> T:
    return await function()


def is_foreign_cancellation(error: BaseException) -> bool:
    """Return whether this is a cancellation, but not of the task that caught it: of something that it waited for."""
    import asyncio

    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and not task.cancelling()
