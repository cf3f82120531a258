"""The event loop, threads, and waiting: the synchronous flavour."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar
from weakref import finalize

from .cancellation import _current
from .primitives import _Waiter

T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Wait, at most until the task group of this thread is cancelled."""
    if _current.task_group is None:
        time.sleep(seconds)
    else:
        _Waiter().wait(seconds)


def current_loop() -> object:
    """Return the same object everywhere: connections belong to the process, and every thread may use them."""
    return current_loop


def is_over(loop: object) -> bool:
    """Return False: what `current_loop` returns lives as long as the process."""
    del loop
    return False


class LoopEnd:
    """Does nothing: this flavour has no event loop; `close_when_dropped` closes connections."""

    def __init__(self, function: Callable[[], object]) -> None:
        del function

    def cancel(self) -> None:
        """Do nothing."""


def run_in_loop(loop: object, function: Callable[[], object]) -> bool:
    """Call it: there is one loop only, which every thread may use."""
    del loop
    function()
    return True


def close_when_dropped(owner: object, pools: Any) -> None:
    """Close all connections when ``owner`` is collected, at the latest when the program ends.

    A plain script need not close anything.
    """
    finalize(owner, _close_all, pools)


def _close_all(pools: Any) -> None:
    for pool in pools.all():
        pool.close()


def call(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a user's callback."""
    return handler(*args)


def eager_start(function: Callable[[], object]) -> None:
    """Call it, so that the attributes it sets are there."""
    function()


def run_in_background(function: Callable[[], T], meanwhile: T) -> T:
    """Run ``function`` in a thread, and return ``meanwhile`` at once.

    As in agbcloud-sdk 0.12, whose programs continue in the meantime; as there, the thread is a daemon.
    """
    Thread(target=function, name="agb-callback", daemon=True).start()
    return meanwhile


def in_thread(function: Callable[[], T]) -> T:
    """Call it: the caller would wait for a thread of its own anyway."""
    return function()


def from_thread(function: Callable[[], T]) -> T:
    """Call it: `in_thread` made no thread."""
    return function()


def thread_safe(function: Callable[[], object]) -> Callable[[], None]:
    """Return a function that calls ``function``: here any thread may."""

    def call_now() -> None:
        function()

    return call_now


def run_in_new_loop(function: Callable[[], T]) -> T:
    """Call it: this flavour has no event loop."""
    return function()
