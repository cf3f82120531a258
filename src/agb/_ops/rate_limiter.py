"""The AIMD rate limiter: how fast sessions may be created, adapted to the service's refusals.

A token bucket whose rate is the user's limit, or less: additive increase, multiplicative decrease, as in TCP. It is
plain arithmetic over times that the caller passes, so it serves both flavours and every event loop. The libraries for
rate limits (aiolimiter, limits, pyrate-limiter) have fixed rates, clocks of their own and no pauses, so none is used.
"""

from __future__ import annotations

from collections import deque

SLOWEST = 4.0
"""Creations per second below which refusals do not lower the rate: from there on only the pauses become longer. A
service that refuses a share of all requests, however slow they are, would otherwise stop the client."""
GROWTH = 0.05
"""The share of the rate at the last refusal by which the rate grows per second of successful creations."""
RECOVERED = 2.0
"""The multiple of that rate at which a client without a limit of its own has no limit again."""
FIRST_PAUSE = 0.25
"""Seconds without a creation after a refusal, also with a shorter Retry-After; doubled by each further one in a row."""
LONGEST_PAUSE = 10.0
WINDOW = 1.0
"""Seconds over which the rate of a client without a limit is measured."""


class AIMDRateLimiter:
    """The time at which the next creation may begin.

    Invariants:

    - Between two times ``a < b`` at most ``burst + per_second * (b - a)`` creations begin, whatever the service
      answers: tokens are added for time that has passed, once, and never beyond the capacity of the bucket. The
      capacity is ``burst``, and 1 while the rate is lowered, so that a pause is not followed by a burst of all waiting
      callers.
    - One overload halves the rate once. Requests that began before the rate was lowered say nothing about the lower
      rate, so their refusals extend the pause and change nothing else, and their successes are ignored.
    - The rate grows with successes only, by ``GROWTH`` of the rate at the last refusal per second at most: each success
      adds the share of a second that one creation stands for at the current rate. It ends at the user's limit; without
      one, at ``RECOVERED`` times the rate at the last refusal there is no limit again.

    It is not thread-safe: the caller holds a lock.

    Args:
        per_second: the user's limit, None for none.
        burst: how many creations may begin at once after a period without any.

    Attributes:
        rate: creations per second at the moment, None for no limit.
        paused_until: the time until which none may begin; 0 if there was no pause.
    """

    def __init__(self, per_second: float | None = None, burst: int = 1) -> None:
        self._limit = per_second
        self._burst = burst
        self.rate = per_second
        self.paused_until = 0.0
        self._tokens = float(burst)
        self._filled_at = 0.0
        self._begun: deque[float] = deque()
        self._lowered_at = float("-inf")
        self._refused_rate = 0.0  # the rate at the last refusal; 0 if the rate is not lowered
        self._refusals = 0  # in a row

    @property
    def is_lowered(self) -> bool:
        """Whether the rate is below the user's limit, because of refusals."""
        return self._refused_rate > 0

    def wait(self, now: float) -> float:
        """Return the seconds until a creation may begin."""
        pause = max(0.0, self.paused_until - now)
        if self.rate is None:
            return pause
        self._fill(now)
        return max(pause, self._filled_at - now + (1 - self._tokens) / self.rate) if self._tokens < 1 else pause

    def begin(self, now: float) -> None:
        """Record that a creation begins; `wait` must have returned 0."""
        self._begun.append(now)
        self._forget_before(now - WINDOW)
        if self.rate is not None:
            self._fill(now)
            self._tokens -= 1

    def refused(self, begun: float, now: float, retry_after: float | None) -> None:
        """Record that the service refused a creation that began at ``begun``, because there are too many."""
        if self.rate is not None:
            self._fill(now)
        if begun >= self._lowered_at:
            self._lower(now)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._refusals - 1, 30))
        self.paused_until = max(self.paused_until, now + max(pause, retry_after or 0.0))
        self._leave_one_token(now)

    def _lower(self, now: float) -> None:
        """Halve the rate: the one that was reached, if that is less than the one that was allowed."""
        self._forget_before(now - WINDOW)
        measured = len(self._begun) / WINDOW
        self._refused_rate = max(2 * SLOWEST, measured if self.rate is None else min(self.rate, max(measured, 1.0)))
        self.rate = max(SLOWEST, self._refused_rate / 2)
        if self._limit is not None:
            self.rate = min(self.rate, self._limit)
        self._lowered_at = now
        self._refusals += 1

    def _leave_one_token(self, now: float) -> None:
        """Leave one token at most at the end of the pause: one creation may begin then, the others at the rate.

        Without a limit of the user, that token is there. With one, it must have been gained at the rate, until the end
        of the pause, for the limit holds across pauses as well.
        """
        assert self.rate is not None  # it was set by the first refusal
        end = max(self.paused_until, self._filled_at, now)
        gained = 1.0 if self._limit is None else self._tokens + (end - max(self._filled_at, now)) * self.rate
        self._tokens, self._filled_at = min(1.0, gained), end

    def succeeded(self, begun: float) -> None:
        """Record that a creation that began at ``begun`` has made a session."""
        if begun < self._lowered_at:
            return
        self._refusals = 0
        if self.rate is None or not self.is_lowered:
            return
        self.rate += max(self._refused_rate, 1.0) * GROWTH / max(self.rate, GROWTH)
        if self._limit is not None and self.rate >= self._limit:
            self.rate, self._refused_rate = self._limit, 0.0
        elif self._limit is None and self.rate >= RECOVERED * self._refused_rate:
            self.rate, self._refused_rate = None, 0.0

    def _fill(self, now: float) -> None:
        """Add the tokens for the time that has passed; during a pause `_filled_at` is in the future."""
        assert self.rate is not None  # the caller has checked it
        if now > self._filled_at:
            capacity = 1.0 if self.is_lowered else float(self._burst)
            self._tokens = min(capacity, self._tokens + (now - self._filled_at) * self.rate)
            self._filled_at = now

    def _forget_before(self, time: float) -> None:
        while self._begun and self._begun[0] <= time:
            self._begun.popleft()
