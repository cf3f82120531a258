"""Locks, events and queues between tasks: the asynchronous flavour."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from .loop import current_loop, is_over

T = TypeVar("T")


class Lock:
    """Held by one at a time, and waited for no longer than the caller can."""

    def __init__(self) -> None:
        self._lock: Any = None

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[bool]:
        """Hold the lock for the time of a block; tells whether it came within so many seconds."""
        import anyio

        lock = self._lock = self._lock or anyio.Lock()
        try:
            lock.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(seconds) as limit:
                await lock.acquire()
            if limit.cancelled_caught:
                yield False
                return
        try:
            yield True
        finally:
            lock.release()


class AutoResetEvent:
    """Wakes the one who waits for it; set in advance, it lets the next one who waits pass."""

    def __init__(self) -> None:
        self._event: Any = None
        self._is_set = False

    def set(self) -> None:
        """Wake the one who waits, or the next who will."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    async def wait(self, seconds: float) -> None:
        """Return when the signal is set, or after so many seconds."""
        import anyio

        if not self._is_set:
            self._event = anyio.Event()
            try:
                with anyio.move_on_after(seconds):
                    await self._event.wait()
            finally:
                self._event = None
        self._is_set = False


class ThreadSafeEvent:
    """Wakes the one who waits for it; may be rung from any event loop or thread."""

    def __init__(self) -> None:
        from anyio import Event

        self._loop = current_loop()
        self._event = Event()

    def set(self) -> None:
        """Wake the one who waits, or the next time that it waits."""
        try:
            is_here = current_loop() is self._loop
        except RuntimeError:  # a thread without an event loop
            is_here = False
        if is_here:
            self._event.set()
        else:
            _soon(self._loop, lambda: self._event.set())

    async def wait(self, seconds: float) -> None:
        """Return when the bell was rung, or after so many seconds."""
        from anyio import Event, move_on_after

        with move_on_after(seconds):
            await self._event.wait()
        if self._event.is_set():
            self._event = Event()


def _soon(loop: Any, function: Callable[[], object]) -> None:
    """Have another event loop call a function; one that is over does not."""
    if is_over(loop):
        return
    if hasattr(loop, "call_soon_threadsafe"):
        loop.call_soon_threadsafe(function)
    else:
        loop.run_sync_soon(function)


class ClosedResource(Exception):  # noqa: N818 - it says how something stands
    """Nothing comes out of a channel any more, or nothing goes in."""


class Queue(Generic[T]):
    """Hands things from some workers to others: first in, first out, each to the one that has waited longest.

    With a ``size``, putting waits while so many are in it; a size of 0 hands over from hand to hand. All of it is
    O(1), a wait that is given up too. Nothing that was put is lost to a worker that is cancelled while it waits: the
    next one gets it. A put that is cancelled while it waits may have been done by then.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size
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
        if self.is_closed:
            raise ClosedResource
        if self._takers:
            self._takers.popitem(last=False)[1].give(item)
        elif self._size is None or len(self._items) < self._size:
            self._items.append(item)
        else:
            return False
        return True

    async def put(self, item: T, seconds: float | None = None) -> None:
        """Put something in, and wait for room if there is none.

        Raises:
            TimeoutError: there was no room within so many seconds.
            Closed: the channel is closed.
        """
        if self.offer(item):
            return
        wait = _Wait(item)
        self._givers[id(wait)] = wait
        try:
            await wait.until_over(seconds)
        finally:
            self._givers.pop(id(wait), None)
        if not wait.is_over:
            raise TimeoutError
        if wait.is_closed:
            raise ClosedResource

    async def get(self, seconds: float | None = None) -> T:
        """Take what was put in first, and wait for it if there is nothing.

        Raises:
            TimeoutError: nothing came within so many seconds.
            Closed: the channel is closed, and nothing is left in it.
        """
        if self._items or self._givers:
            return self._take()
        if self.is_closed:
            raise ClosedResource
        wait = _Wait()
        self._takers[id(wait)] = wait
        try:
            await wait.until_over(seconds)
        except BaseException:
            if wait.is_over and not wait.is_closed:
                self._give_back(wait.item)
            raise
        finally:
            self._takers.pop(id(wait), None)
        if not wait.is_over:
            raise TimeoutError
        if wait.is_closed:
            raise ClosedResource
        item: T = wait.item
        return item

    def close(self) -> None:
        """Let nothing more in; what is in can be taken, and who waits in vain is told."""
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
    """One wait at a channel."""

    __slots__ = ("_event", "is_closed", "is_over", "item")

    def __init__(self, item: Any = None) -> None:
        from anyio import Event

        self._event = Event()
        self.item = item
        self.is_over = self.is_closed = False

    def give(self, item: Any) -> None:
        self.item, self.is_over = item, True
        self._event.set()

    def close(self) -> None:
        self.is_over = self.is_closed = True
        self._event.set()

    async def until_over(self, seconds: float | None) -> None:
        from anyio import move_on_after

        if seconds is None:
            await self._event.wait()
            return
        with move_on_after(seconds):
            await self._event.wait()
