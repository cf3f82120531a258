"""Cancellation, and work that it must not cut short: the asynchronous flavour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

CLEANUP_LIMIT = 30.0
"""Seconds that a clean-up may take; the caller's own deadline has usually passed by then."""


async def checkpoint() -> None:
    """Raise the cancellation if the caller is in a scope that is cancelled already."""
    from anyio.lowlevel import checkpoint_if_cancelled

    await checkpoint_if_cancelled()


async def run_to_completion(function: Callable[[], Awaitable[T]], if_cancelled: Callable[[T], Awaitable[object]]) -> T:
    """Run ``function`` to its end even if the caller is cancelled, and return its result.

    If the caller is cancelled meanwhile, or was before, ``if_cancelled`` is called with the result, runs to its end
    too, and then the cancellation is raised; if one of the two raises, that error is the cancellation's cause. (Where
    only a scope is cancelled, an error of ``function`` itself is raised, and the cancellation comes with the caller's
    next checkpoint.)

    Invariant: ``function`` is called exactly once. Either its result is returned, or ``if_cancelled`` has received it,
    or ``function`` raised. No result is dropped, so all that ``function`` created on the service is owned by the caller
    or has been deleted. The check after the shield is needed because a cancelled anyio scope raises nothing inside a
    shield: without it, a caller that is cancelled already would receive the result and lose it at its next checkpoint.
    """
    from anyio import get_cancelled_exc_class
    from anyio.lowlevel import checkpoint_if_cancelled

    result, cancellation = await _run_shielded(function)
    try:
        if cancellation is not None:
            raise cancellation
        await checkpoint_if_cancelled()
    except get_cancelled_exc_class() as cancelled:
        try:
            await _run_shielded(lambda: if_cancelled(result))
        except Exception as error:
            raise cancelled from error
        raise
    return result


async def shielded(function: Callable[[], Awaitable[T]]) -> T:
    """Run a clean-up to its end, and raise a cancellation of the caller only then."""
    result, cancellation = await _run_shielded(function)
    if cancellation is not None:
        raise cancellation
    return result


async def _run_shielded(function: Callable[[], Awaitable[T]]) -> tuple[T, BaseException | None]:
    """Run ``function`` under a shield; return its result, and the native cancellation received meanwhile, if any.

    anyio's shield holds back anyio's cancellation only. A native ``task.cancel()``, as ``asyncio.wait_for`` makes it,
    is delivered to the object that the task awaits; so on asyncio the function runs in a task of its own, which is
    awaited.
    """
    import asyncio

    from anyio import CancelScope

    with CancelScope(shield=True):
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # trio, where the shield is enough
            return await function(), None
        return await _run_in_own_task(function)
    raise AssertionError("a shielded scope is left by its result or by an error")


async def _run_in_own_task(function: Callable[[], Awaitable[T]]) -> tuple[T, BaseException | None]:
    """Run ``function`` in a task of its own and wait for its end, however often the wait is cancelled.

    Invariant: this returns or raises only after the task has ended. ``asyncio.wait`` does not cancel what it waits for,
    so a cancellation of the caller interrupts the wait only; it is kept, and the wait begins again. It is not lost
    either: it is returned beside the result, or raised with the error of ``function`` as its cause.
    """
    import asyncio

    cancellation: asyncio.CancelledError | None = None
    task = asyncio.ensure_future(_awaited(function))
    # asyncio.run ends by cancelling every task that is registered; this one is awaited by another that is registered.
    # The function is meant for event loops of one's own (docs: "Extending"); a test checks that this works.
    asyncio._unregister_task(task)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None and task.exception() is not None:
        raise cancellation from task.exception()
    return task.result(), cancellation


async def _awaited(function: Callable[[], Awaitable[T]]) -> T:
    return await function()


def is_foreign_cancellation(error: BaseException) -> bool:
    """Return whether this is a cancellation, but of something that the current task waited for, not of the task."""
    import asyncio

    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and not task.cancelling()
