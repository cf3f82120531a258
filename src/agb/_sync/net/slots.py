# Generated from src/agb/_async/net/slots.py by tools/unasync.py. Do not edit.
"""Connection slots: which request may use which connection, and which requests wait. No I/O happens here.

A slot (`Connection`) is either idle, or has an owner (`PoolRequest`), so none is lost. When all slots are taken,
requests wait in a queue, and a slot that becomes free is handed to the first of them, whatever connection is open in
it. Its new owner closes that connection and opens another one if it leads elsewhere or is dead. So while a request
waits, no slot is idle, and the queue never has to be searched: enqueueing, leaving and serving cost the same for one
request and for ten thousand.

The invariant under cancellation and Ctrl-C. A slot is given to its next owner before it is taken out of where it was.
A function that is interrupted between the two lines leaves the slot in two places, never in none, and every request
comes to `release` in the end, which looks at what the request holds and puts it right. Functions that are called with
the lock held say so; the lock is never held across a wait.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Hashable
from threading import Lock

import httpcore

from ..._wire.deadline import Deadline
from ..._wire.proxy import Route
from ...limits import Limits, PoolStats
from .._compat.primitives import ThreadSafeEvent
from .connection import Connection


class PoolTimeout(httpcore.PoolTimeout):
    """No connection slot became free in time, by this client's own limits."""


class PoolQueueFull(httpcore.ConnectError):
    """As many requests wait for a connection slot as `Limits.waiting` allows."""

    is_busy = True


class PoolRequest:
    """One request at the pool, from asking for a connection slot to giving it back."""

    __slots__ = ("connection", "event", "is_transfer", "route")

    def __init__(self, route: Route, *, is_transfer: bool = False) -> None:
        self.route = route
        self.is_transfer = is_transfer
        self.connection: Connection | None = None
        """The slot that the request owns, or was about to own when it was interrupted."""
        self.event: ThreadSafeEvent | None = None
        """Set when the request gets a slot; made when the request has to wait."""

    @property
    def held(self) -> Connection:
        """The slot of a request that has one."""
        assert self.connection is not None  # asked for a request that has one
        return self.connection


