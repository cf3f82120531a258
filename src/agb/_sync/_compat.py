"""What differs between the flavours, in the synchronous one; ``_async/_compat.py`` has the same names."""

from __future__ import annotations

import signal
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from inspect import iscoroutinefunction
from threading import TIMEOUT_MAX, Event, Thread, current_thread, local, main_thread
from threading import Lock as _Lock
from types import FrameType, TracebackType
from typing import Any, Final, Generic, Self, TypeVar
from weakref import finalize

__all__ = [
    "ASYNC",
    "CLEANUP_LIMIT",
    "Bell",
    "Channel",
    "Chunks",
    "Closed",
    "Crew",
    "Hand",
    "Lock",
    "Overdue",
    "Signal",
    "Stopped",
    "Things",
    "afterwards",
    "apart",
    "at_once",
    "call",
    "check_client",
    "check_function",
    "checkpoint",
    "close_when_dropped",
    "current_loop",
    "each",
    "finish",
    "from_any_thread",
    "from_thread",
    "gather",
    "in_thread",
    "is_over",
    "is_stray",
    "let_go",
    "shielded",
    "sleep",
]

T = TypeVar("T")

ASYNC: Final = False
Things = Iterable[T]
"""Things one after the other, as a caller has them."""
Chunks = Iterable[bytes]
"""Bytes piece by piece, as a caller has them."""

BYTE_STREAM = "SyncByteStream"
"""What httpx calls the body of an answer that is received piece by piece."""

CLEANUP_LIMIT = 30.0
"""Seconds that a clean-up may take; the caller's own deadline is usually over by then."""


class Stopped(BaseException):
    """The crew that this thread belongs to was cancelled; as a cancellation, it is not to be caught as an error."""


class _Mine(local):
    """What belongs to the running thread."""

    crew: Crew | None = None


_mine = _Mine()


def checkpoint() -> None:
    """Raise `Stopped` if the crew of this thread is cancelled already."""
    if (crew := _mine.crew) is not None:
        crew.check()


def sleep(seconds: float) -> None:
    """Wait, not longer than until the crew of this thread is cancelled."""
    if _mine.crew is None:
        time.sleep(seconds)
    else:
        _Wait().until_over(seconds)


@contextmanager
def _unheard() -> Iterator[Crew | None]:
    """Let this thread not hear for the time of a block that its crew is cancelled."""
    crew, _mine.crew = _mine.crew, None
    try:
        yield crew
    finally:
        _mine.crew = crew


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


def check_transport(transport: Any) -> None:
    """Raise `TypeError` unless ``transport`` is one of httpx's synchronous transports, or of httpx2's."""
    if not (hasattr(transport, "handle_request") and _library_of(transport)):
        raise TypeError(f"transport is an httpx.BaseTransport (or httpx2's), not {type(transport).__qualname__}")


def client_over(transport: Any) -> Any:
    """Return a client of its own library around a transport; it adds nothing of the environment."""
    return sys.modules[_library_of(transport)].Client(transport=transport, trust_env=False)


def _library_of(transport: Any) -> str:
    bases = [base for base in type(transport).__mro__ if base.__name__ == "BaseTransport"]
    names = [base.__module__.partition(".")[0] for base in bases]
    return next((name for name in names if name in ("httpx", "httpx2")), "")


def check_function(function: Any) -> None:
    """Raise `TypeError` unless ``function`` can be called for an item, and gives its value at once."""
    if not callable(function):
        raise TypeError(f"the function is called with a session and an item, and {function!r} cannot be called")
    if iscoroutinefunction(function):
        raise TypeError(f"{function!r} is asynchronous: use agb.AsyncAGB, or a function that is not")


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


def each(things: Iterable[T]) -> Iterator[T]:
    """Return an iterator over the things."""
    return iter(things)


