"""The event loop, threads, and waiting: the asynchronous flavour."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from .cancellation import _awaited

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Wait; callers cap the time by their deadline."""
    import anyio

    await anyio.sleep(seconds)


def current_loop() -> object:
    """Return the running event loop, to which connections belong."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        if "trio" not in sys.modules:
            raise RuntimeError("no event loop is running; use agb.AGB in code that is not asynchronous") from None
    from trio.lowlevel import current_trio_token

    return current_trio_token()


def is_over(loop: Any) -> bool:
    """Return whether an event loop that `current_loop` returned has ended."""
    if hasattr(loop, "is_closed"):
        return bool(loop.is_closed())
    from trio import RunFinishedError

    try:
        loop.run_sync_soon(int)  # trio's token has no attribute for it
    except RunFinishedError:
        return True
    return False


class LoopEnd:
    """Lets a function run in the event loop at its end, when that still runs: connections are closed then.

    Event loops have no such event, but they close asynchronous generators that have not come to their end
    (``shutdown_asyncgens``, which `asyncio.run` and other runners call; trio does the same). The generator here begins,
    waits at its ``yield``, and is closed by its loop. It is closed as well when it is collected. The function is not
    asynchronous: a generator that begins at that time is one too many for asyncio.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._functions = [function]
        self._generator = _at_the_end(self._functions)
        with suppress(StopIteration):  # with what it yields
            self._generator.__anext__().send(None)

    def cancel(self) -> None:
        """Let nothing run, also when called in another loop or none."""
        self._functions.clear()
        with suppress(StopIteration, RuntimeError):  # its loop is closing it, in another thread
            self._generator.aclose().send(None)


async def _at_the_end(functions: list[Callable[[], object]]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        for function in functions:
            function()


def run_in_loop(loop: Any, function: Callable[[], Coroutine[Any, Any, object]]) -> bool:
    """Let another event loop call ``function`` soon if it runs; return whether it does. Called from any thread."""
    if is_over(loop) or not getattr(loop, "is_running", lambda: True)():
        return False
    if hasattr(loop, "is_running"):
        import asyncio

        coroutine = function()
        try:
            asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # it has ended just now
            coroutine.close()
            return False
        return True
    from trio.lowlevel import spawn_system_task

    loop.run_sync_soon(spawn_system_task, function)
    return True


def close_when_dropped(owner: object, pools: object) -> None:
    """Do nothing: connections of an event loop can only be closed in that loop."""
    del owner, pools


async def call(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a user's callback, and await its result if that is awaitable."""
    from inspect import isawaitable

    result = handler(*args)
    return await result if isawaitable(result) else result


def eager_start(function: Callable[[], Awaitable[object]]) -> None:
    """Do nothing: an attribute cannot await."""
    del function


async def run_in_background(function: Callable[[], Awaitable[T]], meanwhile: T) -> T:
    """Run ``function`` and return its result; this flavour has no tasks in the background, so the caller waits."""
    del meanwhile
    return await function()


async def in_thread(function: Callable[[], T]) -> T:
    """Run blocking work on files of this machine in a thread, so that it does not block the event loop."""
    from anyio.to_thread import run_sync

    return await run_sync(function)


def from_thread(function: Callable[[], Awaitable[T]]) -> T:
    """Run ``function`` on the event loop; called from a function that `in_thread` runs."""
    from anyio.from_thread import run

    return run(_awaited, function)


def thread_safe(function: Callable[[], object]) -> Callable[[], None]:
    """Return a function for any thread: this event loop calls ``function`` then, unless it has ended."""
    loop: Any = current_loop()
    call_soon = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon

    def schedule() -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it the waiter
            call_soon(function)

    return schedule


def run_in_new_loop(function: Callable[[], Awaitable[T]]) -> T:
    """Run ``function`` on an event loop of its own in a thread of its own, and return its result.

    For code that is not asynchronous, and may be called by a thread in which a loop runs.
    """
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal("asyncio") as portal:
        return portal.call(function)
