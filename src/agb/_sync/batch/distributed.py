# Generated from src/agb/_async/batch/distributed.py by tools/unasync.py. Do not edit.
"""The driver's half of a distributed batch: items are sent in chunks to an executor's workers, outcomes come back."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, evolve

from ..._ops import chunks as ops
from ..._ops.chunks import Chunk, ChunkResult
from ...exceptions import AGBError, ExecutionError, JournalError, WorkerLostError
from ...outcomes import Outcome
from .._compat.cancellation import CLEANUP_LIMIT
from .._compat.loop import in_thread, thread_safe
from .._compat.primitives import ClosedResource, Queue
from .chunk_worker import api_keys, delete_sessions, run_chunk
from .lease import DriverLease
from .map import Batch
from .options import BatchOptions, ExecutorOptions
from .pickling import pickle_work, pickler
from .records import Task

if TYPE_CHECKING:
    from ..client import AGB

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")

CLIENT = "AGB"
"""The public name of the class of which each worker makes a client."""
DEFAULT_CHUNKS = 4
"""Chunks that are sent at a time, for an executor that does not say how many workers it has."""
MAX_LOSSES = 3
"""How often an item's worker may be lost before the item has an error."""
SHORT_CHUNK = 5.0
"""Seconds: a chunk that takes less makes the next ones larger, unless their size was given."""
MAX_GROWTH = 32
"""Times its first size that a chunk may have."""
LINGER = 0.02
"""Seconds to wait for another item before a chunk is sent that is not full."""


@define(eq=False)
class _Item:
    """An item that is being processed, and how often its worker was lost."""

    task: Task
    data: bytes
    losses: int = 0


class _WorkerLost(Exception):
    """A chunk will have no result."""


class _ExecutorUnusable(Exception):
    """The executor accepts no more chunks."""