def let_go(iterator: Iterator[Any]) -> None:
    """Close an iterator that `each` gave, if it is a generator's; one that is left half-way would hold what it has."""
    from types import GeneratorType

    if isinstance(iterator, GeneratorType) and not iterator.gi_running:
        iterator.close()


PATIENCE = 5.0
"""Seconds that a function is waited for whose session was taken away."""


class Overdue(Exception):  # noqa: N818 - it says how something stands
    """A function did not return in time."""

    def __init__(self, is_abandoned: bool = False) -> None:
        super().__init__()
        self.is_abandoned = is_abandoned
        """Whether it goes on."""


class Hand:
    """Runs a user's functions, one after the other, each for a limited time.

    They run in a thread beside the one that wants them, since a thread cannot be ended. When the time is over, or the
    crew is cancelled, what they work with is taken away from them (``stop``), which lets their calls fail; one that
    does not return then is left alone, and another thread takes the next. Who has a hand closes it.
    """

    def __init__(self) -> None:
        self._jobs: Channel[Callable[[], None]] | None = None

    def run(self, function: Callable[[], T], seconds: float | None, stop: Callable[[], object]) -> T:
        """Run a function, and return what it gives.

        Raises:
            Overdue: it did not return within so many seconds.
        """
        if self._jobs is None:
            jobs: Channel[Callable[[], None]] = Channel()
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
            raise Overdue(not wait.is_over)
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


def _do_jobs(jobs: Channel[Callable[[], None]]) -> None:
    with suppress(Closed):
        while True:
            jobs.get()()


def is_stray(error: BaseException) -> bool:
    """Return False: a thread is cancelled by its crew only."""
    del error
    return False


def from_any_thread(function: Callable[[], object]) -> Callable[[], None]:
    """Return what calls ``function``: here any thread may."""

    def call_it() -> None:
        function()

    return call_it


def apart(function: Callable[[], T]) -> T:
    """Call it: there is no event loop to be kept apart from."""
    return function()


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


class Crew:
    """Workers that run while a ``with`` block lasts, as threads here and as tasks in the asynchronous flavour.

    Leaving the block waits for all of them. When one raises, the others and the block are cancelled, and the first
    error is what leaving raises, never a group; what the block itself raised goes before it. A block that is left by
    an error or by Ctrl-C cancels them. It is entered and left by the same thread.

    A thread cannot be cancelled: it is told, by `Stopped`, when it waits in `sleep`, in a `Channel` or at a
    `checkpoint`, and so is the block. One that does not hear it is waited for; a second Ctrl-C ends that, and since the
    threads are daemons, the program too.
    """

    def __init__(self) -> None:
        self._lock = _Lock()
        self._threads: dict[Thread, Event] = {}
        self._ended: Thread | None = None
        self._waits: set[_Wait] = set()
        self._inner: set[Crew] = set()
        self._outer: Crew | None = None
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


class Closed(Exception):  # noqa: N818 - it says how something stands
    """Nothing comes out of a channel any more, or nothing goes in."""


