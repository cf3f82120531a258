# Generated from src/agb/_async/batch/pickling.py by tools/unasync.py. Do not edit.
"""Pickles for the workers of an executor: by cloudpickle where it is installed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

Dumps = Callable[[Any], bytes]


def has_cloudpickle() -> bool:
    """Return whether cloudpickle is installed."""
    return find_spec("cloudpickle") is not None


@cache
def pickler() -> Dumps:
    """Return cloudpickle's ``dumps``, or pickle's where it is not installed."""
    if not has_cloudpickle():
        return partial(pickle.dumps, protocol=pickle.HIGHEST_PROTOCOL)
    from cloudpickle import dumps

    cloudpickle: Dumps = dumps
    return cloudpickle


def pickle_work(function: Any, options: Any) -> bytes:
    """Return the pickle of what all chunks of a batch have in common.

    Raises:
        TypeError: it cannot be pickled, or not be unpickled.
    """
    try:
        work = pickler()((function, options))
        pickle.loads(work)
    except Exception as error:
        name = getattr(function, "__qualname__", None) or repr(function)
        advice = "" if has_cloudpickle() else ". With cloudpickle it may: pip install 'agb[executor]'"
        raise TypeError(f"{name} cannot be pickled to travel to the executor's workers: {error}{advice}") from error
    return work
