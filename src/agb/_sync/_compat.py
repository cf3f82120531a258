"""What differs between the flavours, in the synchronous one; ``_async/_compat.py`` has the same names."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from threading import current_thread, main_thread
from time import sleep
from types import FrameType
from typing import Any, TypeVar
from weakref import finalize

__all__ = [
    "CLEANUP_LIMIT",
    "call",
    "check_client",
    "checkpoint",
    "close_when_dropped",
    "current_loop",
    "finish",
    "is_over",
    "shielded",
    "sleep",
]

T = TypeVar("T")

CLEANUP_LIMIT = 30.0
"""Seconds that a clean-up may take; the caller's own deadline is usually over by then."""


def checkpoint() -> None:
    """Do nothing: a thread is not cancelled."""


def current_loop() -> object:
    """Return the same object everywhere: connections belong to the process, and every thread may use them."""
    return current_loop


def is_over(loop: object) -> bool:
    """Return False: what `current_loop` gives lives as long as the process."""
    del loop
    return False


def check_client(client: Any) -> None:
    """Raise `TypeError` unless ``client`` has the interface of httpx's synchronous client."""
    send = getattr(client, "send", None)
    if not (hasattr(client, "build_request") and callable(send)) or iscoroutinefunction(send):
        raise TypeError(f"http_client is an httpx.Client (or httpx2's), not {type(client).__qualname__}")


def close_when_dropped(owner: object, pools: Any) -> None:
    """Close all connections when ``owner`` is collected, at the latest when the program ends.

    A plain script closes nothing, and need not.
    """
    finalize(owner, _close_all, pools)


def _close_all(pools: Any) -> None:
    for pool in pools.all():
        pool.close()


def finish(function: Callable[[], T], if_cancelled: Callable[[T], object]) -> T:
    """Run ``function`` to its end, also when the program is interrupted meanwhile (Ctrl-C), and return what it gives.

    After an interruption ``if_cancelled`` gets the result, and the interruption goes on. A second one is heard at once.
    """
    if current_thread() is not main_thread():  # the only one that is interrupted
        return function()
    with _interruptions_held_back() as came:
        result = function()
        if came:
            if_cancelled(result)
    return result


@contextmanager
def _interruptions_held_back() -> Iterator[list[int]]:
    """Note the first interruption in place of handling it, and handle it at the end of the block."""
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            ours[signal.Signals(number)](number, frame)

    for number in ours:
        signal.signal(number, note)
    try:
        yield came
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        if came:
            ours[signal.Signals(came[0])](came[0], None)


def shielded(function: Callable[[], T]) -> T:
    """Run a clean-up; a thread is not cancelled, so there is nothing to hold back."""
    return function()


def call(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a user's callback."""
    return handler(*args)
