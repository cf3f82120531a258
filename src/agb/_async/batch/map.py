"""Batches: a function applied to many items, each in a session, many at a time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sized
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from ..._ops import ownership
from ...exceptions import AGBError, ErrorKind, JournalError
from ...outcomes import BatchStats, Outcome
from ...owned import Owner
from .._compat.cancellation import CLEANUP_LIMIT, shielded
from .._compat.concurrency import TaskGroup, TimedRunner, gather
from .._compat.flavour import BlockHint, IterationHint
from .._compat.iteration import AnyIterable, close_iterator, each
from .._compat.primitives import ClosedResource, Queue
from ..host.progress import AsyncProgressReport, Progress
from ..lifecycle import reaper
from ..lifecycle.deletion import delete_surely, warn_left_behind
from ..lifecycle.owner_process import BlockProcess
from .counters import BatchCounters
from .options import BatchOptions
from .records import AsyncRecords
from .worker import AsyncWorker

if TYPE_CHECKING:
    from ..client import AsyncAGB
    from ..session import AsyncSession

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")


class AsyncBatch(BlockHint, IterationHint, Generic[ItemT, ValueT]):
    """A function that is applied to many items, each in a session; ``client.map`` makes it.

    It is entered by ``async with``, and then iterated over once, by one consumer: an `Outcome` for each item. Leaving
    the block ends everything, wherever it is: running work is cancelled, and no session is left. While the block lasts,
    and only then, it has tasks of its own (threads in the synchronous flavour). A forked child has none of them: it
    leaves the block without doing anything.
    """

    # One task, the feeder, takes the items and puts them in the job queue; workers take them from there, and put an
    # outcome for each in the queue of the consumer.
    #
    # **Back-pressure** is a queue of permits. It holds ``concurrency + buffer`` of them at the beginning. The feeder
    # consumes one before it takes an item, and the consumer returns one when it has received an outcome, so never more
    # than ``concurrency + buffer`` items are taken whose outcomes were not delivered, whatever the order of outcomes
    # and however slow the consumer. None of the other queues needs a bound, since none can hold more. A worker is
    # started only when an item finds no worker that waits, up to ``concurrency``.
    #
    # **The end.** The consumer's queue is closed, and the iteration ends, when no worker is left and no item will be
    # taken: the feeder has ended, or the batch has failed. Each worker, and the feeder, checks this as its last act.

    def __init__(
        self,
        agb: AsyncAGB,
        function: Callable[[AsyncSession, ItemT], Any],
        items: AnyIterable[ItemT],
        options: BatchOptions,
        progress: Progress,
        journal: str | PathLike[str] | None,
        name: str | None,
    ) -> None:
        self.name = name
        self.owner = _owner(name, ownership.nameless())
        self._agb = agb
        self._function = function
        self._items = items
        self._options = options
        self._report = AsyncProgressReport(progress, name or "map", "items")
        self._counters = BatchCounters()
        self._records = AsyncRecords(journal, name or "", options, self._counters)
        self._total = len(items) if isinstance(items, Sized) else None
        self._tasks = TaskGroup()
        self._permits: Queue[None] = Queue()
        self._jobs: Queue[tuple[int, ItemT]] = Queue()
        self._ready: Queue[Outcome[ItemT, ValueT]] = Queue()
        self._received: dict[int, Outcome[ItemT, ValueT]] = {}
        self._failure: Exception | None = None
        self._is_feeder_done = False
        self._left_behind: dict[str, AGBError] = {}
        self._is_resumed_run = False
        self._is_open = False
        self._was_entered = False
        self._taken = self._delivered = 0
        self._start_time = 0.0
        self._block_process = BlockProcess()

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        total = "?" if self._total is None else self._total
        return f"<{type(self).__name__}{name}, {self._counters.done} of {total} items done>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"an {type(self).__name__} is work under way and is not pickled or copied; its outcomes are")

    # --- the block -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._was_entered:
            raise RuntimeError("a batch is entered once; call map() again for another")
        self._was_entered = True
        self._block_process = BlockProcess()
        self._start_time = time.monotonic()
        journal_id = await self._records.open()
        try:
            if journal_id:
                self.owner = _owner(self.name, journal_id)
            if self._records.was_interrupted:
                await self._reap()
                self._is_resumed_run = True
            await self._report.__aenter__()
            await self._tasks.__aenter__()
        except BaseException:
            await shielded(self._close)
            raise
        self._is_open = True
        for _ in range(self._max_taken):
            self._permits.offer(None)
        self._tasks.start(self._feed)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:  # None in the type: an exception of the block is not swallowed
        self._is_open = False
        if not self._block_process.is_current:
            return None
        self._tasks.cancel()
        try:
            return await self._tasks.__aexit__(exc_type, exc, traceback)
        finally:
            await shielded(self._close)

    async def _close(self) -> None:
        """Release everything; the journal last, since its lock says that the batch still runs."""
        try:
            await self._report.__aexit__(None, None, None)
            left_behind = list(self._left_behind)
            for begin in range(0, len(left_behind), reaper.AT_A_TIME):
                some = left_behind[begin : begin + reaper.AT_A_TIME]
                await gather([partial(self._delete_surely, session_id) for session_id in some])
            for session_id, problem in self._left_behind.items():
                warn_left_behind(session_id, problem)
            if self._is_resumed_run:
                await self._reap()  # a session that was being created when the earlier run was killed may exist now
        except AGBError as error:
            warnings.warn(f"sessions of an earlier run may be left behind: {error}", RuntimeWarning, stacklevel=2)
        finally:
            await self._records.aclose()

    # --- the consumer --------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome[ItemT, ValueT]:
        if not self._is_open:
            raise RuntimeError("a batch is entered by a with block, and iterated over inside of it")
        self._block_process.check("a batch")
        while (outcome := self._next_received()) is None:
            received = await self._receive()
            if received is not None:
                self._received[received.index] = received
                await self._report.add(1, self._total)
            elif self._received:  # an outcome before them is missing, since the journal failed
                self._delivered = min(self._received)
            elif (failure := self._failure) is not None:
                self._failure = None
                raise failure
            else:
                raise StopAsyncIteration
        self._delivered += 1
        self._permits.offer(None)
        return outcome

    def _next_received(self) -> Outcome[ItemT, ValueT] | None:
        """Return the outcome that comes next, if it was received."""
        if not self._options.ordered:
            return self._received.popitem()[1] if self._received else None
        return self._received.pop(self._delivered, None)

    async def _receive(self) -> Outcome[ItemT, ValueT] | None:
        try:
            return await self._ready.get()
        except ClosedResource:
            return None

    async def results(self) -> list[Outcome[ItemT, ValueT]]:
        """Wait for the rest of the outcomes, and return them in the order of the items."""
        return sorted([outcome async for outcome in self], key=lambda outcome: outcome.index)

    def stats(self) -> BatchStats:
        """Return how far the batch is."""
        counters = self._counters
        return BatchStats(
            total=self._total,
            taken=self._taken,
            running=counters.running,
            waiting=len(self._ready) + len(self._received),
            succeeded=counters.succeeded,
            failed=counters.failed,
            resumed=counters.resumed,
            repeated=counters.repeated,
            retried=counters.retried,
            sessions=counters.sessions,
            left_behind=tuple(self._left_behind),
            seconds=time.monotonic() - self._start_time if self._was_entered else 0.0,
        )

    # --- the items -----------------------------------------------------------------------------------------------

    @property
    def _max_workers(self) -> int:
        return self._options.concurrency

    @property
    def _max_taken(self) -> int:
        """How many items may be taken whose outcomes were not delivered, at the beginning."""
        return self._options.concurrency + self._options.buffer

    async def _feed(self) -> None:
        """Take the items, one for each permit, and put them in the job queue; only this task uses the iterator."""
        source, runner = each(self._items), TimedRunner()
        try:
            while self._failure is None:
                await self._permits.get()
                item = await runner.run(source.__anext__, None, _nothing)  # so that an iterator may hang
                self._jobs.offer((self._taken, item))
                self._taken += 1
                if not self._jobs.waiting_getters and self._counters.workers < self._max_workers:
                    self._counters.add("workers")
                    self._tasks.start(self._work)
        except (StopAsyncIteration, ClosedResource):
            pass
        except Exception as error:  # raised to the consumer, after the outcomes
            self._failure = self._failure or error
        finally:
            runner.close()
            await close_iterator(source)
        self._jobs.close()
        self._is_feeder_done = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        """End the iteration if nothing can add another outcome."""
        if self._counters.workers == 0 and (self._is_feeder_done or self._failure is not None):
            self._ready.close()

    # --- the workers ---------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        worker = AsyncWorker(self, self._options)
        try:
            while True:
                index, item = await self._jobs.get()
                self._counters.add("running")
                try:
                    outcome = await self._process(worker, index, item)
                finally:
                    self._counters.add("running", -1)
                self._ready.offer(outcome)
        except ClosedResource:
            pass
        except JournalError as error:
            self._fail(error)
        finally:
            await worker.aclose()
        self._counters.add("workers", -1)
        self._close_if_done()

    async def _process(self, worker: AsyncWorker, index: int, item: ItemT) -> Outcome[ItemT, ValueT]:
        """Process an item unless the journal has its outcome; raises `JournalError` if that ends the batch."""
        task = self._records.find(index, item)
        if isinstance(task, Outcome):
            return task
        await self._records.begin([task])
        return await self._records.end(task, await worker.process(index, item))

    def _fail(self, error: Exception) -> None:
        """Raise an error to the consumer after the outcomes, and take no more items."""
        self._failure = self._failure or error
        self._jobs.close()

    # --- sessions ------------------------------------------------------------------------------------------------

    async def _reap(self) -> None:
        """Delete the sessions that an earlier run has left; the journal is locked, so that run has ended.

        Raises:
            SessionError: its sessions could not be listed.
        """
        if not self._agb.uses_hidden_labels:
            why = "sessions of the earlier run cannot be found without hidden labels, and may be left behind"
            warnings.warn(why, RuntimeWarning, stacklevel=2)
            return
        reaped = await self._agb.reap(self.owner, even_if_alive=True)
        self._left_behind |= {session.session_id: error for session, error in reaped.failed}

    async def _delete(self, session: AsyncSession) -> bool:
        """Delete a session, once more at the end of the batch if that fails; return whether it was gone already."""
        result = await session.delete(timeout=CLEANUP_LIMIT)
        error = result.error
        if result.success or error is None or error.kind is ErrorKind.NOT_FOUND:
            self._left_behind.pop(session.session_id, None)
            return not result.success
        self._left_behind[session.session_id] = error
        return False

    async def _delete_surely(self, session_id: str) -> None:
        error = await delete_surely(self._agb.attach(session_id))
        if error is None:
            del self._left_behind[session_id]
        else:
            self._left_behind[session_id] = error


def _owner(name: str | None, id_: str) -> Owner:
    """Return the owner of the sessions of a batch; two batches of one name may run at the same time."""
    return Owner("map", f"{name}-{id_}" if name else id_)


async def _nothing() -> None:
    """Do nothing."""
