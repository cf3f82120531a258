"""Locks, events and queues between threads: the synchronous flavour."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import TIMEOUT_MAX, Event
from threading import Lock as _Lock
from typing import Any, Generic, TypeVar

from .cancellation import _current, checkpoint

T = TypeVar("T")


class Lock:
    """The library's lock (``threading.Lock``), whose acquisition can have a time limit."""

    def __init__(self) -> None:
        self._lock = _Lock()

    @contextmanager
    def within(self, seconds: float | None = None) -> Iterator[bool]:
        """Hold the lock for the time of a block; yields whether it was acquired within so many seconds."""
        if not self._lock.acquire(timeout=_timeout(seconds)):
            yield False
            return
        try:
            yield True
        finally:
            self._lock.release()


class AutoResetEvent:
    """An event for one waiter, which is reset when the waiter returns; if it is set already, `wait` returns at once."""

    def __init__(self) -> None:
        self._event = Event()

    def set(self) -> None:
        """Wake the waiter, or let the next `wait` return at once."""
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""
        self._event.wait(seconds)
        self._event.clear()


class ClosedResource(Exception):  # noqa: N818 - beside anyio.ClosedResourceError, and no error of the caller
    """The queue is closed."""


class Queue(Generic[T]):
    """A queue between workers: first in, first out; the getter that has waited longest receives the next item.

    With a ``size``, putting waits while so many items are in it; with a size of 0 each item is passed directly from a
    putter to a getter. Every operation is O(1), also a wait that is given up.

    An item is never lost to a getter that is cancelled while it waits: if the item was assigned to the getter already,
    it goes to the next getter, or back to the head of the queue. ``queue.Queue`` has no wait that the cancellation of a
    task group can interrupt, and before Python 3.13 it cannot be closed. A put that is cancelled while it waits may
    have been completed.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size
        self._lock = _Lock()
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
        with self._lock:
            return self._offer(item)

    def _offer(self, item: T) -> bool:
        if self.is_closed:
            raise ClosedResource
        if self._getters:
            self._getters.popitem(last=False)[1].complete(item)
        elif self._size is None or len(self._items) < self._size:
            self._items.append(item)
        else:
            return False
        return True

    def put(self, item: T, seconds: float | None = None) -> None:
        """Put an item in, and wait for room if there is none.

        Raises:
            TimeoutError: there was no room within so many seconds.
            ClosedResource: the queue is closed.
        """
        checkpoint()
        with self._lock:
            if self._offer(item):
                return
            waiter = _Waiter(item)
            self._putters[id(waiter)] = waiter
        try:
            waiter.wait(seconds)
        finally:
            with self._lock:
                self._putters.pop(id(waiter), None)
        if not waiter.is_done:
            raise TimeoutError
        if waiter.is_closed:
            raise ClosedResource

    def get(self, seconds: float | None = None, on_wait: Callable[[], object] | None = None) -> T:
        """Remove the oldest item and return it; wait for one if the queue is empty.

        ``on_wait`` is called when this getter has to wait and is counted among those that do.

        Raises:
            TimeoutError: no item arrived within so many seconds.
            ClosedResource: the queue is closed, and empty.
        """
        checkpoint()
        with self._lock:
            if self._items or self._putters:
                return self._take()
            if self.is_closed:
                raise ClosedResource
            waiter = _Waiter()
            self._getters[id(waiter)] = waiter
        try:
            if on_wait is not None:
                on_wait()
            waiter.wait(seconds)
        except BaseException:
            with self._lock:
                self._getters.pop(id(waiter), None)
                if waiter.is_done and not waiter.is_closed:
                    self._put_back(waiter.item)
            raise
        with self._lock:
            self._getters.pop(id(waiter), None)
        if not waiter.is_done:
            raise TimeoutError
        if waiter.is_closed:
            raise ClosedResource
        item: T = waiter.item
        return item

    def close(self) -> None:
        """Accept no more items, and wake all waiters; the items in the queue can still be taken."""
        with self._lock:
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
    """One wait, which ends also when the task group of its thread is cancelled.

    Invariant: a waiter registers with its task group before it looks whether that is cancelled, and the group sets its
    flag before it wakes the registered waiters; so a cancellation is either seen by the look or wakes the wait.
    """

    __slots__ = ("_lock", "is_closed", "is_done", "item")

    def __init__(self, item: Any = None) -> None:
        self._lock = _Lock()
        self._lock.acquire()
        self.item = item
        self.is_done = self.is_closed = False

    def complete(self, item: Any) -> None:
        self.item, self.is_done = item, True
        self.wake()

    def close(self) -> None:
        self.is_done = self.is_closed = True
        self.wake()

    def wake(self) -> None:
        with suppress(RuntimeError):  # woken already
            self._lock.release()

    def wait(self, seconds: float | None) -> None:
        if (task_group := _current.task_group) is None:
            self._lock.acquire(timeout=_timeout(seconds))
            return
        with task_group.registered(self):
            task_group.check()
            self._lock.acquire(timeout=_timeout(seconds))
        if not self.is_done:
            task_group.check()


def _timeout(seconds: float | None) -> float:
    """Return a timeout as the locks of `threading` take it."""
    return -1 if seconds is None else min(max(seconds, 0), TIMEOUT_MAX)


class ThreadSafeEvent:
    """An auto-reset event for one waiter, which any thread may set."""

    def __init__(self) -> None:
        self._waiter = _Waiter()

    def set(self) -> None:
        """Wake the waiter, or let the next `wait` return at once."""
        self._waiter.wake()

    def wait(self, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""
        self._waiter.wait(seconds)