class Channel(Generic[T]):
    """Hands things from some workers to others: first in, first out, each to the one that has waited longest.

    With a ``size``, putting waits while so many are in it; a size of 0 hands over from hand to hand. All of it is
    O(1), a wait that is given up too. Nothing that was put is lost to a worker that is cancelled while it waits: the
    next one gets it. A put that is cancelled while it waits may have been done by then.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size
        self._lock = _Lock()
        self._items: deque[T] = deque()
        self._takers: OrderedDict[int, _Wait] = OrderedDict()
        self._givers: OrderedDict[int, _Wait] = OrderedDict()
        self.is_closed = False

    def __len__(self) -> int:
        """Return how many things are in it, not counting what waits for room."""
        return len(self._items)

    @property
    def takers(self) -> int:
        """How many wait for something."""
        return len(self._takers)

    @property
    def givers(self) -> int:
        """How many wait for room."""
        return len(self._givers)

    def offer(self, item: T) -> bool:
        """Put something in if that needs no waiting; tells whether it did.

        Raises:
            Closed: the channel is closed.
        """
        with self._lock:
            return self._offer(item)

    def _offer(self, item: T) -> bool:
        if self.is_closed:
            raise Closed
        if self._takers:
            self._takers.popitem(last=False)[1].give(item)
        elif self._size is None or len(self._items) < self._size:
            self._items.append(item)
        else:
            return False
        return True

    def put(self, item: T, seconds: float | None = None) -> None:
        """Put something in, and wait for room if there is none.

        Raises:
            TimeoutError: there was no room within so many seconds.
            Closed: the channel is closed.
        """
        checkpoint()
        with self._lock:
            if self._offer(item):
                return
            wait = _Wait(item)
            self._givers[id(wait)] = wait
        try:
            wait.until_over(seconds)
        finally:
            with self._lock:
                self._givers.pop(id(wait), None)
        if not wait.is_over:
            raise TimeoutError
        if wait.is_closed:
            raise Closed

    def get(self, seconds: float | None = None) -> T:
        """Take what was put in first, and wait for it if there is nothing.

        Raises:
            TimeoutError: nothing came within so many seconds.
            Closed: the channel is closed, and nothing is left in it.
        """
        checkpoint()
        with self._lock:
            if self._items or self._givers:
                return self._take()
            if self.is_closed:
                raise Closed
            wait = _Wait()
            self._takers[id(wait)] = wait
        try:
            wait.until_over(seconds)
        except BaseException:
            with self._lock:
                self._takers.pop(id(wait), None)
                if wait.is_over and not wait.is_closed:
                    self._give_back(wait.item)
            raise
        with self._lock:
            self._takers.pop(id(wait), None)
        if not wait.is_over:
            raise TimeoutError
        if wait.is_closed:
            raise Closed
        item: T = wait.item
        return item

    def close(self) -> None:
        """Let nothing more in; what is in can be taken, and who waits in vain is told."""
        with self._lock:
            self.is_closed = True
            for waits in (self._takers, self._givers):
                while waits:
                    waits.popitem(last=False)[1].close()

    def _take(self) -> T:
        if self._givers:
            wait = self._givers.popitem(last=False)[1]
            self._items.append(wait.item)
            wait.give(wait.item)
        return self._items.popleft()

    def _give_back(self, item: T) -> None:
        if self._takers:
            self._takers.popitem(last=False)[1].give(item)
        else:
            self._items.appendleft(item)


class _Wait:
    """One wait, which ends when its thread's crew is cancelled too."""

    __slots__ = ("_lock", "is_closed", "is_over", "item")

    def __init__(self, item: Any = None) -> None:
        self._lock = _Lock()
        self._lock.acquire()
        self.item = item
        self.is_over = self.is_closed = False

    def give(self, item: Any) -> None:
        self.item, self.is_over = item, True
        self.wake()

    def close(self) -> None:
        self.is_over = self.is_closed = True
        self.wake()

    def wake(self) -> None:
        with suppress(RuntimeError):  # woken already
            self._lock.release()

    def until_over(self, seconds: float | None) -> None:
        timeout = -1 if seconds is None else min(max(seconds, 0), TIMEOUT_MAX)
        if (crew := _mine.crew) is None:
            self._lock.acquire(timeout=timeout)
            return
        with crew._lock:
            crew._waits.add(self)
        try:
            crew.check()
            self._lock.acquire(timeout=timeout)
        finally:
            with crew._lock:
                crew._waits.discard(self)
        if not self.is_over:
            crew.check()


class Bell:
    """Wakes the one who waits for it; may be rung from any thread."""

    def __init__(self) -> None:
        self._wait = _Wait()

    def ring(self) -> None:
        """Wake the one who waits, or the next time that it waits."""
        self._wait.wake()

    def wait(self, seconds: float) -> None:
        """Return when the bell was rung, or after so many seconds."""
        self._wait.until_over(seconds)
