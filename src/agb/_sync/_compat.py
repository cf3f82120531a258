"""What differs between the flavours, in the synchronous one; ``_async/_compat.py`` has the same names."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from threading import Event, Thread, current_thread, main_thread
from threading import Lock as _Lock
from time import sleep
from types import FrameType
from typing import Any, Final, TypeVar
from weakref import finalize

from ..results import AwaitableContextSyncResult

__all__ = [
    "ASYNC",
    "CLEANUP_LIMIT",
    "Chunks",
    "ContextSyncAnswer",
    "Lock",
    "Signal",
    "afterwards",
    "at_once",
    "call",
    "check_client",
    "checkpoint",
    "close_when_dropped",
    "current_loop",
    "each",
    "finish",
    "from_thread",
    "gather",
    "in_thread",
    "is_over",
    "shielded",
    "sleep",
]

T = TypeVar("T")

ASYNC: Final = False
ContextSyncAnswer = AwaitableContextSyncResult
"""What ``session.context.sync`` gives; programs written for agbcloud-sdk 0.12 await it."""
Chunks = Iterable[bytes]
"""Bytes piece by piece, as a caller has them."""

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


def at_once(function: Callable[[], object]) -> None:
    """Do what an attribute needs."""
    function()


def afterwards(function: Callable[[], T], meanwhile: T) -> T:
    """Run what a user's callback waits for in a thread, and return ``meanwhile`` at once.

    As in agbcloud-sdk 0.12, whose programs go on in the meantime; like there, the thread does not keep a program that
    has come to its end.
    """
    Thread(target=function, name="agb-callback", daemon=True).start()
    return meanwhile


def gather(functions: Sequence[Callable[[], T]], stop: Callable[[], object] | None = None) -> list[T]:
    """Run functions at the same time; return what they give, in their order, or raise what the first of them raised.

    All of them have ended when this returns. ``stop`` is called when the caller is interrupted (Ctrl-C) meanwhile, to
    let them come to their end.
    """
    from concurrent.futures import ThreadPoolExecutor, wait

    if len(functions) < 2:  # not worth a thread
        return [function() for function in functions]
    with ThreadPoolExecutor(len(functions), "agb-gather") as threads:
        try:
            futures = [threads.submit(function) for function in functions]
            wait(futures)  # leaving the block waits too, but Python 3.11 takes an interrupted join for the thread's end
        except BaseException:
            if stop is not None:
                stop()
            raise
    return [future.result() for future in futures]


def in_thread(function: Callable[[], T]) -> T:
    """Call it: a thread of its own is worth nothing to who waits for it."""
    return function()


def from_thread(function: Callable[[], T]) -> T:
    """Call it: `in_thread` has made no thread."""
    return function()


def each(chunks: Chunks) -> Iterator[bytes]:
    """Return an iterator over the chunks."""
    return iter(chunks)


class Lock:
    """Held by one at a time, and waited for no longer than the caller can."""

    def __init__(self) -> None:
        self._lock = _Lock()

    @contextmanager
    def within(self, seconds: float) -> Iterator[bool]:
        """Hold the lock for the time of a block; tells whether it came within so many seconds."""
        if not self._lock.acquire(timeout=seconds):
            yield False
            return
        try:
            yield True
        finally:
            self._lock.release()


class Signal:
    """Wakes the one who waits for it; set in advance, it lets the next one who waits pass."""

    def __init__(self) -> None:
        self._event = Event()

    def set(self) -> None:
        """Wake the one who waits, or the next who will."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Return when the signal is set, or after so many seconds."""
        self._event.wait(seconds)
        self._event.clear()
