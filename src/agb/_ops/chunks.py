"""Chunks of a batch: what is sent to the worker of an executor, and what it returns.

Both can always be pickled: items and values are pickled one by one before, so that one that cannot be pickled affects
its own item only.
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
from ..owned import Owner

Dumps = Callable[[Any], bytes]


@frozen
class Chunk:
    """Items for a worker, and all that it needs to process them.

    No two chunks are equal, since some executors run equal calls only once.

    Args:
        run: the id of the batch.
        number: the number of the chunk in it; items that are sent again are in a chunk of another number.
        owner: the owner of the sessions; its part is this chunk.
        client: the public name in ``agb`` of the class that the worker makes a client of.
        work: a pickle of the function and the options of the batch.
        items: each with its number, pickled.
        concurrency: how many items are processed at the same time.
        retries: how many attempts beyond the first there may be in this chunk.
        lease_path: a file of the driver that is locked as long as it waits for the batch; see `DriverLease`.
        host: the machine and the directory in which that file is.
        api_key: the API key, if it is sent.
        hidden_labels: whether the sessions get hidden labels.
    """

    run: str
    number: int
    owner: Owner
    client: str
    endpoint: str
    timeout_ms: int
    limits: Limits
    work: bytes = field(repr=False)
    items: tuple[tuple[int, bytes], ...] = field(repr=False)
    concurrency: int
    retries: int | None
    lease_path: str
    host: str
    api_key: str = field(repr=False)
    hidden_labels: bool


@frozen
class ChunkResult:
    """The result of a chunk.

    Attributes:
        outcomes: of each item that was processed, its number and its pickled outcome (`pickle_outcome`).
        sessions: how many were created.
        retried: attempts beyond the first of each item.
        left_behind: the ids of sessions that could not be deleted, and why.
        is_rerun: whether another worker had started the chunk before.
        problem: why no item could be started.
    """

    outcomes: tuple[tuple[int, bytes], ...] = ()
    sessions: int = 0
    retried: int = 0
    left_behind: tuple[tuple[str, AGBError], ...] = ()
    is_rerun: bool = False
    problem: AGBError | None = None


# --- outcomes ----------------------------------------------------------------------------------------------------


def pickle_outcome(outcome: Outcome[Any, Any], dumps: Dumps) -> bytes:
    """Return the pickle of an outcome without its item; a value that cannot be pickled is replaced by an error."""
    value, error, trace = outcome.value, outcome.error, ""
    if error is not None:
        error, trace = _portable(error, dumps)
    rest = (outcome.attempts, outcome.seconds, outcome.session_id)
    try:
        return dumps((value, error, trace, *rest))
    except Exception as problem:  # the outcome's error
        text = f"the function returned, and its value cannot be returned: it is a {type(value).__name__}, and {problem}"
        replacement = ExecutionError(type(problem).__name__, text, session_id=outcome.session_id)
        return dumps((None, replacement, "", *rest))


def unpickle_outcome(index: int, item: Any, data: bytes) -> Outcome[Any, Any]:
    """Return the outcome that `pickle_outcome` was called with."""
    try:
        value, error, trace, attempts, seconds, session_id = pickle.loads(data)
    except Exception as problem:  # the outcome's error
        text = f"the function returned, and its value arrived and cannot be read here: {problem}"
        return Outcome(index, item, error=ExecutionError(type(problem).__name__, text), attempts=1)
    if error is not None and trace:
        error.__cause__ = RemoteTraceback(trace)
    return Outcome(index, item, value, error, attempts, seconds, session_id)


def _portable(error: BaseException, dumps: Dumps) -> tuple[BaseException, str]:
    """Return an error and its traceback; one that does not survive pickling is replaced by an `ExecutionError`."""
    trace = "".join(traceback.format_exception(error))
    try:
        if type(pickle.loads(dumps(error))) is type(error):
            return error, trace
    except Exception:  # noqa: S110 - replaced below
        pass
    try:
        text = str(error)
    except Exception:  # its `__str__` raises
        text = ""
    return ExecutionError(type(error).__name__, text, trace), trace


# --- quotas ------------------------------------------------------------------------------------------------------

_DIVIDED = ("connections", "waiting", "creates_per_second", "create_burst", "sessions")


def divide_limits(limits: Limits, parts: int) -> Limits:
    """Return the limits of one of so many workers, which together keep the limits of the client."""
    known = fields_dict(Limits)
    shares: dict[str, Any] = {}
    for name in _DIVIDED:
        limit = getattr(limits, name) if name in known else None
        if isinstance(limit, int):
            shares[name] = max(1, limit // parts)
        elif limit is not None:
            shares[name] = limit / parts
    return evolve(limits, **shares)
