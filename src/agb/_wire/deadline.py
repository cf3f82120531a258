"""Deadlines: the time left for a call, passed from step to step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Clock = Callable[[], float]
"""A monotonic clock in seconds, such as `time.monotonic`."""


LATE = 1.0
"""Seconds after a deadline from which on an error also says how much time has passed."""
LONGEST_WAIT = 1e6
"""Seconds, more than a week: the most that a deadline allows a step. Sockets and locks accept no more than 24 days."""


class Deadline:
    """The time by which a call must have ended; the limit of every connect, write, read and sleep is the time left.

    A method of several calls passes one deadline to all of them, or a part of it (`part`). The text of a part names the
    deadline that the caller has set, not the rest of it that the part had.
    """

    __slots__ = ("_clock", "_end", "_whole", "seconds")

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds
        self._whole: Deadline | None = None
        """The deadline that this one is the rest of."""

    def part(self, seconds: float = float("inf"), grace: float = 0.0) -> Deadline:
        """Return the deadline of a step: it may take so many seconds, but no longer than this deadline and ``grace``.

        At least a millisecond is left, so that the step fails by its time-out, in its own way.
        """
        left = max(0.001, self._end + grace - self._clock())
        step = Deadline(min(seconds, left), self._clock)
        if seconds >= left:
            step._whole = self._whole or self
        return step

    def left(self) -> float:
        """Return the seconds left, never less than zero, and never more than the system can wait."""
        return min(max(0.0, self._end - self._clock()), LONGEST_WAIT)

    def phase(self, name: str) -> Deadline:
        """Return the deadline of a phase ("pool", "connect", "write", "read"): this one covers all of them."""
        del name
        return self

    @property
    def description(self) -> str:
        """The text for errors when it has passed: "within 60 s", and how long it took if that was much longer."""
        whole = self._whole or self
        elapsed = whole.seconds + self._clock() - whole._end
        more = f" ({elapsed:.1f} s have passed)" if LATE <= elapsed - whole.seconds < float("inf") else ""
        return f"within {whole.seconds:g} s{more}"

    def __repr__(self) -> str:
        return f"<Deadline of {self.seconds:g} s, {self.left():.3f} s left>"


class IdleTimeout(Deadline):
    """A limit for each step of a transfer of any size, and for the whole transfer only if ``seconds`` is given."""

    __slots__ = ("_step",)

    def __init__(self, step: float, seconds: float | None = None, clock: Clock = time.monotonic) -> None:
        super().__init__(float("inf") if seconds is None else seconds, clock)
        self._step = step

    def left(self) -> float:
        """Return the seconds that the next step may take, never less than zero."""
        return min(self._step, super().left())

    @property
    def description(self) -> str:
        """The text for errors: "within 600 s", or "for 60 s" when a step has taken so long."""
        return super().description if super().left() <= 0 else f"for {self._step:g} s"


_TOO_LONG = 1e308
"""Seconds that, added to a clock, are no number any more."""


def check_timeout(timeout: float | None, name: str = "timeout", unit: str = "seconds") -> None:
    """Raise `TypeError` or `ValueError` unless ``timeout`` is a positive number or None."""
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{name} is a number of {unit}, not {type(timeout).__name__} ({timeout!r})")
    if not 0 < timeout < _TOO_LONG:
        raise ValueError(f"{name} is a number of {unit} above zero, not {timeout!r}")


class PhaseTimeouts(Deadline):
    """A limit for each phase, as in httpx: for the whole wait for a connection, for each read, for each write."""

    __slots__ = ("_limits",)

    def __init__(self, limits: Mapping[str, float | None], clock: Clock = time.monotonic) -> None:
        super().__init__(LONGEST_WAIT, clock)
        self._limits = limits

    def phase(self, name: str) -> Deadline:
        """Return the deadline of a phase that begins now; a phase without a limit gets a very late one."""
        limit = self._limits.get(name)
        return Deadline(LONGEST_WAIT if limit is None else limit, self._clock)
