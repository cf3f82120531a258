"""Chunks of a batch: what travels to the worker of an executor, and what comes back.

All of it pickles whatever the items and results are, for those are pickles already, one by one: what does not travel
concerns one item only.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from typing import Any

from attrs import evolve, field, fields_dict, frozen

from ..exceptions import AGBError, ExecutionError, RemoteTraceback
from ..limits import Limits
from ..outcomes import Outcome
from .ownership import Owner

Dumps = Callable[[Any], bytes]


@frozen
class Chunk:
    """Items for a worker, and all that it needs to do them.

    No two are equal, since some executors take equal calls for one.

    Args:
        run: the batch, ``number`` the chunk, which is another one when its items are sent again.
        owner: whom the sessions belong to; its part is this chunk.
        work: a pickle of the function and the options of the batch.
        items: each with its number, pickled.
        concurrency: how many items are worked on at the same time.
        retries: how many attempts beyond the first there may be in this chunk.
        mark: a file of the driver that is locked as long as it waits for the run, and ``host`` where that is; see
            `AsyncMark`.
        key: the API key, only if it is meant to travel.
    """

    run: str
    number: int
    owner: Owner
    endpoint: str
    timeout_ms: int
    limits: Limits
    work: bytes = field(repr=False)
    items: tuple[tuple[int, bytes], ...] = field(repr=False)
    concurrency: int
    retries: int | None
    mark: str
    host: str
    key: str = field(repr=False)


@frozen
class Answer:
    """What a worker has to say of a chunk.

    Attributes:
        ends: of each item that was done, its number and what `packed` made of its outcome.
        sessions: how many were created.
        retried: attempts beyond the first of each item.
        left_behind: the ids of sessions that could not be deleted, and why.
        was_begun: whether another worker had begun the chunk before.
        problem: why no item could be begun.
    """

    ends: tuple[tuple[int, bytes], ...] = ()
    sessions: int = 0
    retried: int = 0
    left_behind: tuple[tuple[str, AGBError], ...] = ()
    was_begun: bool = False
    problem: AGBError | None = None


# --- there and back ----------------------------------------------------------------------------------------------


def packed(outcome: Outcome[Any, Any], dumps: Dumps) -> bytes:
    """Return the pickle of an outcome without its item; what cannot be pickled is an error in its place."""
    value, error, trace = outcome.value, outcome.error, ""
    if error is not None:
        error, trace = _portable(error, dumps)
    told = (outcome.attempts, outcome.seconds, outcome.session_id)
    try:
        return dumps((value, error, trace, *told))
    except Exception as problem:  # noqa: BLE001 - told in its place
        what = f"the function was done, and its value cannot travel back: it is a {type(value).__name__}, and "
        lost = ExecutionError(type(problem).__name__, f"{what}{problem}", session_id=outcome.session_id)
        return dumps((None, lost, "", *told))


def unpacked(index: int, item: Any, data: bytes) -> Outcome[Any, Any]:
    """Return the outcome that `packed` had."""
    try:
        value, error, trace, attempts, seconds, session_id = pickle.loads(data)  # noqa: S301 - from a worker of ours
    except Exception as problem:  # noqa: BLE001 - told in its place
        what = "the function was done, and its value arrived and cannot be read here: "
        return Outcome(index, item, error=ExecutionError(type(problem).__name__, f"{what}{problem}"), attempts=1)
    if error is not None and trace:
        error.__cause__ = RemoteTraceback(trace)
    return Outcome(index, item, value, error, attempts, seconds, session_id)


def _portable(error: BaseException, dumps: Dumps) -> tuple[BaseException, str]:
    """Return an error, or what can be told of one that does not arrive as itself; and its traceback."""
    trace = "".join(traceback.format_exception(error))
    try:
        if type(pickle.loads(dumps(error))) is type(error):  # noqa: S301 - what was just written
            return error, trace
    except Exception:  # noqa: BLE001, S110 - told below
        pass
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - whose class is broken
        text = ""
    return ExecutionError(type(error).__name__, text, trace), trace


# --- quotas ------------------------------------------------------------------------------------------------------

_DIVIDED = ("connections", "waiting", "creates_per_second", "create_burst", "sessions")


def share(limits: Limits, parts: int) -> Limits:
    """Return what one of so many workers may take, so that together they take what was allowed."""
    known = fields_dict(Limits)
    shares: dict[str, Any] = {}
    for name in _DIVIDED:
        allowed = getattr(limits, name) if name in known else None
        if isinstance(allowed, int):
            shares[name] = max(1, allowed // parts)
        elif allowed is not None:
            shares[name] = allowed / parts
    return evolve(limits, **shares)
