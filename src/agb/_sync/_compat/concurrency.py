"""Tasks that run at the same time: the synchronous flavour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from threading import Event, Thread, current_thread
from threading import Lock as _Lock
from types import TracebackType
from typing import Any, Self, TypeVar

from .cancellation import Stopped, _mine, _unheard
from .primitives import ClosedResource, Queue, _Wait

T = TypeVar("T")


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


PATIENCE = 5.0
"""Seconds that a function is waited for whose session was taken away."""


class CallTimeout(Exception):  # noqa: N818 - it says how something stands
    """A function did not return in time."""

    def __init__(self, is_abandoned: bool = False) -> None:
        super().__init__()
        self.is_abandoned = is_abandoned
        """Whether it goes on."""


class TimedRunner:
    """Runs a user's functions, one after the other, each for a limited time.

    They run in a thread beside the one that wants them, since a thread cannot be ended. When the time is over, or the
    crew is cancelled, what they work with is taken away from them (``stop``), which lets their calls fail; one that
    does not return then is left alone, and another thread takes the next. Who has a hand closes it.
    """

    def __init__(self) -> None:
        self._jobs: Queue[Callable[[], None]] | None = None

    def run(self, function: Callable[[], T], seconds: float | None, stop: Callable[[], object]) -> T:
        """Run a function, and return what it gives.

        Raises:
            Overdue: it did not return within so many seconds.
        """
        if self._jobs is None:
            jobs: Queue[Callable[[], None]] = Queue()
            Thread(target=_do_jobs, args=(jobs,), name="agb-hand", daemon=True).start()
            self._jobs = jobs
        wait = _Wait()
        given: list[T] = []
        raised: list[BaseException] = []
        crew, context = _mine.crew, copy_context()

        def job() -> None:
            _mine.crew = crew
            try:
                given.append(context.run(function))
            except BaseException as error:  # noqa: BLE001 - raised below
                raised.append(error)
            finally:
                _mine.crew = None
                wait.give(None)

        self._jobs.offer(job)
        try:
            wait.until_over(seconds)
        except BaseException:
            self._take_away(wait, stop)
            raise
        if not wait.is_over:
            self._take_away(wait, stop)
            raise CallTimeout(not wait.is_over)
        if raised:
            raise raised[0]
        return given[0]

    def _take_away(self, wait: _Wait, stop: Callable[[], object]) -> None:
        with _unheard():
            stop()
            wait.until_over(PATIENCE)
        if not wait.is_over:
            self.close()

    def close(self) -> None:
        """Let the thread end, at once or when its function returns."""
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None


def _do_jobs(jobs: Queue[Callable[[], None]]) -> None:
    with suppress(ClosedResource):
        while True:
            jobs.get()()


class TaskGroup:
    """Workers that run while a ``with`` block lasts, as threads here and as tasks in the asynchronous flavour.

    Leaving the block waits for all of them. When one raises, the others and the block are cancelled, and the first
    error is what leaving raises, never a group; what the block itself raised goes before it. A block that is left by
    an error or by Ctrl-C cancels them. It is entered and left by the same thread.

    A thread cannot be cancelled: it is told, by `Stopped`, when it waits in `sleep`, in a `Queue` or at a
    `checkpoint`, and so is the block. One that does not hear it is waited for; a second Ctrl-C ends that, and since the
    threads are daemons, the program too.
    """

    def __init__(self) -> None:
        self._lock = _Lock()
        self._threads: dict[Thread, Event] = {}
        self._ended: Thread | None = None
        self._waits: set[_Wait] = set()
        self._inner: set[TaskGroup] = set()
        self._outer: TaskGroup | None = None
        self._error: BaseException | None = None
        self.is_cancelled = False
        """Whether the workers were told to stop."""

    def __enter__(self) -> Self:
        self._outer = _mine.crew
        if self._outer is not None:
            with self._outer._lock:
                self._outer._inner.add(self)
        _mine.crew = self
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
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
            _mine.crew = self._outer
            if self._outer is not None:
                with self._outer._lock:
                    self._outer._inner.discard(self)
        if isinstance(exc, Stopped) and self._outer is not None and self._outer.is_stopped:
            return False
        if self._error is not None and (exc is None or isinstance(exc, Stopped)):
            raise self._error
        return isinstance(exc, Stopped)

    def _join(self) -> None:
        """Wait for all threads, those too that they start meanwhile."""
        while True:
            with self._lock:
                thread, is_over = next(iter(self._threads.items()), (None, None))
            if thread is None or is_over is None:
                return
            is_over.wait()  # Python 3.11 takes an interrupted join for the thread's end
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
        """Tell all workers, and the block, to stop; leaving the block then raises nothing on that account."""
        self.is_cancelled = True
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            waits, inner = list(self._waits), list(self._inner)
        for wait in waits:
            wait.wake()
        for crew in inner:
            crew._wake()

    @property
    def is_stopped(self) -> bool:
        """Whether this crew was cancelled, or one around it."""
        return self.is_cancelled or (self._outer is not None and self._outer.is_stopped)

    def check(self) -> None:
        """Raise `Stopped` if the crew was cancelled, or one around it."""
        if self.is_stopped:
            raise Stopped("the work was cancelled")

    def _run(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        _mine.crew = self
        try:
            function(*args)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the block is left
            self._error = self._error or error
            self.cancel()
        finally:
            thread = current_thread()
            with self._lock:
                ended, self._ended = self._ended, thread
                self._threads[thread].set()
            if ended is not None:  # so that a crew that lives long does not collect threads that are over
                ended.join()
                with self._lock:
                    self._threads.pop(ended, None)
