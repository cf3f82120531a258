"""CPU time of a call: get_link by each client, in turns, against the same server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

from .processes import caller
from .table import Row, compared

_PAIRS = [
    ("async get_link, CPU per call", "agb_async", "httpx_async", "httpx.AsyncClient", 0.50),
    ("sync get_link, CPU per call", "agb_sync", "httpx_sync", "httpx.Client", 0.65),
    ("async get_link, CPU per call", "agb_async", "agbcloud_async", "agbcloud-sdk", 1 / 80),
    ("sync get_link, CPU per call", "agb_sync", "agbcloud_sync", "agbcloud-sdk", 1 / 5),
]

_SHARES = {"agbcloud_sync": 5, "agbcloud_async": 60}
"""Clients that make only one call where the others make so many, to take about as long as they."""


def compare(url: str, other_python: str, rounds: int, calls: int) -> Iterator[Row]:
    """Yield what a call costs this package and others; ``other_python`` has agbcloud-sdk, ``""`` leaves that out."""
    pairs = [pair for pair in _PAIRS if other_python or not pair[2].startswith("agbcloud")]
    names = list(dict.fromkeys(name for pair in pairs for name in pair[1:3]))
    with ExitStack() as stack:
        callers = [
            stack.enter_context(caller(name, other_python if name.startswith("agbcloud") else sys.executable, url))
            for name in names
        ]
        figures: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds + 1):
            for client in callers:
                figure = client.call(max(1, calls // _SHARES.get(client.name, 1)))
                if number:  # the first round is to warm up
                    figures[client.name].append(figure)
    for what, ours, theirs, against, goal in pairs:
        yield compared(what, "us", figures[ours], against, figures[theirs], goal)
