"""Many calls at a time: what each costs with 1 to 5,000 in flight, how long 1,000 of one second take, and who waits."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import median

from .processes import Caller, Late, caller, server
from .table import Row, compared

_AT_ONCE = 30100
"""Where an answer comes at once; a call that is alone costs more after a pause, which is none of its own doing."""
_HOLD = 30102
"""Where an answer is held back for 40 ms."""
_SECOND = 30150
"""The same for one second."""
_PEERS = {
    "aiohttp_async": "aiohttp",
    "httpx2_async": "httpx2.AsyncClient",
    "httpx_async": "httpx.AsyncClient",
    "pooled_async": "httpx + PoolTransport",
    "agbcloud_async": "agbcloud-sdk",
    "httpx_sync": "httpx.Client, threads",
}
_THREADS = 1000
_SHARES = {"agbcloud_async": 50}
"""Clients that make only one call where the others make so many, to take about as long as they."""


class _Fleet:
    """Clients that are measured in turns; one that is late is out, and is late with more calls too."""

    def __init__(self, other_python: str, limit: float, stack: ExitStack) -> None:
        self._other_python, self._limit, self._stack = other_python, limit, stack
        self._callers: dict[str, Caller] = {}
        self.late: set[str] = set()

    def names(self) -> list[str]:
        names = ["agb_async", "agb_sync", *_PEERS]
        return [name for name in names if self._other_python or not name.startswith("agbcloud")]

    def ask(self, name: str, line: str) -> dict[str, float] | None:
        """Return the figures of a client, None if they do not come in time."""
        if name in self.late:
            return None
        if name not in self._callers:
            python = self._other_python if name.startswith("agbcloud") else sys.executable
            url = self._stack.enter_context(server("flight_server"))  # its own: all together would have too many files
            self._callers[name] = self._stack.enter_context(caller(name, python, url, module="flyer"))
        try:
            return self._callers[name].ask(line, self._limit)
        except Late:
            self.late.add(name)
            return None

    def renew(self) -> None:
        """Begin with new processes."""
        self._stack.close()
        self._callers.clear()
        self.late.clear()


def compare(other_python: str, rounds: int, flights: Sequence[int], limit: float) -> Iterator[Row]:
    """Yield what calls cost when many are under way; ``limit`` is for each client and point, in seconds."""
    with ExitStack() as stack:
        fleet = _Fleet(other_python, limit, stack)
        own: dict[int, float] = {}
        for flight in flights:
            figures: dict[str, list[float]] = {}
            for number in range(rounds + 1):
                for name in fleet.names():
                    calls = max(1, 200 // _SHARES.get(name, 1) // flight) if number else 1
                    if name.endswith("_sync") and flight > _THREADS:
                        continue
                    told = fleet.ask(name, f"{flight} {calls} {_HOLD if flight > 1 else _AT_ONCE}")
                    if told is not None and number:  # the first is to open connections
                        figures.setdefault(name, []).append(told["cpu"] / flight / calls * 1e6)
            own[flight] = median(figures["agb_async"])
            yield from _rows(flight, figures, limit, fleet.names())
        alone = fleet.ask("agb_async", f"1 50 {_HOLD}")
        if alone is not None and 1000 in own:
            figure = alone["cpu"] / 50 * 1e6
            yield Row(
                "async get_link: 1,000 in flight", "us", own[1000], "1, held back as well", figure, own[1000] / figure
            )
        for flight, goal in ((1000, 1.3), (5000, 1.6)):
            if flight in own:
                yield Row(
                    f"async get_link: {flight:,} in flight", "us", own[flight], "1, answered at once", own[1],
                    own[flight] / own[1], goal,
                )  # fmt: skip
        fleet.renew()
        yield from _makespan(fleet)
        fleet.renew()
        yield from _connections(fleet)
        yield from _crowd(fleet)


def _rows(flight: int, figures: dict[str, list[float]], limit: float, names: Sequence[str]) -> Iterator[Row]:
    for name, against in _PEERS.items():
        ours = "agb_sync" if name.endswith("_sync") else "agb_async"
        if name not in names or ours not in figures:
            continue
        what = f"{ours.removeprefix('agb_')} get_link, {flight:,} in flight: CPU"
        theirs = figures.get(name)
        if theirs is None or len(theirs) < len(figures[ours]):
            yield Row(what, "us", median(figures[ours]), f"{against}: not in {limit:g} s")
        else:
            goal = 2.5 if (name, flight) == ("aiohttp_async", 1000) else None
            yield compared(what, "us", figures[ours], against, theirs, goal)


def _makespan(fleet: _Fleet) -> Iterator[Row]:
    """1,000 calls of one second each, with one connection open before."""
    spans: dict[str, dict[str, float]] = {}
    for name in ("agb_async", "aiohttp_async", "httpx2_async"):
        fleet.ask(name, f"1 1 {_AT_ONCE}")  # so that everything is imported
        if (told := fleet.ask(name, f"1000 1 {_SECOND}")) is not None:
            spans[name] = told
    ours = spans["agb_async"]
    yield Row("1,000 calls of 1 s at a time", "s", ours["wall"], goal=1.4)
    for name, told in spans.items():
        if name != "agb_async":
            against, ratio = _PEERS[name], ours["wall"] / told["wall"]
            yield Row("1,000 calls of 1 s at a time", "s", ours["wall"], against, told["wall"], ratio)
            yield Row("memory with 1,000 in flight", "MB", ours["memory"], _PEERS[name], told["memory"],
                      ours["memory"] / told["memory"])  # fmt: skip


def _connections(fleet: _Fleet) -> Iterator[Row]:
    first = fleet.ask("agb_async", "1 1000 30100")
    fleet.ask("agb_async", f"1000 1 {_HOLD}")
    before = fleet.ask("agb_async", f"1000 1 {_HOLD}")
    after = fleet.ask("agb_async", f"1000 1 {_HOLD}")
    if first and before and after:
        yield Row("connections of 1,000 calls, one by one", "", first["opened"], goal=1)
        yield Row("connections of another burst of 1,000", "", after["opened"] - before["opened"], goal=0)


def _crowd(fleet: _Fleet) -> Iterator[Row]:
    """Callers that wait for one connection: what each costs with 10,000 in line, beside 1,000."""
    few, many = fleet.ask("agb_async", "crowd 1000"), fleet.ask("agb_async", "crowd 10000")
    if few and many:
        for key, what in (("line", "coming into line"), ("cancel", "giving up"), ("admit", "being served")):
            ours, theirs = many[key] * 1e6, few[key] * 1e6
            yield Row(f"10,000 wait for one connection: {what}", "us", ours, "1,000 wait", theirs, ours / theirs, 1.5)
