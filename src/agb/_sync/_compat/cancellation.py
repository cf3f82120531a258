"""Cancellation, and work that it must not cut short: the synchronous flavour."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, local, main_thread
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .concurrency import TaskGroup

T = TypeVar("T")

CLEANUP_LIMIT = 30.0
"""Seconds that a clean-up may take; the caller's own deadline is usually over by then."""


class Stopped(BaseException):
    """The crew that this thread belongs to was cancelled; as a cancellation, it is not to be caught as an error."""


class _Mine(local):
    """What belongs to the running thread."""

    crew: TaskGroup | None = None


_mine = _Mine()


def checkpoint() -> None:
    """Raise `Stopped` if the crew of this thread is cancelled already."""
    if (crew := _mine.crew) is not None:
        crew.check()


@contextmanager
def _unheard() -> Iterator[TaskGroup | None]:
    """Let this thread not hear for the time of a block that its crew is cancelled."""
    crew, _mine.crew = _mine.crew, None
    try:
        yield crew
    finally:
        _mine.crew = crew


def run_to_completion(function: Callable[[], T], if_cancelled: Callable[[T], object]) -> T:
    """Run ``function`` to its end, also when the program is interrupted meanwhile (Ctrl-C), and return what it gives.

    After an interruption ``if_cancelled`` gets the result, and the interruption goes on; should one of the two fail,
    that is the interruption's cause. A second one is heard at once. The same goes for a thread whose crew is cancelled.
    """
    with _unheard() as crew:
        if current_thread() is main_thread():  # the only one that is interrupted
            with _interruptions_held_back() as came:
                result = function()
                if came:
                    if_cancelled(result)
        else:
            result = function()
        if crew is not None and crew.is_stopped:
            if_cancelled(result)
            crew.check()
    return result


@contextmanager
def _interruptions_held_back() -> Iterator[list[int]]:
    """Note the first interruption in place of handling it, and handle it at the end of the block."""
    came: list[int] = []
    failure: Exception | None = None
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
    except Exception as error:
        failure = error
        raise
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        if came:
            try:
                ours[signal.Signals(came[0])](came[0], None)
            except BaseException as interruption:
                interruption.__cause__ = interruption.__cause__ or failure
                raise


def shielded(function: Callable[[], T]) -> T:
    """Run a clean-up to its end, with the cancellation of the thread's crew held back until then."""
    with _unheard():
        return function()


def is_foreign_cancellation(error: BaseException) -> bool:
    """Return False: a thread is cancelled by its crew only."""
    del error
    return False
