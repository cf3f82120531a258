"""Batches: a function applied to many items, each in a session, many at a time."""

from __future__ import annotations

import random
import threading
import time
import warnings
from collections.abc import Callable, Sized
from concurrent.futures import Executor
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from attrs import define, evolve, frozen

from ..._ops import journal as ops
from ..._ops import ownership
from ..._ops.arguments import check_create_params
from ..._ops.sessions import is_gone
from ..._wire.deadline import check_timeout
from ...exceptions import AGBError, ErrorKind, ItemTimeoutError, JournalError
from ...outcomes import BatchStats, Outcome, RetryOn
from ...session_params import CreateSessionParams
from .._compat.cancellation import CLEANUP_LIMIT, is_foreign_cancellation, shielded
from .._compat.concurrency import CallTimeout, TaskGroup, TimedRunner
from .._compat.flavour import check_function
from .._compat.iteration import AnyIterable, close_iterator, each
from .._compat.loop import call, sleep
from .._compat.primitives import ClosedResource, Queue
from ..host.progress import AsyncProgressReport, Progress
from ..lifecycle.deletion import warn_left_behind
from ..lifecycle.session_pool import AsyncSessionPool
from .journal import AsyncJournal

if TYPE_CHECKING:
    from ..client import AsyncAGB
    from ..session import AsyncSession

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")

LONGEST_NAME = 100
FIRST_PAUSE = 0.1
TRUSTED = 5.0
"""Seconds after which a session that nobody used is looked at before it is used again."""
LONGEST_PAUSE = 10.0
"""Seconds between the attempts at an item: doubled each time, with jitter, up to the longest."""


@frozen
class _Options:
    """How a batch is run, checked."""

    params: CreateSessionParams | None
    """None if sessions are borrowed."""
    concurrency: int
    ordered: bool
    pool: AsyncSessionPool | bool
    timeout: float | None
    attempts: int
    retries: int | None
    retry_on: RetryOn
    buffer: int
    key: Callable[[Any], str] | None
    redo_failed: bool


@frozen
class _Task:
    """An item that is to be done, and what the journal knows of it."""

    index: int
    item: Any
    key: str
    is_repeated: bool


@define
class _Try:
    """One attempt at an item."""

    value: Any = None
    error: BaseException | None = None
    session_id: str = ""
    is_gone: bool = False
    """Whether the session had ended by itself."""


