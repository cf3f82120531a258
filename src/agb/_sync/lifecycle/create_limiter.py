# Generated from src/agb/_async/lifecycle/create_limiter.py by tools/unasync.py. Do not edit.
"""The create limiter of a client: when a session may be created, and how many sessions there may be."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..._ops import sessions as ops
from ..._ops.rate_limiter import AIMDRateLimiter
from ..._wire.call import Call
from ..._wire.deadline import Clock, Deadline
from ..._wire.reply import error_for
from ..._wire.retry import asks_to_slow_down
from ...exceptions import AGBError, ErrorKind
from ...limits import Limits
from .._compat.primitives import ThreadSafeEvent

if TYPE_CHECKING:
    from ...stats import CreationStats
    from ..api import API

POLL_EVERY = 5.0
"""Seconds between two status calls for live sessions while a creation waits for one of them to end."""
QUOTA_ATTEMPTS = 3
"""Attempts of a creation that is refused because of a quota of the account, which may stay exhausted for hours."""


CREATE_ATTEMPTS = 12
"""Attempts of a creation that is refused because of the service's load; their pauses add up to more than a minute."""


def is_gone(api: API, session_id: str, deadline: Deadline) -> bool:
    """Return whether the service reports, by the deadline, that a session is gone."""
    try:
        status, _ = api.call(ops.get_session_info(session_id), deadline=deadline.part(api.timeout), is_retried=False)
    except AGBError as error:
        return ops.is_gone("", error)
    return ops.is_gone(status, None)