class ConnectionSlots:
    """The slots of one pool, its idle connections, and its two wait queues."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most_transfers = max(1, limits.connections * 3 // 4)
        self._lock = Lock()
        self._slots: set[Connection] = set()
        self._idle: OrderedDict[Hashable, deque[Connection]] = OrderedDict()
        """Idle connections by where they lead, a stack each; the destination used last is last."""
        self._queue: OrderedDict[PoolRequest, None] = OrderedDict()
        self._transfers: set[PoolRequest] = set()
        """Transfers that were admitted; they take three quarters of the slots at most."""
        self._transfer_queue: OrderedDict[PoolRequest, None] = OrderedDict()
        self._longest_wait = 0.0
        self._dropped: deque[PoolRequest] = deque()

    @property
    def count(self) -> int:
        """How many slots are in use or idle."""
        return len(self._slots)

    def stats(self, opened: int) -> PoolStats:
        """Return how many connections there are, and how many requests wait."""
        self._release_dropped()
        with self._lock:
            idle = sum(map(len, self._idle.values()))
            slots, waiting = len(self._slots), len(self._queue) + len(self._transfer_queue)
        return PoolStats(slots, idle, slots - idle, waiting, opened, self._longest_wait)

    # --- acquiring -----------------------------------------------------------------------------------------------

    def acquire(self, request: PoolRequest, deadline: Deadline) -> None:
        """Give a request a slot; wait for one if all are taken.

        Raises:
            PoolTimeout: no slot became free by the deadline.
            PoolQueueFull: too many requests wait already.
        """
        self.try_acquire(request)
        if request.connection is None:
            self._wait(request, deadline.phase("pool"))

    def try_acquire(self, request: PoolRequest) -> None:
        """Give a request a slot if one is free now, or enqueue it; calling it again changes nothing."""
        self._release_dropped()
        with self._lock:
            if request.connection is not None or request in self._queue or request in self._transfer_queue:
                return
            if request.is_transfer and request not in self._transfers:
                if len(self._transfers) >= self._most_transfers:
                    self._enqueue(request, self._transfer_queue)
                    return
                self._transfers.add(request)
            if self._queue:
                self._enqueue(request, self._queue)
                return
            idle = self._idle.get(request.route.key)
            if idle:
                self._own(request, idle[-1])
            elif len(self._slots) < self._limits.connections:
                self._own(request, Connection())
            elif (other := self._least_recently_used()) is not None:
                self._own(request, other)
            else:
                self._enqueue(request, self._queue)

    def _wait(self, request: PoolRequest, deadline: Deadline) -> None:
        """Wait until the request has a slot; a transfer waits in two queues, one after the other."""
        began = time.monotonic()
        try:
            while request.connection is None:
                seconds = deadline.left()
                if seconds <= 0 or request.event is None:
                    raise PoolTimeout(self._timeout_text(request))
                request.event.wait(seconds)
                self.try_acquire(request)  # an admitted transfer goes to the second queue
            if deadline.left() <= 0:
                raise PoolTimeout(self._timeout_text(request))
        finally:
            self._longest_wait = max(self._longest_wait, time.monotonic() - began)

    def _timeout_text(self, request: PoolRequest) -> str:
        most, which = self._limits.connections, "connections"
        if request.is_transfer and request not in self._transfers:
            most, which = self._most_transfers, "connections that transfers may take"
        return f"waited for one of {most:,} {which}, all of them in use (Limits.connections)"

    def _enqueue(self, request: PoolRequest, queue: OrderedDict[PoolRequest, None]) -> None:
        """Put a request at the end of a queue; called with the lock held."""
        waiting = len(self._queue) + len(self._transfer_queue)
        if request.event is None and waiting >= self._limits.waiting:
            raise PoolQueueFull(
                f"{waiting:,} requests wait already for one of {self._limits.connections:,} connections, "
                f"as many as Limits(waiting={self._limits.waiting}) allows"
            )
        request.event = request.event or ThreadSafeEvent()
        queue[request] = None

    def _own(self, request: PoolRequest, slot: Connection) -> None:
        """Give a slot to a request; called with the lock held."""
        request.connection = slot
        slot.owner = request
        self._slots.add(slot)
        self._no_longer_idle(slot)

    def _no_longer_idle(self, slot: Connection) -> None:
        """Take a slot out of the first or the last position of its stack; called with the lock held."""
        idle = self._idle.get(slot.key)
        if not idle:
            return
        if idle[-1] is slot:
            idle.pop()
        elif idle[0] is slot:
            idle.popleft()
        if not idle:
            del self._idle[slot.key]

    def _least_recently_used(self) -> Connection | None:
        """Return the idle connection unused for longest, of the destination unused for longest; lock held."""
        while self._idle:
            key, idle = next(iter(self._idle.items()))
            if idle:
                return idle[0]
            del self._idle[key]
        return None

    def take_stale(self, request: PoolRequest) -> bool:
        """Give a request the idle connection unused for longest if that is dead; return whether it was."""
        with self._lock:
            idle = self._least_recently_used()
            if idle is None or idle.is_good():
                return False
            self._own(request, idle)
            return True

    # --- releasing -----------------------------------------------------------------------------------------------

    def owns(self, request: PoolRequest) -> bool:
        """Return whether a request still owns its slot.

        A slot that is among the idle ones and has an owner was about to be given back when its request was interrupted.
        """
        slot = request.connection
        if slot is None:
            return False
        with self._lock:
            if slot.owner is request and slot.is_open and slot.is_good() and slot in self._idle.get(slot.key, ()):
                slot.owner = None
            return slot.owner is request

    def release(self, request: PoolRequest) -> None:
        """Release all that a request holds, and assign it to the next ones; a second call changes nothing."""
        with self._lock:
            self._queue.pop(request, None)
            self._transfer_queue.pop(request, None)
            if request.is_transfer:
                self._transfers.discard(request)
                self._admit_transfers()
            slot = request.connection
            if slot is not None and slot.owner is request:
                self._pass_on(slot)
            if self._queue:
                self._admit()

    def drop(self, request: PoolRequest) -> None:
        """Release what a request holds whose answer was collected and not closed, as after Ctrl-C at a bad moment.

        Called by the garbage collector, at any line, so also by a thread that holds the lock: it only notes the
        request, and the next one that asks for a slot releases it. The connection is left to the collector as well.
        """
        self._dropped.append(request)

    def _release_dropped(self) -> None:
        while self._dropped:
            request = self._dropped.popleft()
            if self.owns(request):
                request.held.forget()
            self.release(request)

    def take_idle(self) -> list[Connection]:
        """Remove all idle connections, and return them to be closed."""
        with self._lock:
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle = OrderedDict()
            self._slots.difference_update(idle)
        return idle

    def _pass_on(self, slot: Connection) -> None:
        """Pass a slot to the first request in the queue, else keep its connection, else drop it; lock held."""
        self._admit()
        if self._queue:
            self._hand_over(slot)
        elif slot.is_open:
            idle = self._idle.get(slot.key)
            if idle is None:
                idle = self._idle[slot.key] = deque()
            else:
                self._idle.move_to_end(slot.key)
            idle.append(slot)
            slot.owner = None
        else:
            slot.owner = None
            self._slots.discard(slot)

    def _hand_over(self, slot: Connection) -> None:
        """Give a slot to the first request in the queue and wake it; called with the lock held."""
        request = next(iter(self._queue))
        self._own(request, slot)
        if request.event is not None:
            request.event.set()
        del self._queue[request]

    def _admit(self) -> None:
        """Serve the queue while there is room for more slots; called with the lock held."""
        while self._queue:
            request = next(iter(self._queue))
            if request.connection is not None:  # the hand-over was interrupted
                if request.event is not None:
                    request.event.set()
                del self._queue[request]
            elif len(self._slots) < self._limits.connections:
                self._hand_over(Connection())
            else:
                return

    def _admit_transfers(self) -> None:
        """Let transfers go on to the common queue; called with the lock held."""
        while self._transfer_queue and len(self._transfers) < self._most_transfers:
            request = next(iter(self._transfer_queue))
            self._transfers.add(request)
            if request.event is not None:
                request.event.set()
            del self._transfer_queue[request]
