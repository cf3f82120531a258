"""Logging that is switched off: how often a call asks whether it is on, and what that costs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from timeit import timeit
from unittest.mock import patch

from .caller import agb_sync
from .table import Row


def compare(url: str) -> Iterator[Row]:
    """Yield what the questions of one call cost, those of this package and those of httpcore beneath it."""
    call = agb_sync(url)
    call()
    asked: Counter[str] = Counter()
    real = logging.Logger.isEnabledFor

    def counted(logger: logging.Logger, level: int) -> bool:
        asked[logger.name.partition(".")[0]] += 1
        return real(logger, level)

    with patch.object(logging.Logger, "isEnabledFor", counted):
        call()
    for name, goal in (("agb", 1.0), ("httpcore", None)):
        one = timeit("log.isEnabledFor(10)", number=100_000, globals={"log": logging.getLogger(name)}) / 100_000 * 1e6
        yield Row(f"logging off: {name} asks {asked[name]} times a call", asked[name] * one, "us", goal=goal)
