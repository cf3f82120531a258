"""Locks, events and queues between tasks: the synchronous flavour."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import TIMEOUT_MAX, Event
from threading import Lock as _Lock
from typing import Any, Generic, TypeVar

from .cancellation import _mine, checkpoint

T = TypeVar("T")


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


class AutoResetEvent:
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
            raise ClosedResource
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
            raise ClosedResource

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
                raise ClosedResource
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
            raise ClosedResource
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


class ThreadSafeEvent:
    """Wakes the one who waits for it; may be rung from any thread."""

    def __init__(self) -> None:
        self._wait = _Wait()

    def set(self) -> None:
        """Wake the one who waits, or the next time that it waits."""
        self._wait.wake()

    def wait(self, seconds: float) -> None:
        """Return when the bell was rung, or after so many seconds."""
        self._wait.until_over(seconds)