class AsyncBatch(Generic[ItemT, ValueT]):
    """A function that is applied to many items, each in a session; ``agb.map`` makes it.

    It is entered by ``async with``, and then iterated over once, by one consumer: an `Outcome` for each item. Leaving
    the block ends everything, wherever it is: what works is cancelled, and no session is left. While the block lasts,
    and only then, it has tasks of its own (threads in the synchronous flavour).
    """

    def __init__(
        self,
        agb: AsyncAGB,
        function: Callable[[AsyncSession, ItemT], Any],
        items: AnyIterable[ItemT],
        options: _Options,
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
        self._path = None if journal is None else Path(fspath(journal))
        self._journal: AsyncJournal | None = None
        self._total = len(items) if isinstance(items, Sized) else None
        self._lock = threading.Lock()  # around the counters below, never held across a wait
        self._crew = TaskGroup()
        self._permits: Queue[None] = Queue()
        self._jobs: Queue[tuple[int, ItemT]] = Queue()
        self._ready: Queue[Outcome[ItemT, ValueT]] = Queue()
        self._arrived: dict[int, Outcome[ItemT, ValueT]] = {}
        self._failure: Exception | None = None
        self._is_fed = False
        self._keys: set[str] = set()
        self._left_behind: dict[str, AGBError] = {}
        self._is_heir = False
        self._is_open = False
        self._was_entered = False
        self._workers = self._taken = self._next = self._running = 0
        self._succeeded = self._failed = self._resumed = self._repeated = self._retried = self._sessions = 0
        self._begun = 0.0

    def __repr__(self) -> str:
        done = self._succeeded + self._failed + self._resumed
        named = f" {self.name!r}" if self.name else ""
        return f"<{type(self).__name__}{named}, {done} of {'?' if self._total is None else self._total} items done>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"an {type(self).__name__} is work under way and is not pickled or copied; its outcomes are")

    # --- the block -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._was_entered:
            raise RuntimeError("a batch is entered once; call map() again for another")
        self._was_entered = True
        self._begun = time.monotonic()
        if self._path is not None:
            params, is_keyed = ops.digest_of_params(self._params), self._options.key is not None
            self._journal = await AsyncJournal.open(self._path, self.name or "", params, is_keyed)
        try:
            if self._journal is not None:
                self.owner = _owner(self.name, self._journal.header.id)
                if self._journal.contents.begun:
                    await self._reap()
                    self._is_heir = True
            await self._report.__aenter__()
            await self._crew.__aenter__()
        except BaseException:
            await shielded(self._close)
            raise
        self._is_open = True
        for _ in range(self._most_taken):
            self._permits.offer(None)
        self._crew.start(self._feed)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:  # which says that it does not swallow what the block raises
        self._is_open = False
        self._crew.cancel()
        try:
            return await self._crew.__aexit__(exc_type, exc, traceback)
        finally:
            await shielded(self._close)

    async def _close(self) -> None:
        """Let go of everything; the journal last, for it says that the batch still runs."""
        try:
            await self._report.__aexit__(None, None, None)
            for session_id in list(self._left_behind):
                await self._delete(self._agb.attach(session_id))
            for session_id, problem in self._left_behind.items():
                warn_left_behind(session_id, problem)
            if self._is_heir:
                await self._reap()  # what was being created when the earlier run was killed may be there now
        except AGBError as error:
            warnings.warn(f"sessions of an earlier run may be left behind: {error}", RuntimeWarning, stacklevel=2)
        finally:
            if self._journal is not None:
                await self._journal.aclose()

    # --- the consumer --------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome[ItemT, ValueT]:
        if not self._is_open:
            raise RuntimeError("a batch is entered by a with block, and iterated over inside of it")
        while (outcome := self._fetched()) is None:
            arrived = await self._arrival()
            if arrived is not None:
                self._arrived[arrived.index] = arrived
                await self._report.add(1, self._total)
            elif self._arrived:  # one before them never came, since the journal failed
                self._next = min(self._arrived)
            elif (failure := self._failure) is not None:
                self._failure = None
                raise failure
            else:
                raise StopAsyncIteration
        self._next += 1
        self._permits.offer(None)
        return outcome

    def _fetched(self) -> Outcome[ItemT, ValueT] | None:
        if not self._options.ordered:
            return self._arrived.popitem()[1] if self._arrived else None
        return self._arrived.pop(self._next, None)

    async def _arrival(self) -> Outcome[ItemT, ValueT] | None:
        try:
            return await self._ready.get()
        except ClosedResource:
            return None

    async def results(self) -> list[Outcome[ItemT, ValueT]]:
        """Wait for the rest of the outcomes, and return them in the order of the items."""
        return sorted([outcome async for outcome in self], key=lambda outcome: outcome.index)

    def stats(self) -> BatchStats:
        """Return how far the batch is."""
        with self._lock:
            return BatchStats(
                total=self._total,
                taken=self._taken,
                running=self._running,
                waiting=len(self._ready) + len(self._arrived),
                succeeded=self._succeeded,
                failed=self._failed,
                resumed=self._resumed,
                repeated=self._repeated,
                retried=self._retried,
                sessions=self._sessions,
                left_behind=tuple(self._left_behind),
                seconds=time.monotonic() - self._begun if self._was_entered else 0.0,
            )

    @property
    def _params(self) -> CreateSessionParams:
        """What sessions are created from, by this batch or by the pool that lends them."""
        pool = self._options.pool
        params = self._options.params if isinstance(pool, bool) else pool.params
        assert params is not None  # noqa: S101 - it was checked
        return params

    # --- the items -----------------------------------------------------------------------------------------------

    @property
    def _most_workers(self) -> int:
        return self._options.concurrency

    @property
    def _most_taken(self) -> int:
        """How many items may have been taken whose outcomes were not fetched, at the beginning."""
        return self._options.concurrency + self._options.buffer

    async def _feed(self) -> None:
        """Take the items, one for each permit, and let workers have them; the iterator is used by this worker only."""
        source, hand = each(self._items), TimedRunner()
        try:
            while self._failure is None:
                await self._permits.get()
                item = await hand.run(source.__anext__, None, _nothing)  # nobody waits long for one that hangs
                self._jobs.offer((self._taken, item))
                self._taken += 1
                if not self._jobs.takers and self._workers < self._most_workers:
                    self._count(workers=1)
                    self._crew.start(self._work)
        except (StopAsyncIteration, ClosedResource):
            pass
        except Exception as error:  # noqa: BLE001 - raised to the consumer, after the outcomes
            self._failure = self._failure or error
        finally:
            hand.close()
            await close_iterator(source)
        self._jobs.close()
        self._is_fed = True
        self._end()

    def _end(self) -> None:
        """Tell the consumer, if this was the last that could have something for it."""
        with self._lock:
            is_over = self._workers == 0 and (self._is_fed or self._failure is not None)
        if is_over:
            self._ready.close()

    # --- the workers ---------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        seat = _Seat(self._options, self)
        try:
            while True:
                index, item = await self._jobs.get()
                self._count(running=1)
                try:
                    outcome = await self._do(seat, index, item)
                finally:
                    self._count(running=-1)
                self._ready.offer(outcome)
        except ClosedResource:
            pass
        except JournalError as error:
            self._fail(error)
        finally:
            await seat.aclose()
        self._count(workers=-1)
        self._end()

    def _fail(self, error: Exception) -> None:
        """Have the consumer get an error after the outcomes, and take no more items."""
        self._failure = self._failure or error
        self._jobs.close()

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                setattr(self, f"_{name}", getattr(self, f"_{name}") + number)

    async def _do(self, seat: _Seat, index: int, item: ItemT) -> Outcome[ItemT, ValueT]:
        """Do an item, or find what became of it in the journal; raises `JournalError` if that ends the batch."""
        task = self._known(index, item)
        if isinstance(task, Outcome):
            return task
        if self._journal is not None:
            await self._journal.write(ops.begun(task.key, index))
        begun, attempts = time.monotonic(), 1
        while (tried := await seat.attempt(index, item)).error is not None:
            if not self._may_try_again(tried, attempts):
                break
            await sleep(_pause(tried.error, attempts))
            attempts += 1
        seconds = time.monotonic() - begun
        return await self._ended(
            task, Outcome(index, item, tried.value, tried.error, attempts, seconds, tried.session_id)
        )

    def _known(self, index: int, item: ItemT) -> _Task | Outcome[ItemT, ValueT]:
        """Return what became of an item in an earlier run, or what has to be done."""
        if self._journal is None:
            return _Task(index, item, "", False)
        try:
            key = self._key(index, item)
        except JournalError:
            raise
        except Exception as error:  # noqa: BLE001 - the item's outcome
            self._count(failed=1)
            return Outcome(index, item, error=error)
        ending = self._journal.ending(key)
        if ending is not None and not (ending.error is not None and self._options.redo_failed):
            self._count(resumed=1)
            told = (ending.value, ending.error, ending.attempts, ending.seconds, ending.session_id)
            return Outcome(index, item, *told, resumed=True, repeated=ending.is_repeated)
        return _Task(index, item, key, ending is not None or key in self._journal.contents.begun)

    async def _ended(self, task: _Task, outcome: Outcome[ItemT, ValueT]) -> Outcome[ItemT, ValueT]:
        """Return the outcome of an item as it is told, once it is in the journal."""
        outcome = evolve(outcome, repeated=outcome.repeated or task.is_repeated)
        if self._journal is not None:
            outcome = await self._recorded(self._journal, task.key, outcome)
        is_ok = outcome.ok
        self._count(succeeded=1 if is_ok else 0, failed=0 if is_ok else 1, repeated=1 if outcome.repeated else 0)
        return outcome

    def _key(self, index: int, item: ItemT) -> str:
        """Return the key of an item in the journal, or raise what is wrong with it."""
        assert self._journal is not None  # noqa: S101 - nobody else asks
        if self._options.key is None:
            key = ops.key_of(index, item)
            if self._journal.contents.keys.get(index, key) != key:
                raise JournalError(
                    f"The journal {str(self._journal.path)!r} has another item with the number {index}: the items are "
                    "not those of the earlier run, or come in another order. Name them by key=..., or take another "
                    "journal"
                )
            return key
        key = self._options.key(item)
        if not isinstance(key, str) or not key:
            raise TypeError(f"key gives a string that names the item, not {key!r}")
        with self._lock:
            is_known = key in self._keys
            self._keys.add(key)
        if is_known:
            raise ValueError(f"item {index} has the key {key!r}, as has an item before it: it was not done")
        return key

    def _may_try_again(self, tried: _Try, attempts: int) -> bool:
        assert tried.error is not None  # noqa: S101 - nobody else asks
        if attempts >= self._options.attempts:
            return False
        if not (tried.is_gone or _is_passing(tried.error) or _matches(self._options.retry_on, tried.error)):
            return False
        with self._lock:
            if self._options.retries is not None and self._retried >= self._options.retries:
                return False
            self._retried += 1
        return True

    async def _recorded(
        self, journal: AsyncJournal, key: str, outcome: Outcome[ItemT, ValueT]
    ) -> Outcome[ItemT, ValueT]:
        """Write an outcome to the journal, and return it."""
        told = (outcome.attempts, outcome.seconds, outcome.session_id, outcome.repeated)
        try:
            line = ops.done(key, outcome.index, ops.Ending(outcome.value, outcome.error, *told))
        except TypeError as problem:
            error = JournalError(
                f"item {outcome.index} was done, but the journal cannot keep its value, a "
                f"{type(outcome.value).__name__}, which can be written neither as JSON nor by pickle ({problem})"
            )
            outcome = evolve(outcome, error=error)
            line = ops.done(key, outcome.index, ops.Ending(None, error, *told))
        try:
            await journal.write(line)
        except JournalError as error:
            error.unrecorded.append(outcome)
            raise
        return outcome

    # --- sessions ------------------------------------------------------------------------------------------------

    async def _reap(self) -> None:
        """Delete what an earlier run has left; the journal is locked, so that it runs no more.

        Raises:
            SessionError: what there is could not be found out.
        """
        reaped = await self._agb.reap(self.owner, even_if_alive=True)
        self._left_behind |= {session.session_id: error for session, error in reaped.failed}

    async def _delete(self, session: AsyncSession) -> bool:
        """Delete a session; tells whether it was gone already."""
        result = await session.delete(timeout=CLEANUP_LIMIT)
        error = result.error
        if result.success or error is None or error.kind is ErrorKind.NOT_FOUND:
            self._left_behind.pop(session.session_id, None)
            return not result.success
        self._left_behind[session.session_id] = error
        return False


class _Seat:
    """Where a worker works: a session, which it keeps from item to item if sessions are reused."""

    def __init__(self, options: _Options, batch: AsyncBatch[Any, Any]) -> None:
        self._options = options
        self._batch = batch
        self._lender = None if isinstance(options.pool, bool) else options.pool
        self._session: AsyncSession | None = None
        self._used = 0.0
        self._hand = TimedRunner()

    async def attempt(self, index: int, item: Any) -> _Try:
        """Try the function on an item once."""
        if self._session is not None and time.monotonic() - self._used > TRUSTED and await self._is_gone(self._session):
            await self.leave()  # it rested for too long, for which the item is not to blame
        if self._session is None and (failed := await self._take_seat()) is not None:
            return failed
        session = self._session
        assert session is not None  # noqa: S101 - just taken
        tried = _Try(session_id=session.session_id)
        function = partial(call, self._batch._function, session, item)
        try:
            tried.value = await self._hand.run(function, self._options.timeout, self.leave)
        except CallTimeout as overdue:
            tried.error = _overdue(index, self._options.timeout, session.session_id, overdue.is_abandoned)
        except Exception as error:  # noqa: BLE001 - whatever a user's function raises is the item's outcome
            tried.error = error
        except BaseException as error:
            if not is_foreign_cancellation(error):
                raise
            tried.error = RuntimeError(f"the function waited for something that was cancelled, on item {index}")
            tried.error.__cause__ = error
        self._used = time.monotonic()
        if tried.error is None and self._lender is not None:
            self._session = None
            self._lender.release(session)
        elif tried.error is not None or not self._options.pool:
            tried.is_gone = await self.leave()
        if tried.error is not None and tried.is_gone:
            tried.error.add_note(f"session {session.session_id} had ended by then")
        return tried

    async def _take_seat(self) -> _Try | None:
        """Create a session, or borrow one; returns what went wrong, if anything."""
        if self._lender is not None:
            try:
                self._session = await self._lender.acquire()
            except Exception as error:  # noqa: BLE001 - also what the pool's own hooks raise
                return _Try(error=error)
            return None
        created = await self._batch._agb.create(self._options.params, owner=self._batch.owner)
        self._session = session = created.session
        if session is None:
            return _Try(error=created.error)
        self._batch._count(sessions=1)
        if created.error is None:
            return None
        await self.leave()  # data of a context is missing
        return _Try(error=created.error, session_id=session.session_id)

    async def _is_gone(self, session: AsyncSession) -> bool:
        status = await session.get_status()
        return is_gone(status.status, status.error)

    async def leave(self) -> bool:
        """Delete the session, if there is one; tells whether it was gone already."""
        session, self._session = self._session, None
        if session is None:
            return False
        if self._lender is not None:
            self._lender.release(session, discard=True)  # the pool sees to it that it goes, also when this is cancelled
        try:
            return await self._batch._delete(session)
        except BaseException:  # cancelled: once more, to the end; a shield from the beginning would cost every item
            await shielded(partial(self._batch._delete, session))
            raise

    async def aclose(self) -> None:
        """Delete the session, if there is one: the worker goes."""
        try:
            await self.leave()
        finally:
            self._hand.close()


def _owner(name: str | None, nonce: str) -> ownership.Owner:
    """Return whom the sessions of a batch belong to; two batches of one name may run at the same time."""
    return ownership.Owner("map", f"{name}-{nonce}" if name else nonce)


async def _nothing() -> None:
    """Do nothing."""


def _overdue(index: int, seconds: float | None, session_id: str, is_abandoned: bool) -> ItemTimeoutError:
    what = f"the function did not return within {seconds:g} s on item {index}"
    if is_abandoned:
        what += ", nor when its session was deleted: its thread was left to itself"
    return ItemTimeoutError(what, session_id=session_id, abandoned=is_abandoned)


def _is_passing(error: BaseException) -> bool:
    """Return whether an error is one of the service or the way there, which another attempt may well not meet."""
    if not isinstance(error, AGBError) or isinstance(error, ItemTimeoutError) or error.extra.get("permanent"):
        return False
    return error.retryable or error.kind is ErrorKind.RATE_LIMITED or not error.kind.is_refusal


def _matches(retry_on: RetryOn, error: BaseException) -> bool:
    if isinstance(retry_on, (type, tuple)):
        return isinstance(error, retry_on)
    return bool(retry_on(error))


def _pause(error: BaseException | None, attempts: int) -> float:
    asked = getattr(error, "retry_after", None)
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 20)) * (0.5 + random.random() / 2)  # noqa: S311
    return pause if asked is None else max(float(asked), pause)


