"""Streams: the rate of small events and the wait for the first, in turns, against the same server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack

from .processes import caller, server
from .table import Row, compared

_PAIRS = [
    ("async stream", "agb_async", "agbcloud_sync", "agbcloud-sdk", 1 / 3),
    ("sync stream", "agb_sync", "agbcloud_sync", "agbcloud-sdk", 1 / 3),
    ("async stream", "agb_async", "websockets_async", "websockets, json", 1 / 0.9),
    ("sync stream", "agb_sync", "websockets_sync", "websockets.sync, json", 1 / 0.9),
]
_FIRST = [
    ("async stream, first event", "agb_async", "echo_async", "websockets, echo", 2.0),
    ("sync stream, first event", "agb_sync", "echo_sync", "websockets.sync, echo", 2.0),
    ("sync stream, first event", "agb_sync", "agbcloud_sync", "agbcloud-sdk", None),
]


def compare(other_python: str, rounds: int, events: int, firsts: int) -> Iterator[Row]:
    """Yield what an event costs this package and others, and how long the first of a stream is waited for."""
    pairs, first = ([each for each in all_ if other_python or "agbcloud" not in each[2]] for all_ in (_PAIRS, _FIRST))
    names = list(dict.fromkeys(name for pair in (*pairs, *first) for name in pair[1:3]))
    figures: dict[str, dict[str, list[float]]] = {n: {"cpu": [], "duration": [], "first": []} for n in names}
    with ExitStack() as stack:
        url = stack.enter_context(server("stream_server", "ws"))
        clients = [
            stack.enter_context(
                caller(name, other_python if name.startswith("agbcloud") else sys.executable, url, module="listener")
            )
            for name in names
        ]
        for number in range(rounds + 1):
            for client in clients:
                told = client.ask(f"first {firsts}")
                if not client.name.startswith("echo"):
                    told |= {kind: seconds / events for kind, seconds in client.ask(f"{events}").items()}
                if number:  # the first round is to warm up
                    for kind, seconds in told.items():
                        figures[client.name][kind].append(seconds * 1e6)
    for kind, name in (("duration", "time"), ("cpu", "CPU")):
        for what, ours, theirs, against, goal in pairs:
            row = f"{what}, {name} per event"
            yield compared(
                row, "us", figures[ours][kind], against, figures[theirs][kind], goal if kind[0] == "d" else None
            )
    for what, ours, theirs, against, goal in first:
        yield compared(what, "us", figures[ours]["first"], against, figures[theirs]["first"], goal)
