"""The worker's half of a batch that an executor's workers do: one chunk of items, from pickle to pickle."""

from __future__ import annotations

import os
import pickle
import platform
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import evolve

from ..._ops import ownership
from ..._ops.chunks import Answer, Chunk, Dumps, packed
from ...config import Config
from ...exceptions import AGBError, ExecutionError
from ...outcomes import Outcome
from .._compat.concurrency import gather
from .._compat.loop import run_in_new_loop, sleep
from ..client import AsyncAGB
from ..lifecycle.deletion import delete_surely
from .journal import locked
from .map import AsyncBatch, _Options

LOOK = 0.25
"""Seconds between two looks at whether the driver still waits."""

keys: dict[str, str] = {}
"""The API keys of runs whose driver is this very process: for workers that are threads of it, or forks."""


def run_chunk(chunk: Chunk) -> Answer:
    """Do the items of a chunk, and return what became of them; raises nothing but what ends the worker."""
    return run_in_new_loop(partial(_run, chunk))


async def _run(chunk: Chunk) -> Answer:
    mark = AsyncMark(chunk.mark, chunk.host, chunk.number)
    if mark.is_gone():
        return Answer()
    try:
        function, options = pickle.loads(chunk.work)  # noqa: S301 - made by the driver
        agb = AsyncAGB(
            chunk.key or keys.get(chunk.run, ""), Config(chunk.endpoint, chunk.timeout_ms), limits=chunk.limits
        )
    except Exception as error:  # noqa: BLE001 - told
        return Answer(problem=_cannot_begin(error))
    async with agb:
        return await _do(chunk, mark, agb, function, options)


async def _do(chunk: Chunk, mark: AsyncMark, agb: AsyncAGB, function: Any, options: _Options) -> Answer:
    was_begun = mark.claim()
    if was_begun is not False:  # or nobody knows, since the driver is on another machine
        try:
            was_begun = await reap(agb, chunk.owner) > 0 or was_begun is True
        except AGBError as error:
            return Answer(problem=_cannot_begin(error))
    dumps = pickler()
    items, numbers, ends = [], [], []
    for index, data in chunk.items:
        try:
            items.append(pickle.loads(data))  # noqa: S301 - made by the driver
            numbers.append(index)
        except Exception as error:  # noqa: BLE001 - the item's outcome
            what = "the item cannot be read by the worker: "
            lost = ExecutionError(type(error).__name__, f"{what}{error}")
            ends.append((index, packed(Outcome(index, None, error=lost), dumps)))
    options = evolve(options, concurrency=chunk.concurrency, retries=chunk.retries, buffer=len(items))
    batch: AsyncBatch[Any, Any] = AsyncBatch(agb, function, items, options, None, None, None)
    batch.owner = chunk.owner
    try:
        async with batch:
            batch._crew.start(mark.until_gone)
            ends += [(numbers[outcome.index], packed(outcome, dumps)) async for outcome in batch]
    except CalledOff:
        pass  # nobody reads the outcomes
    stats = batch.stats()
    return Answer(tuple(ends), stats.sessions, stats.retried, tuple(batch._left_behind.items()), was_begun)


def _cannot_begin(error: Exception) -> AGBError:
    if isinstance(error, ValueError) and "API key" in str(error):
        why = f"{error}. Workers read it from their own environment; send_key=True sends it to them"
    elif isinstance(error, AGBError):
        return error
    else:
        why = f"the worker cannot load the function and the options: {type(error).__name__}: {error}"
    return ExecutionError(why)


async def reap(agb: AsyncAGB, owner: ownership.Owner) -> int:
    """Delete the sessions of an owner, and return how many there were.

    Raises:
        SessionError: they could not be listed, or one could not be deleted.
    """
    sessions = [session async for session in agb.iterate(owner.labels)]

    async def delete(session_id: str) -> None:
        error = await delete_surely(agb.attach(session_id))
        if error is not None:
            raise error

    await gather([partial(delete, session.session_id) for session in sessions])
    return len(sessions)


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


class CalledOff(Exception):  # noqa: N818 - it says how something stands
    """Nobody waits for the chunk any more."""


class AsyncMark:
    """By which a worker on the driver's machine knows that the driver still waits for a chunk.

    The driver keeps a file locked; it removes the file when it is done, and should it be killed the lock ends. Beside
    it is a file for each chunk: the worker makes it when it begins, and the driver removes it when it wants no more of
    the chunk. On another machine, or in another container, nothing is known.
    """

    def __init__(self, path: str, host: str, number: int) -> None:
        self._path = path
        self._claimed = f"{path}.{number}"
        self._is_claimed = False
        self._is_near = host == host_of(path)

    def claim(self) -> bool | None:
        """Note that the chunk is begun; return whether it was before, None if that is not known."""
        if not self._is_near:
            return None
        self._is_claimed = True
        try:
            os.close(os.open(self._claimed, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return True
        return False

    def is_gone(self) -> bool:
        """Return whether it is known that nobody waits any more."""
        if not self._is_near:
            return False
        if self._is_claimed and not os.path.exists(self._claimed):  # noqa: PTH110 - a string, as it travels
            return True
        try:
            file = os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            return locked(file)
        finally:
            os.close(file)

    async def until_gone(self) -> None:
        """Raise `CalledOff` when nobody waits any more."""
        while not self.is_gone():
            await sleep(LOOK)
        raise CalledOff


def host_of(path: str) -> str:
    """Return what tells the machine, and the directory of a file there, from all others."""
    try:
        place = os.stat(os.path.dirname(path))  # noqa: PTH116, PTH120 - a string, as it travels
        boot = Path("/proc/sys/kernel/random/boot_id")
        return f"{platform.node()} {boot.read_text().strip() if boot.exists() else ''} {place.st_dev}.{place.st_ino}"
    except OSError:
        return ""
