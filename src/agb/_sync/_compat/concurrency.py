"""Threads that run at the same time: the synchronous flavour."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from threading import Event, Lock, Thread, current_thread
from types import TracebackType
from typing import Any, Self, TypeVar

from .cancellation import Cancelled, _current, _shield
from .primitives import ClosedResource, Queue, _Waiter

T = TypeVar("T")


def gather(functions: Sequence[Callable[[], T]], stop: Callable[[], object] | None = None) -> list[T]:
    """Run functions at the same time; return their results in order, or raise the error of the first that failed.

    All of them have ended when this returns. ``stop`` is called when the caller is interrupted (Ctrl-C) meanwhile, so
    that the functions end early.
    """
    from concurrent.futures import ThreadPoolExecutor, wait

    if len(functions) < 2:  # not worth a thread
        return [function() for function in functions]
    with ThreadPoolExecutor(len(functions), "agb-gather") as threads:
        try:
            futures = [threads.submit(copy_context().run, function) for function in functions]  # for tracing
            wait(futures)  # leaving the block waits too, but Python 3.11 takes an interrupted join for the thread's end
        except BaseException:
            if stop is not None:
                stop()
            raise
    return [future.result() for future in futures]


GRACE = 5.0
"""Seconds that a function has to return after its session was deleted; then its thread is abandoned."""


class CallTimeout(Exception):  # noqa: N818 - always caught where it is raised
    """A function did not return in time."""

    def __init__(self, is_abandoned: bool = False) -> None:
        super().__init__()
        self.is_abandoned = is_abandoned
        """Whether the function still runs."""


class TimedRunner:
    """Runs a user's functions, one after the other, each with a time limit; the owner closes it.

    A thread cannot be cancelled, so the functions run in a thread beside the caller's. When the time is over, or the
    task group is cancelled, ``stop`` takes away the resources of the function (its session), so that its calls fail. A
    function that does not return then is abandoned with its thread, and the next function runs in another thread.
    """

    def __init__(self) -> None:
        self._jobs: Queue[Callable[[], None]] | None = None

    def run(self, function: Callable[[], T], seconds: float | None, stop: Callable[[], object]) -> T:
        """Run a function and return its result.

        Raises:
            CallTimeout: the function did not return within so many seconds.
        """
        if self._jobs is None:
            jobs: Queue[Callable[[], None]] = Queue()
            Thread(target=_run_jobs, args=(jobs,), name="agb-timed-runner", daemon=True).start()
            self._jobs = jobs
        waiter = _Waiter()
        results: list[T] = []
        errors: list[BaseException] = []
        task_group, context = _current.task_group, copy_context()

        def job() -> None:
            _current.task_group = task_group
            try:
                results.append(context.run(function))
            except BaseException as error:  # noqa: BLE001 - raised below
                errors.append(error)
            finally:
                _current.task_group = None
                waiter.complete(None)

        self._jobs.offer(job)
        try:
            waiter.wait(seconds)
        except BaseException:
            self._stop(waiter, stop)
            raise
        if not waiter.is_done:
            self._stop(waiter, stop)
            raise CallTimeout(not waiter.is_done)
        if errors:
            raise errors[0]
        return results[0]

    def _stop(self, waiter: _Waiter, stop: Callable[[], object]) -> None:
        with _shield():
            stop()
            waiter.wait(GRACE)
        if not waiter.is_done:
            self.close()

    def close(self) -> None:
        """Let the thread end, at once or when its function returns."""
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None


def _run_jobs(jobs: Queue[Callable[[], None]]) -> None:
    pid = os.getpid()
    with suppress(ClosedResource):
        while True:
            jobs.get()()
            # A child that the function has forked has this thread only, and ends with it. That would call destructors
            # of native libraries, which crash where threads of theirs are missing.
            if os.getpid() != pid:
                os._exit(0)


class TaskGroup:
    """Workers that run while a ``with`` block lasts, as threads here and as tasks in the asynchronous flavour.

    Leaving the block waits for all of them. When one raises, the others and the block are cancelled, and leaving raises
    the first error, never an exception group; an error of the block itself has precedence. A block that is left by an
    error or by Ctrl-C cancels the workers. It is entered and left by the same thread.

    A thread cannot be cancelled from outside. The cancellation is raised, as `Cancelled`, by what the worker waits in:
    `sleep`, a `Queue`, or a `checkpoint`; the same goes for the block. A worker that does none of these is waited for.

    Ctrl-C is raised in the main thread, which is in one of two places. In the block, it leaves the block as an
    exception: the workers are cancelled and then joined. In the join at the end of the block, the first one cancels the
    workers and the join starts again; so no worker outlives the block because of a single Ctrl-C, and each has the time
    to delete its session. A second one, in that join, is raised at once; the threads are daemons, so the program ends.
    An interrupted `Thread.join` of Python 3.11 marks the thread as ended although it runs; therefore the join waits for
    an event, which each worker sets, and joins the thread only then.

    A forked child has none of the threads, and perhaps a copy of the lock that one of them held: it leaves the block
    without touching anything.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._threads: dict[Thread, Event] = {}
        self._ended: Thread | None = None
        self._waiters: set[_Waiter] = set()
        self._inner: set[TaskGroup] = set()
        self._outer: TaskGroup | None = None
        self._pid = 0
        self._error: BaseException | None = None
        self.is_cancelled = False
        """Whether the workers were asked to stop."""

    def __enter__(self) -> Self:
        self._pid = os.getpid()
        self._outer = _current.task_group
        if self._outer is not None:
            with self._outer._lock:
                self._outer._inner.add(self)
        _current.task_group = self
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if os.getpid() != self._pid:
            return False
        if exc is not None:
            self.cancel()
        try:
            self._join()
        except BaseException:
            if exc is None:  # the first Ctrl-C
                self.cancel()
                self._join()
            raise
        finally:
            _current.task_group = self._outer
            if self._outer is not None:
                with self._outer._lock:
                    self._outer._inner.discard(self)
        if isinstance(exc, Cancelled) and self._outer is not None and self._outer.is_stopped:
            return False
        if self._error is not None and (exc is None or isinstance(exc, Cancelled)):
            raise self._error
        return isinstance(exc, Cancelled)

    def _join(self) -> None:
        """Wait for all threads, also those that are started meanwhile."""
        while True:
            with self._lock:
                thread, has_ended = next(iter(self._threads.items()), (None, None))
            if thread is None or has_ended is None:
                return
            has_ended.wait()
            thread.join()
            with self._lock:
                self._threads.pop(thread, None)

    def start(self, function: Callable[..., object], *args: Any) -> None:
        """Start a worker; may be called by the block and by the workers.

        Raises:
            RuntimeError: the machine has no more threads.
        """
        context = copy_context()
        thread = Thread(target=lambda: context.run(self._run, function, args), name="agb-worker", daemon=True)
        with self._lock:
            self._threads[thread] = Event()
        try:
            thread.start()
        except BaseException:
            with self._lock:
                del self._threads[thread]
            raise

    def cancel(self) -> None:
        """Cancel all workers and the block; leaving the block does not raise that cancellation."""
        self.is_cancelled = True
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            waiters, inner = list(self._waiters), list(self._inner)
        for waiter in waiters:
            waiter.wake()
        for group in inner:
            group._wake()

    @property
    def is_stopped(self) -> bool:
        """Whether this group was cancelled, or one around it."""
        return self.is_cancelled or (self._outer is not None and self._outer.is_stopped)

    def check(self) -> None:
        """Raise `Cancelled` if the group was cancelled, or one around it."""
        if self.is_stopped:
            raise Cancelled("the work was cancelled")

    @contextmanager
    def registered(self, waiter: _Waiter) -> Iterator[None]:
        """Have `cancel` wake a waiter for the time of a block."""
        with self._lock:
            self._waiters.add(waiter)
        try:
            yield
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def _run(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        _current.task_group = self
        try:
            function(*args)
        except Cancelled:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the block is left
            self._error = self._error or error
            self.cancel()
        finally:
            thread = current_thread()
            with self._lock:
                ended, self._ended = self._ended, thread
                self._threads[thread].set()
            if ended is not None:  # so that a group that lives long does not collect threads that have ended
                ended.join()
                with self._lock:
                    self._threads.pop(ended, None)
