"""Deadlines: the time left for a call, handed down from step to step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Clock = Callable[[], float]
"""Seconds that only ever grow, like `time.monotonic`."""


class Deadline:
    """A point in time by which a call must be over; every connect, write, read and sleep takes what is left."""

    __slots__ = ("_clock", "_end", "seconds")

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Return the seconds left, never less than zero."""
        return max(0.0, self._end - self._clock())

    def phase(self, name: str) -> Deadline:
        """Return the deadline of a phase ("pool", "connect", "write", "read"): this one, which is for all of them."""
        del name
        return self

    @property
    def description(self) -> str:
        """What is said when it is over: "within 60 s"."""
        return f"within {self.seconds:g} s"

    def __repr__(self) -> str:
        return f"<Deadline of {self.seconds:g} s, {self.left():.3f} s left>"


class IdleTimeout(Deadline):
    """The time for what may be of any size: so long for each step, and a limit to all of it only if one is given."""

    __slots__ = ("_step",)

    def __init__(self, step: float, seconds: float | None = None, clock: Clock = time.monotonic) -> None:
        super().__init__(float("inf") if seconds is None else seconds, clock)
        self._step = step

    def left(self) -> float:
        """Return the seconds that the next step may take, never less than zero."""
        return min(self._step, super().left())

    @property
    def description(self) -> str:
        """What is said when it is over: "within 600 s", or "for 60 s" when nothing moved for so long."""
        return super().description if super().left() <= 0 else f"for {self._step:g} s"


def check_timeout(timeout: float | None, name: str = "timeout", unit: str = "seconds") -> None:
    """Raise `TypeError` or `ValueError` unless ``timeout`` is a positive number or None."""
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{name} is a number of {unit}, not {type(timeout).__name__} ({timeout!r})")
    if not 0 < timeout < float("inf"):
        raise ValueError(f"{name} is a number of {unit} above zero, not {timeout!r}")


class PhaseTimeouts(Deadline):
    """Times for each phase, as httpx has them: all of the waiting for a connection, each read, each write."""

    __slots__ = ("_limits",)

    def __init__(self, limits: Mapping[str, float | None], clock: Clock = time.monotonic) -> None:
        super().__init__(_FOREVER, clock)
        self._limits = limits

    def phase(self, name: str) -> Deadline:
        """Return the deadline of a phase that begins now; none is as good as a very late one."""
        limit = self._limits.get(name)
        return Deadline(_FOREVER if limit is None else limit, self._clock)


_FOREVER = 1e6
"""Seconds; what waits takes no infinity."""
