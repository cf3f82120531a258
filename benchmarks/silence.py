"""Logging that is switched off: how often a call asks whether it is on, and what that costs."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from timeit import timeit
from unittest.mock import patch

from .caller import agb_sync
from .processes import ENVIRONMENT
from .table import Row


def compare(url: str) -> Iterator[Row]:
    """Yield what the questions of one call cost, those of this package and those of httpcore beneath it."""
    asked: Counter[str] = Counter()
    ask = logging.Logger.isEnabledFor

    def counted(logger: logging.Logger, level: int) -> bool:
        asked[logger.name.partition(".")[0]] += 1
        return ask(logger, level)

    with patch.dict(os.environ, ENVIRONMENT, clear=True):
        call = agb_sync(url)
        call()
        with patch.object(logging.Logger, "isEnabledFor", counted):
            call()
    for name, goal in (("agb", 1.0), ("httpcore", None)):
        cost = timeit("log.isEnabledFor(10)", number=100_000, globals={"log": logging.getLogger(name)}) * 10
        yield Row(f"logging off: {name} asks {asked[name]}x a call", "us", asked[name] * cost, goal=goal)
