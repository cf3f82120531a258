"""The governor of a client: whose turn it is to create a session, and how many there may be."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..._ops import pacing
from ..._wire.call import Call
from ..._wire.deadline import Clock, Deadline
from ..._wire.reply import error_for
from ..._wire.retry import asks_to_slow_down
from ...exceptions import AGBError, ErrorKind
from ...limits import Limits
from ...results.sessions import GetSessionData
from .._compat.primitives import ThreadSafeEvent

if TYPE_CHECKING:
    from ...stats import CreationStats

LOOK_EVERY = 5.0
"""Seconds between two looks at live sessions while a creation waits for one of them to end."""
MOST_TRIES_AT_A_QUOTA = 3
"""How often a creation is tried that is refused because there are too many sessions, which may be so for hours."""

Created = tuple[GetSessionData, str]
"""The connection data of a new session, and the id of the request that gave it."""


class AsyncCreateLimiter:
    """Lets creations begin in the order they came, as fast and as many as limits and service allow.

    There is one for a client, whichever event loops and threads use it. Only the first in line looks at the clock; the
    others wait until they are the first. Joining, leaving and giving up are O(1).

    Args:
        limits: what the user allows.
        is_gone: asks the service whether a session is gone; used while there may be no more of them.
        clock: tells the time.
        wait: waits for a bell, not longer than so many seconds.
    """

    def __init__(
        self,
        limits: Limits,
        is_gone: Callable[[str], Awaitable[bool]],
        clock: Clock = time.monotonic,
        wait: Callable[[ThreadSafeEvent, float], Awaitable[None]] = ThreadSafeEvent.wait,
    ) -> None:
        self._limits = limits
        self._is_gone = is_gone
        self._clock, self._wait = clock, wait
        self._pace = pacing.Pace(limits.creates_per_second, limits.create_burst)
        self._lock = Lock()  # never held across a wait
        self._line: OrderedDict[ThreadSafeEvent, None] = OrderedDict()
        self._live: OrderedDict[str, None] = OrderedDict()
        self._under_way = self._done = self._failed = self._refused = 0

    # --- a creation's way ----------------------------------------------------------------------------------------

    async def create(self, call: Call[Any], deadline: Deadline, attempt: Callable[[], Awaitable[Created]]) -> Created:
        """Create a session when its turn comes, and again if the service asks to slow down and time is left.

        Args:
            call: what the creation is called in errors.
            deadline: its time, the waiting included.
            attempt: sends the request.

        Raises:
            AGBError: that of the attempt; or its turn does not come in time, or too many wait already.
        """
        attempts = 0
        while True:
            begun = await self._turn(call, deadline, is_back=attempts > 0)
            attempts += 1
            created = None
            try:
                created = await attempt()
            except AGBError as error:
                if not self._may_try_again(error, begun, deadline, attempts):
                    raise
            finally:
                self._end(begun, created)
            if created is not None:
                with self._lock:
                    self._done += 1
                return created

    def _may_try_again(self, error: AGBError, begun: float, deadline: Deadline, attempts: int) -> bool:
        """Note that a creation failed; return whether it was refused for now only, and there is time to come back."""
        with self._lock:
            if asks_to_slow_down(error):
                now = self._clock()
                self._refused += 1
                self._pace.refused(begun, now, error.retry_after)
                error.extra["attempts"] = attempts
                is_for_now = "quota" not in error.code.lower() or attempts < MOST_TRIES_AT_A_QUOTA
                if is_for_now and self._pace.wait(now) < deadline.left():
                    return True
            self._failed += 1
        return False

    def _end(self, begun: float, created: Created | None) -> None:
        with self._lock:
            self._under_way -= 1
            if created is not None:
                self._live[created[0].session_id] = None
                self._pace.succeeded(begun)
            first = self._first()
        if first is not None:
            first.set()

    def gone(self, session_id: str) -> None:
        """Note that a session is gone; it may be anybody's."""
        with self._lock:
            was_here = session_id in self._live
            self._live.pop(session_id, None)
            first = self._first() if was_here else None
        if first is not None:
            first.set()

    # --- waiting -------------------------------------------------------------------------------------------------

    async def _turn(self, call: Call[Any], deadline: Deadline, *, is_back: bool) -> float:
        """Wait until a creation may begin; return when it does. One that comes back is the first in line again."""
        with self._lock:
            now = self._clock()
            if (is_back or not self._line) and not self._is_full() and self._pace.wait(now) <= 0:
                return self._begin(now)
            if not is_back and len(self._line) >= self._limits.waiting:
                raise self._too_many(call)
            bell = ThreadSafeEvent()
            self._line[bell] = None
            if is_back:
                self._line.move_to_end(bell, last=False)
        next_look = now + LOOK_EVERY
        try:
            while True:
                looked_at = ""
                with self._lock:
                    now, left = self._clock(), deadline.left()
                    seconds = left
                    if self._first() is bell:
                        if self._is_full():
                            seconds = next_look - now
                            looked_at = self._next_to_look_at() if seconds <= 0 else ""
                        else:
                            seconds = self._pace.wait(now)
                            if seconds <= 0 < left:
                                return self._begin(now)
                            left = left if seconds < left else 0
                    if left <= 0:
                        raise self._too_late(call, deadline, now)
                if looked_at:
                    if await self._is_gone(looked_at):
                        self.gone(looked_at)
                    next_look = self._clock() + LOOK_EVERY
                else:
                    await self._wait(bell, min(left, max(seconds, 0.001)))
        finally:
            with self._lock:
                self._line.pop(bell)
                first = self._first()
            if first is not None:
                first.set()

    def _begin(self, now: float) -> float:
        self._pace.begin(now)
        self._under_way += 1
        return now

    def _first(self) -> ThreadSafeEvent | None:
        return next(iter(self._line), None)

    def _is_full(self) -> bool:
        most = self._limits.sessions
        return most is not None and len(self._live) + self._under_way >= most

    def _next_to_look_at(self) -> str:
        """Return the session that was not looked at for longest: it may have ended by itself."""
        session_id = next(iter(self._live), "")
        if session_id:
            self._live.move_to_end(session_id)
        return session_id

    # --- what it tells -------------------------------------------------------------------------------------------

    def stats(self) -> CreationStats:
        """Return how creations stand."""
        from ...stats import CreationStats

        with self._lock:
            now = self._clock()
            return CreationStats(
                waiting=len(self._line),
                under_way=self._under_way,
                done=self._done,
                failed=self._failed,
                refused=self._refused,
                rate=self._pace.rate,
                paused_for=max(0.0, self._pace.paused_until - now),
                sessions=len(self._live),
                held_up_by=self._held_up_by(now) if self._line else "",
            )

    def _held_up_by(self, now: float) -> str:
        most = self._limits
        if self._is_full():
            more = f", and {self._under_way:,} are being created" if self._under_way else ""
            return f"{len(self._live):,} sessions of this client are alive{more}; Limits(sessions={most.sessions})"
        if now < self._pace.paused_until:
            return f"the service asked to slow down; no creation begins for {self._pace.paused_until - now:.3g} s"
        if self._pace.is_slowed:
            return f"the service asked to slow down; {self._pace.rate:.3g} creations begin per second"
        if self._pace.rate is not None:
            return f"Limits(creates_per_second={most.creates_per_second:g})"
        return "its turn comes next"

    def _too_many(self, call: Call[Any]) -> AGBError:
        waiting = (
            f"{len(self._line):,} creations wait already, as many as Limits(waiting={self._limits.waiting}) allows"
        )
        return error_for(call, waiting, ErrorKind.UNREACHABLE, busy=True)

    def _too_late(self, call: Call[Any], deadline: Deadline, now: float) -> AGBError:
        """Return the error for a creation whose turn has not come in time, or will not."""
        pause = self._pace.paused_until - now
        others = f"; {len(self._line) - 1:,} others wait" if len(self._line) > 1 else ""
        return error_for(
            call,
            f"its turn did not come {deadline.description}: {self._held_up_by(now)}{others}",
            ErrorKind.RATE_LIMITED if pause > 0 else ErrorKind.TIMED_OUT,
            retry_after=pause if pause > 0 else None,
            busy=True,
        )
