"""CPU time of ``agb.map`` over that of the bare calls it makes, against a service that holds answers back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

from .processes import caller, server
from .table import Row, compared


def compare(rounds: int, items: int, concurrency: int, threads: int) -> Iterator[Row]:
    """Yield what an item costs: a session created, asked for a link, and deleted."""
    for flavour, at_once, goal in (("async", concurrency, 1.15), ("sync", threads, None)):
        figures: dict[str, list[dict[str, float]]] = {}
        with ExitStack() as stack:
            url = stack.enter_context(server("holding"))
            client = stack.enter_context(caller(flavour, sys.executable, url, str(at_once), module="batcher"))
            for number in range(rounds + 1):
                for way in ("map", "bare"):
                    figure = client.ask(f"{way} {items}")
                    if number:  # the first round is to warm up
                        figures.setdefault(way, []).append(figure)
        what = f"{flavour} map of {items} items, {at_once} at once"
        for name, unit, factor, limit in (("cpu", "us", 1e6 / items, goal), ("wall", "s", 1.0, None)):
            ours, theirs = ([figure[name] * factor for figure in figures[way]] for way in ("map", "bare"))
            label = "CPU per item" if name == "cpu" else "in all"
            yield compared(f"{what}, {label}", unit, ours, "the bare calls", theirs, limit)
