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
"""Seconds that a clean-up may take; the caller's own deadline has usually passed by then."""


class Cancelled(BaseException):
    """The task group of this thread was cancelled; like every cancellation it is not an `Exception`."""


class _Current(local):
    """What belongs to the running thread."""

    task_group: TaskGroup | None = None


_current = _Current()


def checkpoint() -> None:
    """Raise `Cancelled` if the task group of this thread is cancelled already."""
    if (task_group := _current.task_group) is not None:
        task_group.check()


@contextmanager
def _shield() -> Iterator[TaskGroup | None]:
    """Detach this thread from its task group for the time of a block, so that nothing in it raises `Cancelled`."""
    task_group, _current.task_group = _current.task_group, None
    try:
        yield task_group
    finally:
        _current.task_group = task_group


def run_to_completion(function: Callable[[], T], if_cancelled: Callable[[T], object]) -> T:
    """Run ``function`` to its end even if the program is interrupted meanwhile (Ctrl-C), and return its result.

    After an interruption ``if_cancelled`` is called with the result, and then the interruption is raised; if one of the
    two fails, that error is the interruption's cause. A second interruption is raised at once. The same goes for a
    thread whose task group is cancelled.

    Invariant: ``function`` is called exactly once, and its result is returned or ``if_cancelled`` has received it,
    unless ``function`` raised or a second interruption cut it off. There are two sources of cancellation. Signals
    reach the main thread only, where their handlers are replaced for the time of the block by one that takes a note;
    the real handler is called when the block ends, after ``if_cancelled``. The task group of a thread is detached for
    the time of the block, and asked afterwards; it stays cancelled, so a cancellation cannot fall between the two.
    """
    with _shield() as task_group:
        if current_thread() is main_thread():  # the only one that is interrupted
            with _deferred_interrupts() as received:
                result = function()
                if received:
                    if_cancelled(result)
        else:
            result = function()
        if task_group is not None and task_group.is_stopped:
            if_cancelled(result)
            task_group.check()
    return result


@contextmanager
def _deferred_interrupts() -> Iterator[list[int]]:
    """Note the first interrupt signal instead of handling it, and handle it at the end of the block."""
    received: list[int] = []
    failure: Exception | None = None
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    replaced = {number: handler for number, handler in handlers.items() if callable(handler)}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            replaced[signal.Signals(number)](number, frame)

    for number in replaced:
        signal.signal(number, note)
    try:
        yield received
    except Exception as error:
        failure = error
        raise
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        if received:
            try:
                replaced[signal.Signals(received[0])](received[0], None)
            except BaseException as interruption:
                interruption.__cause__ = interruption.__cause__ or failure
                raise


def shielded(function: Callable[[], T]) -> T:
    """Run a clean-up to its end; a cancellation of the thread's task group is raised by the next wait after it."""
    with _shield():
        return function()


def is_foreign_cancellation(error: BaseException) -> bool:
    """Return False: a thread is cancelled by its own task group only."""
    del error
    return False
