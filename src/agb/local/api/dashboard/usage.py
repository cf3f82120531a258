"""What sessions use over time: processor, memory and disk, measured while somebody looks at the dashboard."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from attrs import define, field, frozen

from ...sessions.metrics import Meter
from ...sessions.runtime import Runtime
from ...sessions.session import LocalSession

EVERY = 2.0
"""Seconds between two measurements."""
_KEPT = 60
"""Measurements of a session that are kept: two minutes."""


@frozen
class Point:
    """One measurement: percent of the whole machine, bytes, bytes."""

    cpu: float
    memory: int
    disk: int


@define
class _Measured:
    meter: Meter
    points: deque[Point] = field(factory=lambda: deque(maxlen=_KEPT))


class Usage:
    """Measures all sessions of a runtime as long as there is a viewer; the measurements end with their session."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._sessions: WeakKeyDictionary[LocalSession, _Measured] = WeakKeyDictionary()
        self._viewers = 0
        self._task: asyncio.Task[None] | None = None

    def points(self, session: LocalSession) -> Sequence[Point]:
        """Return the measurements of a session, the oldest first."""
        measured = self._sessions.get(session)
        return () if measured is None else measured.points

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count the block as a viewer."""
        self._viewers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._measure_all())
        try:
            yield
        finally:
            self._viewers -= 1
            if not self._viewers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _measure_all(self) -> None:
        while True:
            for session in self._runtime.sessions():
                await self._measure(session)
            await asyncio.sleep(EVERY)

    async def _measure(self, session: LocalSession) -> None:
        if session.sandbox.is_closed:
            return  # another process may have its id by now
        measured = self._sessions.get(session)
        if measured is None:
            measured = self._sessions[session] = _Measured(session.new_meter())
            await asyncio.to_thread(measured.meter.measure)  # a rate needs two; this one counts since the start
            return
        values = await asyncio.to_thread(measured.meter.measure)
        numbers = [values[name] for name in ("cpu_used_pct", "mem_used", "disk_used")]
        cpu, memory, disk = (number if isinstance(number, int | float) else 0 for number in numbers)
        measured.points.append(Point(float(cpu), int(memory), int(disk)))


def polyline(values: Sequence[float], *, width: int = 120, height: int = 28, top: float | None = None) -> str:
    """Return the points of a line in an SVG of that size; ``top`` is the value at its upper edge."""
    if not values:
        return ""
    highest = max(top or 0.0, *values, 1e-9)
    step = width / max(len(values) - 1, 1)
    return " ".join(
        f"{number * step:.1f},{height - 1 - (height - 2) * value / highest:.1f}" for number, value in enumerate(values)
    )
