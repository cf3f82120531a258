"""Pacing: how fast sessions may be created, which the service tells by refusing.

A token bucket, whose rate is the user's limit, or less: it is halved when the service says "slow down", and grows back
step by step with each creation that succeeds (as TCP does it). Plain arithmetic over a clock that others read.
"""

from __future__ import annotations

from collections import deque

SLOWEST = 4.0
"""Creations per second below which refusals do not bring the rate: the pauses do the rest, and longer ones each time,
while a service that refuses now and then, however slowly it is asked, would bring it to a standstill."""
GROWTH = 0.05
"""Which part of the rate at which the service refused is won back per second of creations that succeed."""
RECOVERED = 2.0
"""How many times that rate must be reached until a client without a limit of its own has none again."""
FIRST_PAUSE = 0.25
"""Seconds without a creation after a refusal that does not say how long; twice as many after each further one."""
LONGEST_PAUSE = 10.0
WINDOW = 1.0
"""Seconds over which the rate of a client without limits is measured."""


class Pace:
    """When the next creation may begin.

    Args:
        per_second: the user's limit, None for none.
        burst: how many may begin at once after a time of rest.

    Attributes:
        rate: creations per second at the moment, None for no limit.
        paused_until: until when none may begin, by the clock; 0 if never.
    """

    def __init__(self, per_second: float | None = None, burst: int = 1) -> None:
        self._limit = per_second
        self._burst = burst
        self.rate = per_second
        self.paused_until = 0.0
        self._tokens = float(burst)
        self._since = 0.0
        self._begun: deque[float] = deque()
        self._refused_at = float("-inf")  # when the rate was halved last
        self._refused_rate = 0.0  # what it was before
        self._refusals = 0  # in a row

    @property
    def is_slowed(self) -> bool:
        """Whether the rate is below what the user allows, because of the service."""
        return self._refused_rate > 0

    def wait(self, now: float) -> float:
        """Return the seconds until a creation may begin."""
        pause = max(0.0, self.paused_until - now)
        if self.rate is None:
            return pause
        self._fill(now)
        return max(pause, self._since - now + (1 - self._tokens) / self.rate) if self._tokens < 1 else pause

    def begin(self, now: float) -> None:
        """Note that a creation begins; `wait` must have said 0."""
        self._begun.append(now)
        while self._begun[0] <= now - WINDOW:
            self._begun.popleft()
        if self.rate is not None:
            self._fill(now)
            self._tokens -= 1

    def refused(self, begun: float, now: float, retry_after: float | None) -> None:
        """Note that the service refused a creation begun at that time, because there are too many.

        Those that were begun before the rate was halved do not halve it once more.
        """
        if self.rate is not None:
            self._fill(now)
        if begun >= self._refused_at:
            while self._begun and self._begun[0] <= now - WINDOW:
                self._begun.popleft()
            measured = len(self._begun) / WINDOW
            self._refused_rate = max(2 * SLOWEST, measured if self.rate is None else min(self.rate, max(measured, 1.0)))
            self.rate = max(SLOWEST, self._refused_rate / 2)
            if self._limit is not None:
                self.rate = min(self.rate, self._limit)
            self._refused_at = now
            self._refusals += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._refusals - 1, 30))
        self.paused_until = max(self.paused_until, now + (pause if retry_after is None else retry_after))
        # the first may begin when the pause is over, and the others one by one, not all at once
        assert self.rate is not None  # noqa: S101 - it was set when the service refused for the first time
        end = max(self.paused_until, self._since, now)
        # if the user's own limit, which goes on during the pause, lets it
        gained = 1.0 if self._limit is None else self._tokens + (end - max(self._since, now)) * self.rate
        self._tokens, self._since = min(1.0, gained), end

    def succeeded(self, begun: float) -> None:
        """Note that a session was made by a creation begun at that time."""
        if begun < self._refused_at:
            return
        self._refusals = 0
        if self.rate is None or not self.is_slowed:
            return
        self.rate += max(self._refused_rate, 1.0) * GROWTH / max(self.rate, GROWTH)
        if self._limit is not None and self.rate >= self._limit:
            self.rate, self._refused_rate = self._limit, 0.0
        elif self._limit is None and self.rate >= RECOVERED * self._refused_rate:
            self.rate, self._refused_rate = None, 0.0

    def _fill(self, now: float) -> None:
        assert self.rate is not None  # noqa: S101 - called with a rate only
        if now > self._since:
            most = 1.0 if self.is_slowed else float(self._burst)
            self._tokens = min(most, self._tokens + (now - self._since) * self.rate)
            self._since = now
