"""The worker's half of a distributed batch: it processes one chunk of items, from pickle to pickle."""

from __future__ import annotations

import importlib
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import evolve

from ..._ops.chunks import Chunk, ChunkResult, pickle_outcome
from ...config import Config
from ...exceptions import AGBError, ExecutionError, SessionError
from ...outcomes import Outcome
from ...owned import Owner
from .._compat.concurrency import gather
from .._compat.loop import run_in_new_loop
from ..lifecycle.deletion import delete_surely
from .lease import AsyncWorkerLease, LeaseEnded
from .map import AsyncBatch
from .options import BatchOptions
from .pickling import pickler

if TYPE_CHECKING:
    from ..client import AsyncAGB

api_keys: dict[str, str] = {}
"""The API keys of batches whose driver is this process: for workers that are threads or forks of it."""


def run_chunk(chunk: Chunk) -> ChunkResult:
    """Process the items of a chunk; it raises only what ends the worker."""
    return run_in_new_loop(partial(_run, chunk))


async def _run(chunk: Chunk) -> ChunkResult:
    lease = AsyncWorkerLease(chunk.lease_path, chunk.host, chunk.number)
    if lease.has_ended():
        return ChunkResult()
    try:
        function, options = pickle.loads(chunk.work)  # made by the driver
        agb = _client(chunk)
    except Exception as error:  # the chunk's result
        return ChunkResult(problem=_start_error(error))
    async with agb:
        return await _process(chunk, lease, agb, function, options)


def _client(chunk: Chunk) -> AsyncAGB:
    """Return a client of the class that the chunk names; the class is above this module, which must not import it."""
    client_class = getattr(importlib.import_module(__name__.partition(".")[0]), chunk.client)
    client: AsyncAGB = client_class(
        chunk.api_key or api_keys.get(chunk.run, ""),
        Config(chunk.endpoint, chunk.timeout_ms),
        limits=chunk.limits,
        hidden_labels=chunk.hidden_labels,
    )
    return client


async def _process(
    chunk: Chunk, lease: AsyncWorkerLease, agb: AsyncAGB, function: Any, options: BatchOptions
) -> ChunkResult:
    is_rerun = lease.claim()
    if is_rerun is not False and chunk.hidden_labels:  # started before, or unknown: the driver is on another machine
        try:
            is_rerun = await delete_sessions(agb, chunk.owner) > 0 or is_rerun is True
        except AGBError as error:
            return ChunkResult(problem=_start_error(error))
    dumps = pickler()
    items, numbers, outcomes = [], [], []
    for index, data in chunk.items:
        try:
            items.append(pickle.loads(data))  # made by the driver
            numbers.append(index)
        except Exception as error:  # the item's outcome
            unreadable = ExecutionError(type(error).__name__, f"the item cannot be read by the worker: {error}")
            outcomes.append((index, pickle_outcome(Outcome(index, None, error=unreadable), dumps)))
    options = evolve(options, concurrency=chunk.concurrency, retries=chunk.retries, buffer=len(items))
    batch: AsyncBatch[Any, Any] = AsyncBatch(agb, function, items, options, None, None, None)
    batch.owner = chunk.owner
    try:
        async with batch:
            batch._tasks.start(lease.until_ended)
            outcomes += [(numbers[outcome.index], pickle_outcome(outcome, dumps)) async for outcome in batch]
    except LeaseEnded:
        pass  # the outcomes are not read any more
    stats = batch.stats()
    return ChunkResult(
        tuple(outcomes), stats.sessions, stats.retried, tuple(batch._left_behind.items()), is_rerun is True
    )


def _start_error(error: Exception) -> AGBError:
    """Return the error of all items of a chunk that could not be started."""
    if isinstance(error, ValueError) and "API key" in str(error):
        why = f"{error}. Workers read it from their own environment; send_key=True sends it to them"
    elif isinstance(error, AGBError):
        return error
    else:
        why = f"the worker cannot load the function and the options: {type(error).__name__}: {error}"
    return ExecutionError(why)


async def delete_sessions(agb: AsyncAGB, owner: Owner) -> int:
    """Delete the sessions of an owner, and return how many there were.

    Raises:
        SessionError: they could not be listed, or one could not be deleted; or they have no hidden labels.
    """
    if not agb.uses_hidden_labels:
        raise SessionError(f"the sessions of {owner} cannot be found without hidden labels")
    sessions = [session async for session in agb.iterate(owner.labels)]

    async def delete(session_id: str) -> None:
        error = await delete_surely(agb.attach(session_id))
        if error is not None:
            raise error

    await gather([partial(delete, session.session_id) for session in sessions])
    return len(sessions)
