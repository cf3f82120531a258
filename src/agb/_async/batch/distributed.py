"""The driver's half of a batch that an executor's workers do: items in chunks out, outcomes back."""

from __future__ import annotations

import os
import pickle
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, evolve, frozen

from ..._ops import chunks as ops
from ..._ops import journal as lines
from ..._ops.chunks import Answer, Chunk
from ...exceptions import AGBError, ExecutionError, JournalError, WorkerLostError
from ...outcomes import Outcome
from .._compat.cancellation import CLEANUP_LIMIT
from .._compat.loop import in_thread, thread_safe
from .._compat.primitives import ClosedResource, Queue
from .chunks import has_cloudpickle, host_of, keys, pickler, reap, run_chunk
from .journal import locked
from .map import AsyncBatch, _Options, _Task

if TYPE_CHECKING:
    from ..client import AsyncAGB

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")

USUAL_CHUNKS = 4
"""Chunks on their way at a time, for an executor that does not tell how many workers it has."""
LOSSES = 3
"""How often an item's worker may be lost before the item is given up."""
LONG = 5.0
"""Seconds: a chunk that takes less makes the next ones larger, if nobody said how large they shall be."""
GROWTH = 32
"""Times its first size that a chunk may have."""
LINGER = 0.02
"""Seconds to wait for another item before a chunk goes with those it has."""


@frozen
class Spread:
    """How a batch is spread over an executor, checked."""

    executor: Executor | Callable[[], Executor]
    chunk_size: int | None
    chunks: int | None
    chunk_timeout: float | None
    send_key: bool


@define(eq=False)
class _Item:
    """An item on its way, and how often its worker was lost."""

    task: _Task
    data: bytes
    losses: int = 0


class _Lost(Exception):  # noqa: N818 - it says how something stands
    """A chunk will not be answered."""


class _Unusable(Exception):  # noqa: N818 - it says how something stands
    """The executor takes nothing any more."""