# --- arguments -----------------------------------------------------------------------------------------------------


def batch(
    agb: AsyncAGB,
    function: Callable[[AsyncSession, ItemT], Any],
    items: AnyIterable[ItemT],
    *,
    params: CreateSessionParams | None,
    concurrency: int,
    ordered: bool,
    pool: AsyncSessionPool | bool,
    timeout: float | None,
    attempts: int,
    retries: int | None,
    retry_on: RetryOn,
    buffer: int | None,
    progress: Progress,
    journal: str | PathLike[str] | None,
    key: Callable[[ItemT], str] | None,
    redo_failed: bool,
    name: str | None,
    executor: Executor | Callable[[], Executor] | None,
    chunk_size: int | None,
    chunks: int | None,
    chunk_timeout: float | None,
    send_key: bool,
) -> AsyncBatch[ItemT, Any]:
    """Return a batch with these arguments, checked; see `AsyncAGB.map`."""
    check_function(function)
    if not (hasattr(items, "__aiter__") or hasattr(items, "__iter__")) or isinstance(items, (str, bytes)):
        raise TypeError(f"items is an iterable of items, not a {type(items).__name__}")
    if not isinstance(pool, (bool, AsyncSessionPool)):
        raise TypeError(f"pool is True, False or a pool that agb.pool() gave, not {pool!r}")
    if not isinstance(pool, bool):
        if params is not None:
            raise ValueError("params are those of the pool: pass one of the two")
        if executor is not None:
            raise ValueError("a pool of sessions does not travel to the workers of an executor: pass pool=True")
    else:
        check_create_params(params)
    for what, number, least in (
        ("concurrency", concurrency, 1),
        ("attempts", attempts, 1),
        ("retries", retries, 0),
        ("buffer", buffer, 0),
        ("chunk_size", chunk_size, 1),
        ("chunks", chunks, 1),
    ):
        if number is None and what not in ("concurrency", "attempts"):
            continue
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"{what} is a whole number, not {number!r}")
        if number < least:
            raise ValueError(f"{what} is a number >= {least}, not {number}")
    check_timeout(timeout)
    check_timeout(chunk_timeout, "chunk_timeout")
    if executor is not None and not (hasattr(executor, "submit") or callable(executor)):
        raise TypeError(f"executor is an executor, or a function that makes one, not a {type(executor).__name__}")
    if executor is None and (chunk_size, chunks, chunk_timeout, bool(send_key)) != (None, None, None, False):
        raise ValueError(
            "chunk_size, chunks, chunk_timeout and send_key are for an executor: pass executor=... with them"
        )
    classes = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    if not all(isinstance(one, type) and issubclass(one, BaseException) for one in classes) and not (
        callable(retry_on) and not isinstance(retry_on, type)
    ):
        raise TypeError(f"retry_on is a class of exceptions, several in a tuple, or a function, not {retry_on!r}")
    if key is not None and not callable(key):
        raise TypeError(f"key is a function that gives an item's name, not a {type(key).__name__}")
    if journal is not None and not isinstance(journal, (str, PathLike)):
        raise TypeError(f"journal is the path of a file, not {type(journal).__name__}")
    if journal is None and (key is not None or redo_failed):
        raise ValueError("key and redo_failed are for a journal: pass journal=... with them")
    if name is not None and len(ownership.check_name(name, "name")) > LONGEST_NAME:
        raise ValueError(f"name is one line of 1 to {LONGEST_NAME} characters, not {name!r}")
    options = _Options(
        params=params,
        concurrency=concurrency,
        ordered=bool(ordered),
        pool=pool,
        timeout=timeout,
        attempts=attempts,
        retries=retries,
        retry_on=retry_on,
        buffer=concurrency if buffer is None else buffer,
        key=key,
        redo_failed=bool(redo_failed),
    )
    if executor is None:
        return AsyncBatch(agb, function, items, options, progress, journal, name)
    from .distributed import AsyncSpreadBatch, Spread  # not needed by most programs

    spread = Spread(executor, chunk_size, chunks, chunk_timeout, bool(send_key))
    return AsyncSpreadBatch(agb, function, items, options, spread, progress, journal, name)
