"""The event loop, threads, and waiting: the asynchronous flavour."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from .cancellation import _awaited

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Wait; always for a time that a deadline has capped."""
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
    """Return whether an event loop that `current_loop` gave has ended."""
    if hasattr(loop, "is_closed"):
        return bool(loop.is_closed())
    from trio import RunFinishedError

    try:
        loop.run_sync_soon(int)  # trio's token has no other way to tell
    except RunFinishedError:
        return True
    return False


def close_when_dropped(owner: object, pools: object) -> None:
    """Do nothing: connections of an event loop can only be closed in it, by whoever runs it."""
    del owner, pools


async def call(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a user's callback, and await what it returns if that can be awaited."""
    from inspect import isawaitable

    result = handler(*args)
    return await result if isawaitable(result) else result


def eager_start(function: Callable[[], Awaitable[object]]) -> None:
    """Do nothing: an attribute cannot wait for what it needs."""
    del function


async def run_in_background(function: Callable[[], Awaitable[T]], meanwhile: T) -> T:
    """Run what a user's callback waits for; there are no tasks in the background, so its caller waits as well."""
    del meanwhile
    return await function()


async def in_thread(function: Callable[[], T]) -> T:
    """Run what works on files of this machine where it does not hold up the event loop."""
    from anyio.to_thread import run_sync

    return await run_sync(function)


def from_thread(function: Callable[[], Awaitable[T]]) -> T:
    """Run ``function`` on the event loop, called from what `in_thread` runs."""
    from anyio.from_thread import run

    return run(_awaited, function)


def thread_safe(function: Callable[[], object]) -> Callable[[], None]:
    """Return what has ``function`` called on this event loop, and may be called by any thread, also when it is over."""
    loop: Any = current_loop()
    soon = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon

    def call_it() -> None:
        with suppress(RuntimeError):  # the loop is over, and so is whoever waited
            soon(function)

    return call_it


def run_in_new_loop(function: Callable[[], Awaitable[T]]) -> T:
    """Run ``function`` on an event loop of its own in a thread of its own, and return what it gives.

    For code that is not asynchronous, and may be called by a thread in which a loop runs.
    """
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal("asyncio") as portal:
        return portal.call(function)