class CreateLimiter:
    """Lets creations begin in the order in which they were requested, as fast and as many as the limits allow.

    A client has one, shared by all its event loops and threads. Each attempt to create a session is a block::

        slot = limiter.slot(call, deadline)
        with slot:
            data, request_id = attempt()
            slot.created(data.session_id)

    Invariants:

    - All state is changed under one lock, which is never held while waiting. Queueing, leaving the queue and giving up
      are O(1).
    - Only the first in the queue looks at the clock and at the limits. Its event is set whenever what it waits for may
      have changed: a slot was released, a session has ended, or the first before it has left the queue. So no wake-up
      is lost, and the others sleep until they are the first.
    - A slot that is entered again, after a refusal, goes to the front: it has waited longest.
    - ``live sessions + slots in use`` never exceeds ``Limits.sessions``: a new session is counted as live before its
      slot is released. A session that ends by itself is noticed by polling, the one that was polled longest ago first,
      and only while a creation waits for it.

    Args:
        limits: what the user allows.
        is_gone: asks the service whether a session is gone, by a deadline.
        clock: returns the time.
        wait: waits for an event for so many seconds at most.
    """

    def __init__(
        self,
        limits: Limits,
        is_gone: Callable[[str, Deadline], bool],
        clock: Clock = time.monotonic,
        wait: Callable[[ThreadSafeEvent, float], None] = ThreadSafeEvent.wait,
    ) -> None:
        self._limits = limits
        self._is_gone = is_gone
        self._clock, self._wait = clock, wait
        self._rate = AIMDRateLimiter(limits.creates_per_second, limits.create_burst)
        self._lock = Lock()
        self._queue: OrderedDict[ThreadSafeEvent, None] = OrderedDict()
        self._live: OrderedDict[str, None] = OrderedDict()
        self._in_use = self._done = self._failed = self._refused = 0

    def slot(self, call: Call[Any], deadline: Deadline) -> CreateSlot:
        """Return the slot of one creation, to be entered once for each attempt.

        Args:
            call: the creation, as errors describe it.
            deadline: the time for all of it, waiting included.
        """
        return CreateSlot(self, call, deadline)

    # --- sessions ------------------------------------------------------------------------------------------------

    def gone(self, session_id: str) -> None:
        """Record that a session is gone, whichever client has created it."""
        with self._lock:
            was_live = session_id in self._live
            self._live.pop(session_id, None)
            if was_live:
                self._wake_first()

    def is_live(self, session_id: str) -> bool:
        """Return whether a session that this client has created is not known to be gone."""
        with self._lock:
            return session_id in self._live

    # --- slots ---------------------------------------------------------------------------------------------------

    def acquire(self, call: Call[Any], deadline: Deadline, *, is_retry: bool) -> float:
        """Wait until a creation may begin, and return the time at which it does.

        Raises:
            AGBError: it may not begin in time, or too many creations wait already.
        """
        with self._lock:
            now = self._clock()
            if (is_retry or not self._queue) and not self._is_full() and self._rate.wait(now) <= 0:
                return self._begin(now)
            if not is_retry and len(self._queue) >= self._limits.waiting:
                raise self._queue_full(call)
            event = ThreadSafeEvent()
            self._queue[event] = None
            if is_retry:
                self._queue.move_to_end(event, last=False)
        try:
            return self._wait_in_queue(event, call, deadline, now + POLL_EVERY)
        finally:
            with self._lock:
                self._queue.pop(event)
                self._wake_first()

    def _wait_in_queue(self, event: ThreadSafeEvent, call: Call[Any], deadline: Deadline, next_poll: float) -> float:
        while True:
            polled = ""
            with self._lock:
                now, left = self._clock(), deadline.left()
                seconds = left
                if self._first() is event and self._is_full():
                    seconds = next_poll - now
                    polled = self._next_to_poll() if seconds <= 0 else ""
                elif self._first() is event:
                    seconds = self._rate.wait(now)
                    if seconds <= 0 < left:
                        return self._begin(now)
                    if seconds >= left:  # known already now
                        raise self._too_late(call, deadline, now)
                if left <= 0:
                    raise self._too_late(call, deadline, now)
            if polled:
                if self._is_gone(polled, deadline):
                    self.gone(polled)
                next_poll = self._clock() + POLL_EVERY
            else:
                self._wait(event, min(left, max(seconds, 0.001)))

    def release(self) -> None:
        """Record that an attempt has ended, with or without a session."""
        with self._lock:
            self._in_use -= 1
            self._wake_first()

    def succeeded(self, begun: float, session_id: str) -> None:
        """Record the session that was created by an attempt that began at ``begun``."""
        with self._lock:
            self._live[session_id] = None
            self._rate.succeeded(begun)
            self._done += 1

    def failed(self, error: AGBError, begun: float, deadline: Deadline, attempts: int) -> bool:
        """Record that an attempt failed; return whether to try again, after a refusal, and if there is time left."""
        with self._lock:
            if asks_to_slow_down(error):
                now = self._clock()
                self._refused += 1
                self._rate.refused(begun, now, error.retry_after)
                error.extra["attempts"] = attempts
                most = QUOTA_ATTEMPTS if "quota" in error.code.lower() else CREATE_ATTEMPTS
                if attempts < most and self._rate.wait(now) < deadline.left():
                    return True
            self._failed += 1
        return False

    def _begin(self, now: float) -> float:
        self._rate.begin(now)
        self._in_use += 1
        return now

    def _first(self) -> ThreadSafeEvent | None:
        return next(iter(self._queue), None)

    def _wake_first(self) -> None:
        first = self._first()
        if first is not None:
            first.set()

    def _is_full(self) -> bool:
        most = self._limits.sessions
        return most is not None and len(self._live) + self._in_use >= most

    def _next_to_poll(self) -> str:
        """Return the live session that was polled longest ago, and move it to the end."""
        session_id = next(iter(self._live), "")
        if session_id:
            self._live.move_to_end(session_id)
        return session_id

    # --- reports -------------------------------------------------------------------------------------------------

    def stats(self) -> CreationStats:
        """Return the state of the creations."""
        from ...stats import CreationStats

        with self._lock:
            now = self._clock()
            return CreationStats(
                waiting=len(self._queue),
                under_way=self._in_use,
                done=self._done,
                failed=self._failed,
                refused=self._refused,
                rate=self._rate.rate,
                paused_for=max(0.0, self._rate.paused_until - now),
                sessions=len(self._live),
                held_up_by=self._held_up_by(now) if self._queue else "",
            )

    def _held_up_by(self, now: float) -> str:
        limits = self._limits
        if self._is_full():
            more = f", and {self._in_use:,} are being created" if self._in_use else ""
            return f"{len(self._live):,} sessions of this client are alive{more}; Limits(sessions={limits.sessions})"
        if now < self._rate.paused_until:
            return f"the service asked to slow down; no creation begins for {self._rate.paused_until - now:.3g} s"
        if self._rate.is_lowered:
            return f"the service asked to slow down; {self._rate.rate:.3g} creations begin per second"
        if self._rate.rate is not None:
            return f"Limits(creates_per_second={limits.creates_per_second:g})"
        return "the next creation begins at once"

    def _queue_full(self, call: Call[Any]) -> AGBError:
        why = f"{len(self._queue):,} creations wait already, as many as Limits(waiting={self._limits.waiting}) allows"
        return error_for(call, why, ErrorKind.UNREACHABLE, busy=True)

    def _too_late(self, call: Call[Any], deadline: Deadline, now: float) -> AGBError:
        """Return the error for a creation that cannot begin before its deadline."""
        pause = self._rate.paused_until - now
        others = f"; {len(self._queue) - 1:,} others wait" if len(self._queue) > 1 else ""
        return error_for(
            call,
            f"it could not begin {deadline.description}: {self._held_up_by(now)}{others}",
            ErrorKind.RATE_LIMITED if pause > 0 else ErrorKind.TIMED_OUT,
            retry_after=pause if pause > 0 else None,
            busy=True,
        )


class CreateSlot:
    """The permission to send the request of one creation; entered once for each attempt.

    Entering waits until the limits allow the attempt, and leaving releases the slot, however the block is left.
    """

    def __init__(self, limiter: CreateLimiter, call: Call[Any], deadline: Deadline) -> None:
        self._limiter, self._call, self._deadline = limiter, call, deadline
        self._attempts = 0
        self._begun = 0.0

    def __enter__(self) -> Self:
        self._begun = self._limiter.acquire(self._call, self._deadline, is_retry=self._attempts > 0)
        self._attempts += 1
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._limiter.release()

    def created(self, session_id: str) -> None:
        """Record the session that this attempt has created."""
        self._limiter.succeeded(self._begun, session_id)

    def may_retry(self, error: AGBError) -> bool:
        """Record that this attempt failed; return whether to enter the slot again."""
        return self._limiter.failed(error, self._begun, self._deadline, self._attempts)
