"""Locks, events and queues between tasks: the asynchronous flavour."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from .loop import current_loop, is_over

T = TypeVar("T")


class Lock:
    """The library's lock (``anyio.Lock``), whose acquisition can have a time limit."""

    def __init__(self) -> None:
        self._lock: Any = None

    @asynccontextmanager
    async def within(self, seconds: float | None = None) -> AsyncIterator[bool]:
        """Hold the lock for the time of a block; yields whether it was acquired within so many seconds."""
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
    """An event for one waiter, which is reset when the waiter returns; if it is set already, `wait` returns at once."""

    def __init__(self) -> None:
        self._event: Any = None
        self._is_set = False

    def set(self) -> None:
        """Wake the waiter, or let the next `wait` return at once."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    async def wait(self, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""
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
    """An auto-reset event for one waiter, which any event loop or thread may set."""

    def __init__(self) -> None:
        from anyio import Event

        self._loop = current_loop()
        self._event = Event()

    def set(self) -> None:
        """Wake the waiter, or let the next `wait` return at once."""
        try:
            is_here = current_loop() is self._loop
        except RuntimeError:  # a thread without an event loop
            is_here = False
        if is_here:
            self._event.set()
        else:
            _call_soon(self._loop, lambda: self._event.set())

    async def wait(self, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""
        from anyio import Event, move_on_after

        with move_on_after(seconds):
            await self._event.wait()
        if self._event.is_set():
            self._event = Event()


def _call_soon(loop: Any, function: Callable[[], object]) -> None:
    """Have another event loop call a function, unless that loop has ended."""
    if is_over(loop):
        return
    if hasattr(loop, "call_soon_threadsafe"):
        loop.call_soon_threadsafe(function)
    else:
        loop.run_sync_soon(function)


class ClosedResource(Exception):
    """The queue is closed."""


class Queue(Generic[T]):
    """A queue between workers: first in, first out; the getter that has waited longest receives the next item.

    With a ``size``, putting waits while so many items are in it; with a size of 0 each item is passed directly from a
    putter to a getter. Every operation is O(1), also a wait that is given up.

    An item is never lost to a getter that is cancelled while it waits: if the item was assigned to the getter already,
    it goes to the next getter, or back to the head of the queue. anyio's memory object streams lose it when a native
    cancellation arrives between the two (tests/async_only/test_concurrency_cancellation.py shows it), and
    ``queue.Queue`` has no wait that can be interrupted. A put that is cancelled while it waits may have been completed.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._getters: OrderedDict[int, _Waiter] = OrderedDict()
        self._putters: OrderedDict[int, _Waiter] = OrderedDict()
        self.is_closed = False

    def __len__(self) -> int:
        """Return how many items are in it, not counting those of putters that wait for room."""
        return len(self._items)

    @property
    def waiting_getters(self) -> int:
        """How many getters wait for an item."""
        return len(self._getters)

    @property
    def waiting_putters(self) -> int:
        """How many putters wait for room."""
        return len(self._putters)

    def offer(self, item: T) -> bool:
        """Put an item in if there is room, and return whether there was.

        Raises:
            ClosedResource: the queue is closed.
        """
        if self.is_closed:
            raise ClosedResource
        if self._getters:
            self._getters.popitem(last=False)[1].complete(item)
        elif self._size is None or len(self._items) < self._size:
            self._items.append(item)
        else:
            return False
        return True

    async def put(self, item: T, seconds: float | None = None) -> None:
        """Put an item in, and wait for room if there is none.

        Raises:
            TimeoutError: there was no room within so many seconds.
            ClosedResource: the queue is closed.
        """
        if self.offer(item):
            return
        waiter = _Waiter(item)
        self._putters[id(waiter)] = waiter
        try:
            await waiter.wait(seconds)
        finally:
            self._putters.pop(id(waiter), None)
        if not waiter.is_done:
            raise TimeoutError
        if waiter.is_closed:
            raise ClosedResource

    async def get(self, seconds: float | None = None, on_wait: Callable[[], object] | None = None) -> T:
        """Remove the oldest item and return it; wait for one if the queue is empty.

        ``on_wait`` is called when this getter has to wait and is counted among those that do.

        Raises:
            TimeoutError: no item arrived within so many seconds.
            ClosedResource: the queue is closed, and empty.
        """
        if self._items or self._putters:
            return self._take()
        if self.is_closed:
            raise ClosedResource
        waiter = _Waiter()
        self._getters[id(waiter)] = waiter
        try:
            if on_wait is not None:
                on_wait()
            await waiter.wait(seconds)
        except BaseException:
            if waiter.is_done and not waiter.is_closed:
                self._put_back(waiter.item)
            raise
        finally:
            self._getters.pop(id(waiter), None)
        if not waiter.is_done:
            raise TimeoutError
        if waiter.is_closed:
            raise ClosedResource
        item: T = waiter.item
        return item

    def close(self) -> None:
        """Accept no more items, and wake all waiters; the items in the queue can still be taken."""
        self.is_closed = True
        for waiters in (self._getters, self._putters):
            while waiters:
                waiters.popitem(last=False)[1].close()

    def _take(self) -> T:
        if self._putters:
            waiter = self._putters.popitem(last=False)[1]
            self._items.append(waiter.item)
            waiter.complete(waiter.item)
        return self._items.popleft()

    def _put_back(self, item: T) -> None:
        if self._getters:
            self._getters.popitem(last=False)[1].complete(item)
        else:
            self._items.appendleft(item)


class _Waiter:
    """One wait at a queue."""

    __slots__ = ("_event", "is_closed", "is_done", "item")

    def __init__(self, item: Any = None) -> None:
        from anyio import Event

        self._event = Event()
        self.item = item
        self.is_done = self.is_closed = False

    def complete(self, item: Any) -> None:
        self.item, self.is_done = item, True
        self._event.set()

    def close(self) -> None:
        self.is_done = self.is_closed = True
        self._event.set()

    async def wait(self, seconds: float | None) -> None:
        from anyio import move_on_after

        if seconds is None:
            await self._event.wait()
            return
        with move_on_after(seconds):
            await self._event.wait()
