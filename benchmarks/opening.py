"""Sessions of the local runtime: to make one, its first write and first Python code, a call, and its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from agb.local import serve

from .processes import caller
from .table import Row, compared

_STEPS = {
    "create": ("session ready", 100),
    "write": ("first write", 10),
    "cell": ("first Python code", 100),
    "call": ("command", 5),
    "delete": ("delete", 30),
}
"""Step -> its name, and the goal in milliseconds."""
_PAUSE = 1.0
"""Seconds before and after the use of a session, in which the runtime makes the next one's sandbox."""
_FIRST = 3
"""Rounds until sandboxes are made ahead with a kernel."""


def compare(other_python: str, rounds: int) -> Iterator[Row]:
    """Yield the time of each step beside that of a runtime that makes nothing ahead, and beside agbcloud-sdk."""
    with ExitStack() as stack:
        warm = stack.enter_context(serve(allow_none=True))
        cold = stack.enter_context(serve(allow_none=True, warm=0))
        clients = {"ours": ("agb", sys.executable, warm), "cold": ("agb", sys.executable, cold)}
        if other_python:
            clients["theirs"] = ("agbcloud", other_python, cold)
        openers = {
            name: stack.enter_context(caller(client, python, server.endpoint, server.api_key, module="opener"))
            for name, (client, python, server) in clients.items()
        }
        figures: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
        for _ in range(_FIRST + rounds):
            for name, opener in openers.items():
                figures[name].append(opener.ask(f"{_PAUSE}"))
    taken = {
        name: {step: [figure[step] for figure in kept[_FIRST:]] for step in _STEPS} for name, kept in figures.items()
    }
    for step, (what, goal) in _STEPS.items():
        yield Row(what, "ms", median(taken["ours"][step]), goal=goal)
        yield compared(what, "ms", taken["ours"][step], "serve(warm=0)", taken["cold"][step], None)
        if other_python:
            yield compared(what, "ms", taken["ours"][step], "agbcloud-sdk, warm=0", taken["theirs"][step], None)