class AsyncSpreadBatch(AsyncBatch[ItemT, ValueT]):
    """A batch whose items are done by the workers of an executor; ``agb.map(..., executor=...)`` makes it.

    Each of its own workers sends one chunk of items after the other and waits for the answer. Everything else,
    the journal, the order, back-pressure, is as without an executor.
    """

    def __init__(self, agb: AsyncAGB, function: Any, items: Any, options: _Options, spread: Spread, *more: Any) -> None:
        self._spread = spread
        self._executor: Any = spread.executor if hasattr(spread.executor, "submit") else None
        told = spread.chunks or getattr(self._executor, "_max_workers", None)
        wanted = told if isinstance(told, int) and told > 0 else USUAL_CHUNKS
        self._slots = min(wanted, options.concurrency, agb.client.limits.sessions or wanted)
        self._share = options.concurrency // self._slots
        self._size = spread.chunk_size or self._share
        self._work_of_all = _pickled_work(function, evolve(options, ordered=False, key=None, redo_failed=False))
        self._limits = ops.share(agb.client.limits, self._slots)
        self._suspects: list[_Item] = []
        self._is_suspecting = False
        self._unusable: WorkerLostError | None = None
        self._chunks_sent = 0
        self._waiting: dict[int, Future[Answer]] = {}
        self._mark = _Mark()
        self._making = threading.Lock()  # held while an executor is made
        self._leaves_something = False
        super().__init__(agb, function, items, options, *more)

    # --- what differs from a batch without an executor -------------------------------------------------------------

    @property
    def _most_workers(self) -> int:
        return self._slots

    @property
    def _most_taken(self) -> int:
        return self._slots * self._size + self._options.buffer

    async def _close(self) -> None:
        """Have no worker work for us any more, and delete what they have left."""
        self._mark.close()
        keys.pop(self.owner.id, None)
        for future in self._waiting.values():
            future.cancel()
        limit = time.monotonic() + CLEANUP_LIMIT
        for number, future in list(self._waiting.items()):
            if await _until_done(future, max(0.0, limit - time.monotonic())):
                self._hear(future)
                del self._waiting[number]
        failure: AGBError | None = None
        if self._waiting or self._leaves_something:
            try:
                await reap(self._agb, self.owner)
            except AGBError as error:
                failure = error
        if self._executor is not None and self._executor is not self._spread.executor:
            self._executor.shutdown(wait=False)
        await super()._close()
        if failure is not None:
            why = f"sessions of {self.owner.label}, left by lost workers, may be there still: {failure}"
            warnings.warn(why, RuntimeWarning, stacklevel=2)

    def _hear(self, future: Future[Answer]) -> None:
        """Take from the answer of a chunk that nobody waits for what has to be known."""
        try:
            answer = future.result(timeout=0)
        except BaseException:  # noqa: BLE001 - a lost worker, or a cancelled future
            self._leaves_something = True
            return
        self._left_behind.update(answer.left_behind)
        self._count(sessions=answer.sessions, retried=answer.retried)

    async def _work(self) -> None:
        try:
            while True:
                items = await self._gather()
                if items:
                    await self._carry_out(items)
        except ClosedResource:
            pass
        except JournalError as error:
            self._fail(error)
        self._count(workers=-1)
        self._end()

    # --- chunks ------------------------------------------------------------------------------------------------------

    async def _gather(self) -> list[_Item]:
        """Return the items of the next chunk; items whose worker was lost go by themselves, a few at a time.

        One of them may well be why it was lost, and shall not take others along; so there is never more than one such
        chunk on its way.
        """
        with self._lock:
            if self._suspects and not self._is_suspecting:
                self._is_suspecting = True
                losses = self._suspects[0].losses
                size = 1 if losses > 1 else max(1, self._size // 4)
                found = [item for item in self._suspects if item.losses == losses][:size]
                self._suspects = [item for item in self._suspects if item not in found]
                return found
        tasks = [await self._jobs.get()]
        with suppress(TimeoutError, ClosedResource):
            while len(tasks) < self._size:
                tasks.append(await self._jobs.get(LINGER))
        return await self._begin(tasks)

    async def _begin(self, jobs: list[tuple[int, ItemT]]) -> list[_Item]:
        """Return those that are to be done; the others have their outcome already."""
        items = []
        for index, item in jobs:
            task = self._known(index, item)
            if isinstance(task, Outcome):
                self._ready.offer(task)
            elif self._unusable is not None:
                self._refuse(index, item, self._unusable)
            else:
                try:
                    items.append(_Item(task, pickler()(item)))
                except Exception as error:  # noqa: BLE001 - the item's outcome
                    what = f"the item cannot be pickled to travel to a worker: {error}"
                    self._refuse(index, item, ExecutionError(type(error).__name__, what))
        if self._journal is not None and items:
            await self._journal.write(b"".join(lines.begun(item.task.key, item.task.index) for item in items))
        return items

    def _refuse(self, index: int, item: Any, error: Exception, losses: int = 0) -> None:
        """Tell that an item was not done; not the journal, so that the next run does it."""
        self._count(failed=1)
        self._ready.offer(Outcome(index, item, error=error, attempts=losses, repeated=losses > 1))

    async def _carry_out(self, items: list[_Item]) -> None:
        """Have a worker do a chunk, and tell what became of its items."""
        begun, is_suspect = time.monotonic(), items[0].losses > 0
        chunk = self._chunk(items)
        self._count(running=len(items))
        try:
            answer = await self._answer(chunk)
        except _Lost as lost:
            await self._lose(items, chunk, lost)
        except _Unusable as error:
            self._give_up(items, error)
        else:
            self._leaves_something |= answer.was_begun  # a creation may have been on its way when its worker was killed
            self._left_behind.update(answer.left_behind)
            self._count(sessions=answer.sessions, retried=answer.retried)
            await self._tell(items, answer)
            self._grow(len(items), time.monotonic() - begun)
        finally:
            self._mark.forget(chunk.number)
            self._count(running=-len(items))
            if is_suspect:
                self._is_suspecting = False

    def _chunk(self, items: list[_Item]) -> Chunk:
        with self._lock:
            self._chunks_sent += 1
            number = self._chunks_sent
            spent = self._retried
            if not self._mark.path:
                self._mark.open()
        keys[self.owner.id] = self._agb.api_key
        retries = self._options.retries
        return Chunk(
            run=self.owner.id,
            number=number,
            owner=evolve(self.owner, part=f"{number}"),
            endpoint=str(self._agb.client.endpoint),
            timeout_ms=max(1, int(self._agb.client.timeout * 1000)),
            limits=self._limits,
            work=self._work_of_all,
            items=tuple((item.task.index, item.data) for item in items),
            concurrency=self._share,
            retries=None if retries is None else max(0, retries - spent) // self._slots,
            mark=self._mark.path,
            host=self._mark.host,
            key=self._agb.api_key if self._spread.send_key else "",
        )

    async def _answer(self, chunk: Chunk) -> Answer:
        """Send a chunk and wait for its answer."""
        await self._submit(chunk)
        future = self._waiting[chunk.number]
        if not await _until_done(future, self._spread.chunk_timeout):
            raise _Lost(f"no answer came within {self._spread.chunk_timeout:g} s")
        del self._waiting[chunk.number]
        try:
            error = future.exception(timeout=0)
        except CancelledError as cancelled:
            error = cancelled
        if error is not None:
            raise _Lost(f"{type(error).__name__}: {error}") from error
        return future.result(timeout=0)

    async def _submit(self, chunk: Chunk) -> None:
        """Submit a chunk, to a new executor if the last one is broken and there is a way to make another."""

        def submit() -> None:
            self._waiting[chunk.number] = executor.submit(run_chunk, chunk)

        for is_last in (False, True):
            executor: Any = None
            try:
                executor = self._executor or await in_thread(self._new_executor)
                await in_thread(submit)
            except Exception as error:
                if is_last or executor is None or executor is self._spread.executor:
                    raise _Unusable(f"{type(error).__name__}: {error}") from error
                with self._lock:
                    self._executor = None if self._executor is executor else self._executor
                await in_thread(partial(executor.shutdown, wait=False))
            else:
                return

    def _new_executor(self) -> Any:
        with self._making:
            if self._executor is None:
                self._executor = self._spread.executor()  # type: ignore[operator]
        return self._executor

    async def _tell(self, items: list[_Item], answer: Answer) -> None:
        ends = dict(answer.ends)
        for item in items:
            task, data = item.task, ends.get(item.task.index)
            again = item.losses + answer.was_begun
            if data is None:
                error = answer.problem or WorkerLostError("the worker did not say what became of the item")
                outcome: Outcome[Any, Any] = Outcome(task.index, task.item, error=error)
            else:
                outcome = ops.unpacked(task.index, task.item, data)
            outcome = evolve(outcome, attempts=outcome.attempts + again, repeated=again > 0)
            self._ready.offer(await self._ended(task, outcome))

    def _grow(self, size: int, seconds: float) -> None:
        """Make chunks larger, if they take so little time that sending them counts."""
        if self._spread.chunk_size is not None or seconds > LONG or size < self._size:
            return
        with self._lock:
            larger = min(self._size * 2, self._share * GROWTH)
            more = (larger - self._size) * self._slots
            self._size = larger
        for _ in range(more):
            self._permits.offer(None)

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    async def _lose(self, items: list[_Item], chunk: Chunk, lost: _Lost) -> None:
        """Delete the sessions of a worker that was lost, and have its items done again, or give them up."""
        self._leaves_something = True
        try:
            await reap(self._agb, chunk.owner)
        except AGBError as error:  # tried again at the end
            lost.add_note(f"and its sessions could not be deleted: {error}")
        for item in items:
            item.losses += 1
            if len(items) > 1 or item.losses < LOSSES:
                with self._lock:
                    self._suspects.append(item)
                continue
            why = f"the worker was lost {item.losses} times while it did the item, the last time by itself: {lost}"
            given_up = WorkerLostError(why)
            given_up.__cause__ = lost.__cause__
            outcome: Outcome[Any, Any] = Outcome(
                item.task.index, item.task.item, error=given_up, attempts=item.losses, repeated=True
            )
            self._ready.offer(await self._ended(item.task, outcome))

    def _give_up(self, items: list[_Item], unusable: _Unusable) -> None:
        """Tell that items were not done since the executor cannot be used, and end the batch."""
        error = WorkerLostError(f"the executor cannot be used any more: {unusable}")
        error.__cause__ = unusable.__cause__
        with self._lock:
            self._unusable = self._unusable or error
            items = [*items, *self._suspects]
            self._suspects.clear()
        self._fail(error)
        for item in items:
            self._refuse(item.task.index, item.task.item, error, item.losses)


class _Mark:
    """The driver's half of `AsyncMark`: a file that is locked as long as chunks are waited for."""

    def __init__(self) -> None:
        self.path = ""
        self.host = ""
        self._file = -1

    def open(self) -> None:
        self._file, self.path = tempfile.mkstemp(prefix="agb-map-")
        self.host = host_of(self.path)
        locked(self._file)

    def forget(self, number: int) -> None:
        """Want no more of a chunk."""
        with suppress(FileNotFoundError):
            os.unlink(f"{self.path}.{number}")  # noqa: PTH108 - a string, as it travels

    def close(self) -> None:
        if self._file >= 0:
            with suppress(FileNotFoundError):
                os.unlink(self.path)  # noqa: PTH108
            os.close(self._file)
            self._file = -1


async def _until_done(future: Future[Any], seconds: float | None) -> bool:
    """Wait until a future is done; tells whether it is, within so many seconds."""
    channel: Queue[None] = Queue()
    future.add_done_callback(_calls(thread_safe(partial(channel.offer, None))))
    try:
        await channel.get(seconds)
    except TimeoutError:
        return False
    return True


def _calls(function: Callable[[], None]) -> Callable[[object], None]:
    return lambda _: function()


def _pickled_work(function: Any, options: _Options) -> bytes:
    """Return the pickle of what all chunks have in common; raise `TypeError` if there is none."""
    try:
        work = pickler()((function, options))
        pickle.loads(work)  # noqa: S301 - what was just written
    except Exception as error:
        name = getattr(function, "__qualname__", None) or repr(function)
        help_ = "" if has_cloudpickle() else ". With cloudpickle it may: pip install 'agb[executor]'"
        raise TypeError(f"{name} cannot be pickled to travel to the executor's workers: {error}{help_}") from error
    return work