class DistributedBatch(Batch[ItemT, ValueT]):
    """A batch whose items are processed by the workers of an executor; ``client.map(..., executor=...)`` makes it.

    Each task of this batch sends one chunk of items after the other and waits for its result. Everything else, the
    journal, the order, back-pressure, is as without an executor.

    **Lost workers.** A chunk is lost if its future has an error or is cancelled, or if it has no result in time. What a
    lost worker did is unknown, so three things are done, in this order. First the sessions of that chunk are deleted:
    they carry its number in a hidden label, and the number is not used again, so the sessions of the next attempt are
    never among them. Then its items become suspects, since one of them may be what killed the worker. Suspects are sent
    apart from other items, in smaller chunks, from the second loss on one by one, and only one chunk of suspects is on
    its way at a time: a suspect that kills its worker, and with it perhaps a whole process pool, takes no second
    suspect along. So an item is charged at most with the loss of chunks that it was in, and one that is lost
    `MAX_LOSSES` times, the last time alone in its chunk, has a `WorkerLostError`. An item stays counted as taken while
    it is a suspect, so back-pressure holds, and the task that lost the chunk looks for suspects before it waits for
    new items, so no suspect is left when the job queue is closed.
    """

    def __init__(
        self,
        agb: AGB,
        function: Any,
        items: Any,
        options: BatchOptions,
        distribution: ExecutorOptions,
        *more: Any,
    ) -> None:
        self._distribution = distribution
        self._executor: Any = distribution.executor if hasattr(distribution.executor, "submit") else None
        known = distribution.chunks or getattr(self._executor, "_max_workers", None)
        wanted = known if isinstance(known, int) and known > 0 else DEFAULT_CHUNKS
        self._max_chunks = min(wanted, options.concurrency, agb.client.limits.sessions or wanted)
        self._concurrency = options.concurrency // self._max_chunks
        self._chunk_size = distribution.chunk_size or self._concurrency
        self._pickled_work = pickle_work(function, evolve(options, ordered=False, key=None, redo_failed=False))
        self._limits = ops.divide_limits(agb.client.limits, self._max_chunks)
        self._lock = threading.Lock()  # around the attributes below, never held across a wait
        self._suspects: list[_Item] = []
        self._is_suspect_chunk_out = False
        self._unusable: WorkerLostError | None = None
        self._chunks_sent = 0
        self._futures: dict[int, Future[ChunkResult]] = {}
        self._lease = DriverLease()
        self._executor_lock = threading.Lock()  # held while an executor is made
        self._may_leave_sessions = False
        super().__init__(agb, function, items, options, *more)

    # --- what differs from a batch without an executor -------------------------------------------------------------

    @property
    def _max_workers(self) -> int:
        return self._max_chunks

    @property
    def _max_taken(self) -> int:
        return self._max_chunks * self._chunk_size + self._options.buffer

    def _close(self) -> None:
        """End the work in all workers, and delete the sessions that they left."""
        self._lease.close()
        api_keys.pop(self.owner.id, None)
        for future in self._futures.values():
            future.cancel()
        limit = time.monotonic() + CLEANUP_LIMIT
        for number, future in list(self._futures.items()):
            if _wait_for(future, max(0.0, limit - time.monotonic())):
                self._collect(future)
                del self._futures[number]
        failure: AGBError | None = None
        if self._futures or self._may_leave_sessions:
            try:
                delete_sessions(self._agb, self.owner)
            except AGBError as error:
                failure = error
        if self._executor is not None and self._executor is not self._distribution.executor:
            self._executor.shutdown(wait=False)
        super()._close()
        if failure is not None:
            why = f"sessions of {self.owner.label}, left by lost workers, may still exist: {failure}"
            warnings.warn(why, RuntimeWarning, stacklevel=2)

    def _collect(self, future: Future[ChunkResult]) -> None:
        """Read the counts and the sessions left behind from a chunk's result; its outcomes are not delivered."""
        try:
            result = future.result(timeout=0)
        except BaseException:  # a lost worker, or a cancelled future
            self._may_leave_sessions = True
            return
        self._add_counts(result)

    def _add_counts(self, result: ChunkResult) -> None:
        self._left_behind.update(result.left_behind)
        self._counters.add("sessions", result.sessions)
        self._counters.add("retried", result.retried)

    def _work(self) -> None:
        try:
            while True:
                items = self._next_chunk()
                if items:
                    self._process_chunk(items)
        except ClosedResource:
            pass
        except JournalError as error:
            self._fail(error)
        self._counters.add("workers", -1)
        self._close_if_done()

    # --- chunks ------------------------------------------------------------------------------------------------------

    def _next_chunk(self) -> list[_Item]:
        """Return the items of the next chunk: suspects, if there are any and none are on their way, or new items."""
        with self._lock:
            if self._suspects and not self._is_suspect_chunk_out:
                self._is_suspect_chunk_out = True
                losses = self._suspects[0].losses
                size = 1 if losses > 1 else max(1, self._chunk_size // 4)
                chosen = [item for item in self._suspects if item.losses == losses][:size]
                self._suspects = [item for item in self._suspects if item not in chosen]
                return chosen
        jobs = [self._jobs.get()]
        with suppress(TimeoutError, ClosedResource):
            while len(jobs) < self._chunk_size:
                jobs.append(self._jobs.get(LINGER))
        return self._begin(jobs)

    def _begin(self, jobs: list[tuple[int, ItemT]]) -> list[_Item]:
        """Return the items that are to be sent; the others have their outcome already."""
        items = []
        for index, item in jobs:
            task = self._records.find(index, item)
            if isinstance(task, Outcome):
                self._ready.offer(task)
            elif self._unusable is not None:
                self._reject(index, item, self._unusable)
            else:
                try:
                    items.append(_Item(task, pickler()(item)))
                except Exception as error:  # the item's outcome
                    text = f"the item cannot be pickled to travel to a worker: {error}"
                    self._reject(index, item, ExecutionError(type(error).__name__, text))
        self._records.begin([item.task for item in items])
        return items

    def _reject(self, index: int, item: Any, error: Exception, losses: int = 0) -> None:
        """Deliver the outcome of an item that was not processed; it is not recorded, so the next run processes it."""
        self._counters.add("failed")
        self._ready.offer(Outcome(index, item, error=error, attempts=losses, repeated=losses > 1))

    def _process_chunk(self, items: list[_Item]) -> None:
        """Have a worker process a chunk, and deliver the outcomes of its items."""
        begin, is_suspect = time.monotonic(), items[0].losses > 0
        chunk = self._chunk(items)
        self._counters.add("running", len(items))
        try:
            result = self._run_remotely(chunk)
        except _WorkerLost as lost:
            self._handle_lost_worker(items, chunk, lost)
        except _ExecutorUnusable as error:
            self._handle_unusable_executor(items, error)
        else:
            self._may_leave_sessions |= result.is_rerun  # a create may have been under way when its worker was killed
            self._add_counts(result)
            self._deliver(items, result)
            self._grow(len(items), time.monotonic() - begin)
        finally:
            self._lease.release_chunk(chunk.number)
            self._counters.add("running", -len(items))
            if is_suspect:
                self._is_suspect_chunk_out = False

    def _chunk(self, items: list[_Item]) -> Chunk:
        with self._lock:
            self._chunks_sent += 1
            number = self._chunks_sent
            if not self._lease.path:
                self._lease.open()
        api_keys[self.owner.id] = self._agb.api_key
        retries = self._options.retries
        if retries is not None:
            retries = max(0, retries - self._counters.retried) // self._max_chunks
        return Chunk(
            run=self.owner.id,
            number=number,
            owner=evolve(self.owner, part=f"{number}"),
            client=CLIENT,
            endpoint=str(self._agb.client.endpoint),
            timeout_ms=max(1, int(self._agb.client.timeout * 1000)),
            limits=self._limits,
            work=self._pickled_work,
            items=tuple((item.task.index, item.data) for item in items),
            concurrency=self._concurrency,
            retries=retries,
            lease_path=self._lease.path,
            host=self._lease.host,
            api_key=self._agb.api_key if self._distribution.send_key else "",
            hidden_labels=self._agb.uses_hidden_labels,
        )

    def _run_remotely(self, chunk: Chunk) -> ChunkResult:
        """Submit a chunk and wait for its result."""
        self._submit(chunk)
        future = self._futures[chunk.number]
        if not _wait_for(future, self._distribution.chunk_timeout):
            raise _WorkerLost(f"no answer came within {self._distribution.chunk_timeout:g} s")
        del self._futures[chunk.number]
        try:
            error = future.exception(timeout=0)
        except CancelledError as cancelled:
            error = cancelled
        if error is not None:
            raise _WorkerLost(f"{type(error).__name__}: {error}") from error
        return future.result(timeout=0)

    def _submit(self, chunk: Chunk) -> None:
        """Submit a chunk, to a new executor if the last one is broken and there is a function that makes one."""

        def submit() -> None:
            self._futures[chunk.number] = executor.submit(run_chunk, chunk)

        for is_last in (False, True):
            executor: Any = None
            try:
                executor = self._executor or in_thread(self._make_executor)
                in_thread(submit)
            except Exception as error:
                if is_last or executor is None or executor is self._distribution.executor:
                    raise _ExecutorUnusable(f"{type(error).__name__}: {error}") from error
                with self._lock:
                    self._executor = None if self._executor is executor else self._executor
                in_thread(partial(executor.shutdown, wait=False))
            else:
                return

    def _make_executor(self) -> Any:
        with self._executor_lock:
            if self._executor is None:
                self._executor = self._distribution.executor()  # type: ignore[operator, misc]
        return self._executor

    def _deliver(self, items: list[_Item], result: ChunkResult) -> None:
        outcomes = dict(result.outcomes)
        for item in items:
            task, data = item.task, outcomes.get(item.task.index)
            repetitions = item.losses + result.is_rerun
            if data is None:
                error = result.problem or WorkerLostError("the worker returned no outcome of the item")
                outcome: Outcome[Any, Any] = Outcome(task.index, task.item, error=error)
            else:
                outcome = ops.unpickle_outcome(task.index, task.item, data)
            outcome = evolve(outcome, attempts=outcome.attempts + repetitions, repeated=repetitions > 0)
            self._ready.offer(self._records.end(task, outcome))

    def _grow(self, size: int, seconds: float) -> None:
        """Make chunks larger, if they take so little time that sending them is a cost; with more permits for that."""
        if self._distribution.chunk_size is not None or seconds > SHORT_CHUNK or size < self._chunk_size:
            return
        with self._lock:
            larger = min(self._chunk_size * 2, self._concurrency * MAX_GROWTH)
            permits = (larger - self._chunk_size) * self._max_chunks
            self._chunk_size = larger
        for _ in range(permits):
            self._permits.offer(None)

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def _handle_lost_worker(self, items: list[_Item], chunk: Chunk, lost: _WorkerLost) -> None:
        """Delete the sessions of a lost worker, and make its items suspects, or deliver their error."""
        self._may_leave_sessions = True
        try:
            delete_sessions(self._agb, chunk.owner)
        except AGBError as error:  # tried again at the end
            lost.add_note(f"and its sessions could not be deleted: {error}")
        for item in items:
            item.losses += 1
            if len(items) > 1 or item.losses < MAX_LOSSES:
                with self._lock:
                    self._suspects.append(item)
                continue
            why = f"the worker was lost {item.losses} times while it processed the item, the last time alone: {lost}"
            final = WorkerLostError(why)
            final.__cause__ = lost.__cause__
            outcome: Outcome[Any, Any] = Outcome(
                item.task.index, item.task.item, error=final, attempts=item.losses, repeated=True
            )
            self._ready.offer(self._records.end(item.task, outcome))

    def _handle_unusable_executor(self, items: list[_Item], unusable: _ExecutorUnusable) -> None:
        """End the batch; all items that were taken have an outcome that says so."""
        error = WorkerLostError(f"the executor cannot be used any more: {unusable}")
        error.__cause__ = unusable.__cause__
        with self._lock:
            self._unusable = self._unusable or error
            items = [*items, *self._suspects]
            self._suspects.clear()
        self._fail(error)
        for item in items:
            self._reject(item.task.index, item.task.item, error, item.losses)


def _wait_for(future: Future[Any], seconds: float | None) -> bool:
    """Wait until a future is done; return whether it is, within so many seconds."""
    done: Queue[None] = Queue()
    future.add_done_callback(_ignoring_argument(thread_safe(partial(done.offer, None))))
    try:
        done.get(seconds)
    except TimeoutError:
        return False
    return True


def _ignoring_argument(function: Callable[[], None]) -> Callable[[object], None]:
    return lambda _: function()
