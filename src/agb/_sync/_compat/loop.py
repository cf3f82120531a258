"""The event loop, threads, and waiting: the synchronous flavour."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar
from weakref import finalize

from .cancellation import _mine
from .primitives import _Wait

T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Wait, not longer than until the crew of this thread is cancelled."""
    if _mine.crew is None:
        time.sleep(seconds)
    else:
        _Wait().until_over(seconds)


def current_loop() -> object:
    """Return the same object everywhere: connections belong to the process, and every thread may use them."""
    return current_loop


def is_over(loop: object) -> bool:
    """Return False: what `current_loop` gives lives as long as the process."""
    del loop
    return False


def close_when_dropped(owner: object, pools: Any) -> None:
    """Close all connections when ``owner`` is collected, at the latest when the program ends.

    A plain script closes nothing, and need not.
    """
    finalize(owner, _close_all, pools)


def _close_all(pools: Any) -> None:
    for pool in pools.all():
        pool.close()


def call(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a user's callback."""
    return handler(*args)


def eager_start(function: Callable[[], object]) -> None:
    """Do what an attribute needs."""
    function()


def run_in_background(function: Callable[[], T], meanwhile: T) -> T:
    """Run what a user's callback waits for in a thread, and return ``meanwhile`` at once.

    As in agbcloud-sdk 0.12, whose programs go on in the meantime; like there, the thread does not keep a program that
    has come to its end.
    """
    Thread(target=function, name="agb-callback", daemon=True).start()
    return meanwhile


def in_thread(function: Callable[[], T]) -> T:
    """Call it: a thread of its own is worth nothing to who waits for it."""
    return function()


def from_thread(function: Callable[[], T]) -> T:
    """Call it: `in_thread` has made no thread."""
    return function()


def thread_safe(function: Callable[[], object]) -> Callable[[], None]:
    """Return what calls ``function``: here any thread may."""

    def call_it() -> None:
        function()

    return call_it


def run_in_new_loop(function: Callable[[], T]) -> T:
    """Call it: there is no event loop to be kept apart from."""
    return function()
