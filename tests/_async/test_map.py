"""Batches: every item has its outcome, memory and sessions are bounded, and a journal keeps every outcome."""

from __future__ import annotations

import gc
import itertools
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agb import (
    AGBError,
    AsyncAGB,
    AsyncBatch,
    AsyncSession,
    Config,
    CreateSessionParams,
    ErrorKind,
    ItemTimeoutError,
    JournalError,
    Outcome,
    SessionError,
)
from agb._async._compat.primitives import Queue
from agb._wire.retry import RetryPolicy
from agb.local import LocalServer
from tests.servers import CREATE, LINK, RELEASE, Conversation, Sessions, cut, refuse, scripted, value

pytestmark = pytest.mark.anyio

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
SECONDS = 60
"""For events that should happen at once; a test that waits so long has failed."""


class Service:
    """A scripted service of sessions, and a client of it."""

    def __init__(self, sessions: Sessions, endpoint: str) -> None:
        self.sessions = sessions
        self.endpoint = endpoint

    def client(self) -> AsyncAGB:
        return AsyncAGB("ako-key", Config(self.endpoint, 10_000))


@pytest.fixture
def service() -> Iterator[Service]:
    sessions = Sessions()
    with scripted(sessions) as server:
        try:
            yield Service(sessions, server.endpoint)
        finally:
            for gate in sessions.gates.values():
                gate.open()
        assert not sessions.alive
    gc.collect()  # so that a socket that was not closed fails the test that left it open


async def double(session: AsyncSession, number: int) -> int:
    return (await session.get_link()).success * number * 2


async def nothing(session: AsyncSession, item: Any) -> Any:
    return item


async def odd_ones_fail(session: AsyncSession, number: int) -> int:
    if number % 2:
        raise LookupError(f"no {number}")
    return number


# --- outcomes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("pool", [True, False])
async def test_every_item_has_its_outcome(service: Service, ordered: bool, pool: bool) -> None:
    options: dict[str, Any] = {"params": IMAGE, "concurrency": 4, "ordered": ordered, "pool": pool}
    async with service.client() as agb, agb.map(double, range(20), **options) as batch:
        outcomes = [outcome async for outcome in batch]
        stats = batch.stats()
    if ordered:
        assert [outcome.index for outcome in outcomes] == list(range(20))
    assert sorted(outcome.unwrap() for outcome in outcomes) == list(range(0, 40, 2))
    assert all(outcome.ok and outcome.attempts == 1 and outcome.session_id for outcome in outcomes)
    assert not any(outcome.resumed or outcome.repeated for outcome in outcomes)
    assert stats.done == stats.succeeded == stats.taken == stats.total == 20
    assert stats.running == stats.waiting == 0
    assert service.sessions.made == stats.sessions
    assert stats.sessions <= 4 if pool else stats.sessions == 20


async def test_sessions_of_a_warm_pool(config: Config, runtime: LocalServer) -> None:
    async with AsyncAGB(runtime.api_key, config) as agb, agb.pool(IMAGE, max=3) as pool:
        async with agb.map(odd_ones_fail, range(8), pool=pool, concurrency=5) as batch:
            outcomes = await batch.results()
            assert batch.stats().sessions == 0
        assert [outcome.ok for outcome in outcomes] == [True, False] * 4
        assert pool.stats().in_use == 0
        assert pool.stats().made <= 3 + 4, "one in which something failed is not lent again"
        async with agb.map(nothing, itertools.count(), pool=pool) as batch:
            await batch.__anext__()
        assert pool.stats().in_use == 0


async def test_warm_pool_that_is_closed(service: Service) -> None:
    async with service.client() as agb:
        async with agb.pool(IMAGE) as pool:
            pass
        async with agb.map(nothing, [1], pool=pool) as batch:
            outcome = (await batch.results())[0]
    assert "is closed" in str(outcome.error)


async def test_session_that_ended_while_idle_is_replaced(
    config: Config, runtime: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agb._async.batch.worker.MAX_IDLE", 0)
    used: list[str] = []

    async def use(session: AsyncSession, number: int) -> int:
        used.append(session.session_id)
        return number

    options: dict[str, Any] = {"params": IMAGE, "pool": True, "concurrency": 1, "buffer": 0}
    async with AsyncAGB(runtime.api_key, config) as agb, agb.map(use, range(3), **options) as batch:
        await batch.__anext__()
        await agb.attach(used[0]).delete()
        assert all(outcome.ok and outcome.attempts == 1 for outcome in await batch.results())
        assert batch.stats().sessions == 2


async def test_results_in_the_order_of_the_items(service: Service) -> None:
    async with service.client() as agb, agb.map(double, iter(range(9)), params=IMAGE, concurrency=3) as batch:
        first = await batch.__anext__()
        rest = await batch.results()
        assert batch.stats().total is None
    assert len({first.index, *(outcome.index for outcome in rest)}) == 9
    assert [outcome.index for outcome in rest] == sorted(outcome.index for outcome in rest)


async def test_no_items_no_session(service: Service) -> None:
    async with service.client() as agb, agb.map(double, list[int](), params=IMAGE) as batch:
        assert await batch.results() == []
    assert service.sessions.made == 0


async def test_few_items_few_workers(service: Service) -> None:
    async with service.client() as agb, agb.map(double, [1], params=IMAGE, concurrency=1000) as batch:
        assert len(await batch.results()) == 1
    assert service.sessions.made == 1


@pytest.mark.parametrize("pool", [True, False])
async def test_function_that_raises(service: Service, pool: bool) -> None:
    options: dict[str, Any] = {"params": IMAGE, "concurrency": 1, "attempts": 3, "pool": pool}
    async with service.client() as agb, agb.map(odd_ones_fail, range(6), **options) as batch:
        outcomes = await batch.results()
        assert batch.stats().failed == 3
    assert [outcome.value for outcome in outcomes] == [0, None, 2, None, 4, None]
    for outcome in outcomes[1::2]:
        assert isinstance(outcome.error, LookupError)
        assert not outcome.ok
        assert outcome.attempts == 1, "what the function raises is its own, and not tried again unasked"
        with pytest.raises(LookupError, match=f"no {outcome.item}"):
            outcome.unwrap()
        copy = pickle.loads(pickle.dumps(outcome))
        assert (copy, str(copy.error)) == (outcome, str(outcome.error))
    assert service.sessions.made == (3 if pool else 6), "a session in which something failed is not used again"


async def test_session_that_cannot_be_created(service: Service) -> None:
    service.sessions.instead[CREATE] = refuse("Quota", "no more")
    async with service.client() as agb, agb.map(double, range(2), params=IMAGE) as batch:
        for outcome in await batch.results():
            assert isinstance(outcome.error, SessionError)
            assert "no more" in str(outcome.error)
            assert outcome.session_id == ""


async def test_session_that_cannot_be_deleted_is_reported(service: Service) -> None:
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")

    async def once() -> None:
        async with service.client() as agb, agb.map(double, [1], params=IMAGE) as batch:
            assert (await batch.__anext__()).ok
            assert batch.stats().left_behind == ("s-1",)
            if len(service.sessions.alive) > 1:
                del service.sessions.instead[RELEASE]

    with pytest.warns(RuntimeWarning, match=r"session s-1 was left behind: .*try tomorrow"):
        await once()
    service.sessions.made = 0
    del service.sessions.instead[RELEASE]
    service.sessions.alive.clear()


async def test_deletion_is_tried_again_at_the_end(service: Service) -> None:
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")
    async with service.client() as agb, agb.map(double, range(3), params=IMAGE) as batch:
        await batch.results()
        assert sorted(batch.stats().left_behind) == ["s-1", "s-2", "s-3"]
        del service.sessions.instead[RELEASE]
    assert batch.stats().left_behind == ()


# --- bounds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
async def test_items_are_taken_when_there_is_room(service: Service, ordered: bool) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield number

    options: dict[str, Any] = {"params": IMAGE, "concurrency": 3, "buffer": 2, "ordered": ordered, "pool": True}
    async with service.client() as agb, agb.map(nothing, endless(), **options) as batch:
        for fetched in range(1, 40):
            await batch.__anext__()
            assert taken <= fetched + 3 + 2
            assert batch.stats().taken <= fetched + 3 + 2


async def test_concurrency_is_not_exceeded(service: Service) -> None:
    lock, now, most = threading.Lock(), 0, 0

    async def count(session: AsyncSession, item: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        while most < 5:  # until as many as allowed run at the same time
            await session.get_link()
        with lock:
            now -= 1

    async with service.client() as agb, agb.map(count, range(60), params=IMAGE, concurrency=5, pool=True) as batch:
        await batch.results()
    assert most == 5


async def test_leaving_early_ends_everything(service: Service) -> None:
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append("items")

    async with service.client() as agb, agb.map(double, items(), params=IMAGE, concurrency=4) as batch:
        async for outcome in batch:
            if outcome.index >= 6:
                break
    assert closed == ["items"]
    assert not service.sessions.alive
    with pytest.raises(RuntimeError, match="inside"):
        await batch.__anext__()
    with pytest.raises(RuntimeError, match="once"):
        await batch.__aenter__()


async def test_error_in_the_block_ends_everything(service: Service) -> None:
    async def block() -> None:
        async with service.client() as agb, agb.map(double, itertools.count(), params=IMAGE) as batch:
            async for _ in batch:
                raise LookupError("in the block")

    with pytest.raises(LookupError, match="in the block"):
        await block()
    assert not service.sessions.alive


@pytest.mark.parametrize("ordered", [True, False])
async def test_items_that_raise(service: Service, ordered: bool) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise LookupError("the file has ended")

    async with service.client() as agb, agb.map(double, items(), params=IMAGE, ordered=ordered) as batch:
        done = [(await batch.__anext__()).unwrap() for _ in range(5)]
        with pytest.raises(LookupError, match="the file has ended"):
            await batch.__anext__()
        with pytest.raises(StopAsyncIteration):
            await batch.__anext__()
    assert sorted(done) == [0, 2, 4, 6, 8]


# --- limits and further attempts ---------------------------------------------------------------------------------


def ends_with_its_session(sessions: Sessions) -> Any:
    """Return an action that does not answer until the session is gone, as a service does for a long call."""

    def act(talk: Conversation) -> None:
        session_id = talk.request.target.partition("sessionId=")[2].partition("&")[0]
        while session_id in sessions.alive and not talk.over.wait(0.005):
            pass
        refuse("InvalidMcpSession.NotFound", "no such session", 404)(talk)

    return act


@pytest.mark.parametrize("pool", [True, False])
async def test_function_that_does_not_return_in_time(service: Service, pool: bool) -> None:
    service.sessions.instead[LINK] = ends_with_its_session(service.sessions)

    async def one_hangs(session: AsyncSession, number: int) -> int:
        if number == 1:
            (await session.get_link()).raise_for_error()
        return number

    options: dict[str, Any] = {"params": IMAGE, "timeout": 0.2, "attempts": 3, "pool": pool}
    async with service.client() as agb, agb.map(one_hangs, range(3), **options) as batch:
        outcomes = await batch.results()
    assert [outcome.value for outcome in outcomes] == [0, None, 2]
    error = outcomes[1].error
    assert isinstance(error, ItemTimeoutError)
    assert (error.kind, error.abandoned, error.session_id) == (ErrorKind.TIMED_OUT, False, outcomes[1].session_id)
    assert "within 0.2 s on item 1" in str(error)
    assert outcomes[1].attempts == 1
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


async def test_item_that_took_too_long_is_tried_again_if_asked_to(service: Service) -> None:
    service.sessions.instead[LINK] = ends_with_its_session(service.sessions)
    tries: Queue[int] = Queue()

    async def hangs_once(session: AsyncSession, number: int) -> int:
        tries.offer(1)
        if len(tries) == 1:
            await session.get_link()
        return number

    options: dict[str, Any] = {"params": IMAGE, "timeout": 0.2, "attempts": 2, "retry_on": ItemTimeoutError}
    async with service.client() as agb, agb.map(hangs_once, [7], **options) as batch:
        outcome = (await batch.results())[0]
        assert batch.stats().retried == 1
    assert (outcome.value, outcome.attempts) == (7, 2)


async def kills(session: AsyncSession, number: int) -> int:
    if number == 1:
        (await session.delete()).raise_for_error()
        raise LookupError("my session has gone")
    return number


async def test_item_that_kills_its_session(config: Config, runtime: LocalServer) -> None:
    """Only this item fails, and its error has a note that the session had ended."""
    options: dict[str, Any] = {"params": IMAGE, "concurrency": 2, "pool": True}
    async with AsyncAGB(runtime.api_key, config) as agb:
        async with agb.map(kills, range(3), **options) as batch:
            outcomes = await batch.results()
        assert [outcome.value for outcome in outcomes] == [0, None, 2]
        error = outcomes[1].error
        assert isinstance(error, LookupError)
        assert error.__notes__ == [f"session {outcomes[1].session_id} had ended by then"]
        assert pickle.loads(pickle.dumps(error)).__notes__ == error.__notes__
        async with agb.map(kills, range(3), attempts=3, **options) as batch:
            outcomes = await batch.results()
            assert batch.stats().retried == 2
    assert outcomes[1].attempts == 3


async def test_item_whose_session_was_killed_is_done_in_another(config: Config, runtime: LocalServer) -> None:
    killed: list[str] = []

    async def killed_once(session: AsyncSession, number: int) -> str:
        if not killed:
            killed.append(session.session_id)
            (await session.delete()).raise_for_error()
        return (await session.command.execute(f"echo {number}", 30_000)).raise_for_error().stdout.strip()

    client = AsyncAGB(runtime.api_key, config)
    async with client as agb, agb.map(killed_once, [5], params=IMAGE, attempts=2) as batch:
        outcome = (await batch.results())[0]
    assert (outcome.value, outcome.attempts) == ("5", 2)
    assert outcome.session_id != killed[0]


class Unlucky:
    """An action that fails so many times before it does what it should."""

    def __init__(self, sessions: Sessions, path: str, failures: int, failure: Any) -> None:
        self.left, self.sessions, self.path, self.failure = failures, sessions, path, failure
        self.lock = threading.Lock()

    def __call__(self, talk: Conversation) -> None:
        with self.lock:
            self.left -= 1
            if self.left < 0:
                self.sessions.instead.pop(self.path, None)
        (self.failure if self.left >= 0 else self.sessions)(talk)


async def test_errors_of_the_service_are_retried(service: Service) -> None:
    """Also those that the function raises: it is repeated as a whole, in a new session."""
    once_more = RetryPolicy().attempts + 1  # than one call repeats by itself
    service.sessions.instead[LINK] = Unlucky(service.sessions, LINK, once_more, refuse("Busy", "not now", 503))

    async def link(session: AsyncSession, number: int) -> int:
        (await session.get_link()).raise_for_error()
        return number

    async with service.client() as agb, agb.map(link, range(3), params=IMAGE, concurrency=1, attempts=3) as batch:
        outcomes = await batch.results()
    assert [outcome.value for outcome in outcomes] == [0, 1, 2]
    assert [outcome.attempts for outcome in outcomes] == [2, 1, 1]


async def test_limit_of_retries_in_the_whole_batch(service: Service) -> None:
    options: dict[str, Any] = {"params": IMAGE, "concurrency": 1, "attempts": 10, "retries": 3, "pool": True}
    options["retry_on"] = (LookupError, KeyError)
    async with service.client() as agb, agb.map(odd_ones_fail, [1, 3], **options) as batch:
        outcomes = await batch.results()
        assert batch.stats().retried == 3
    assert [outcome.attempts for outcome in outcomes] == [4, 1]


async def test_function_decides_which_errors_are_retried(service: Service) -> None:
    def is_one(error: BaseException) -> bool:
        return "no 1" in str(error)

    options: dict[str, Any] = {"params": IMAGE, "attempts": 2, "retry_on": is_one}
    async with service.client() as agb, agb.map(odd_ones_fail, [1, 3], **options) as batch:
        assert [outcome.attempts for outcome in await batch.results()] == [2, 1]


# --- progress ----------------------------------------------------------------------------------------------------


async def test_progress(service: Service) -> None:
    reported: list[tuple[int, int | None]] = []

    async def report(done: int, total: int | None) -> None:
        reported.append((done, total))

    async with service.client() as agb, agb.map(double, range(4), params=IMAGE, progress=report) as batch:
        await batch.results()
    assert reported == [(1, 4), (2, 4), (3, 4), (4, 4)]


async def test_progress_that_raises_loses_no_outcome(service: Service) -> None:
    def report(done: int, total: int | None) -> None:
        if done == 2:
            raise LookupError("in the callback")

    async with service.client() as agb, agb.map(double, range(4), params=IMAGE, progress=report) as batch:
        outcomes = [await batch.__anext__()]
        with pytest.raises(LookupError, match="in the callback"):
            await batch.__anext__()
        outcomes += await batch.results()
    assert sorted(outcome.index for outcome in outcomes) == [0, 1, 2, 3]


async def test_bar(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    async with service.client() as agb, agb.map(double, [1, 2], params=IMAGE, progress=True, name="twice") as batch:
        await batch.results()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "twice" in shown.err
    assert "2/2" in shown.err


# --- arguments ---------------------------------------------------------------------------------------------------

POOL = AsyncAGB("ako-key", Config("http://127.0.0.1:9")).pool(IMAGE)

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"function": 3}, TypeError, "cannot be called"),
    ({"items": 3}, TypeError, "items is an iterable"),
    ({"items": "abc"}, TypeError, "items is an iterable"),
    ({"params": None}, ValueError, "params is required"),
    ({"pool": 3}, TypeError, "pool is True"),
    ({"pool": POOL}, ValueError, "one of the two"),
    ({"pool": POOL, "params": None, "executor": dict}, ValueError, "does not travel"),
    ({"params": "image"}, TypeError, "CreateSessionParams"),
    ({"params": CreateSessionParams()}, ValueError, "image_id"),
    ({"concurrency": 0}, ValueError, "concurrency is a number >= 1"),
    ({"concurrency": True}, TypeError, "concurrency is a whole number"),
    ({"concurrency": 1.5}, TypeError, "concurrency is a whole number"),
    ({"attempts": 0}, ValueError, "attempts is a number >= 1"),
    ({"attempts": None}, TypeError, "attempts is a whole number"),
    ({"retries": -1}, ValueError, "retries is a number >= 0"),
    ({"buffer": -1}, ValueError, "buffer is a number >= 0"),
    ({"timeout": 0}, ValueError, "timeout"),
    ({"timeout": "1"}, TypeError, "timeout"),
    ({"retry_on": 3}, TypeError, "retry_on"),
    ({"retry_on": (int,)}, TypeError, "retry_on"),
    ({"progress": 3}, TypeError, "items_done"),
    ({"key": str}, ValueError, "journal"),
    ({"redo_failed": True}, ValueError, "journal"),
    ({"key": 3, "journal": "x"}, TypeError, "key is a function"),
    ({"journal": 3}, TypeError, "journal"),
    ({"name": ""}, ValueError, "name"),
    ({"name": 3}, TypeError, "name"),
    ({"name": "x" * 200}, ValueError, "name"),
]


@pytest.mark.parametrize(("bad", "error", "text"), BAD, ids=[str(sorted(bad[0])) + bad[2] for bad in BAD])
async def test_bad_arguments_are_refused_at_once(bad: dict[str, Any], error: type[Exception], text: str) -> None:
    good: dict[str, Any] = {"function": double, "items": [1], "params": IMAGE}
    async with AsyncAGB("ako-key", Config("http://127.0.0.1:9", 1000)) as agb:
        with pytest.raises(error, match=text):
            agb.map(**(good | bad))


async def test_batch_is_not_pickled_and_its_repr_shows_progress(service: Service) -> None:
    async with service.client() as agb, agb.map(double, range(2), params=IMAGE, name="night") as batch:
        with pytest.raises(TypeError, match="outcomes"):
            pickle.dumps(batch)
        await batch.results()
        assert repr(batch) == f"<{AsyncBatch.__name__} 'night', 2 of 2 items done>"


# --- the journal -------------------------------------------------------------------------------------------------


class Calls:
    """A function that records its calls, and fails for given items."""

    def __init__(self, *failing: Any) -> None:
        self.of: list[Any] = []
        self.failing = failing

    async def __call__(self, session: AsyncSession, item: Any) -> Any:
        self.of.append(item)
        if item in self.failing:
            raise LookupError(f"no {item}")
        return [item, {"twice": item * 2}]


async def run(service: Service, function: Any, items: Any, path: Path, **more: Any) -> list[Outcome[Any, Any]]:
    options: dict[str, Any] = {"params": IMAGE, "concurrency": 2, "journal": path} | more
    async with service.client() as agb, agb.map(function, items, **options) as batch:
        return await batch.results()


async def test_finished_items_are_not_processed_again(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first, second = Calls(3), Calls()
    done = await run(service, first, range(5), path)
    assert sorted(first.of) == [0, 1, 2, 3, 4]
    again = await run(service, second, range(7), str(path))  # type: ignore[arg-type]
    assert sorted(second.of) == [5, 6]
    assert [outcome.resumed for outcome in again] == [True] * 5 + [False] * 2
    assert not any(outcome.repeated for outcome in again)
    for old, new in zip(done, again, strict=False):
        assert (new.value, new.attempts, new.session_id) == (old.value, old.attempts, old.session_id)
    assert isinstance(again[3].error, LookupError)
    assert str(again[3].error) == "no 3"
    assert "ako-key" not in path.read_text()


async def test_failed_items_are_processed_again_with_redo_failed(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    await run(service, Calls(1, 3), range(5), path)
    second = Calls(3)
    again = await run(service, second, range(5), path, redo_failed=True)
    assert sorted(second.of) == [1, 3]
    assert [outcome.repeated for outcome in again] == [False, True, False, True, False]
    assert [outcome.ok for outcome in again] == [True, True, True, False, True]
    third = Calls()
    await run(service, third, range(5), path)
    assert third.of == []


async def test_item_without_a_session_is_processed_by_the_next_run(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    service.sessions.instead[CREATE] = refuse("Quota", "no more")
    assert not (await run(service, Calls(), [1], path))[0].ok
    del service.sessions.instead[CREATE]
    outcome = (await run(service, Calls(), [1], path))[0]
    assert (outcome.ok, outcome.resumed, outcome.repeated) == (True, False, False)


async def test_item_that_was_begun_is_repeated(runtime: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    config = Config(runtime.endpoint, 30_000)
    begun: Queue[int] = Queue()

    async def hangs(session: AsyncSession, item: int) -> int:
        begun.offer(item)
        await Queue[int]().get(SECONDS if item else 0.001)
        return item

    async with AsyncAGB(runtime.api_key, config) as agb:
        async with agb.map(hangs, range(3), params=IMAGE, journal=path, concurrency=2) as batch:
            await begun.get(SECONDS)
            await begun.get(SECONDS)
        async with agb.map(double, range(3), params=IMAGE, journal=path) as batch:
            outcomes = await batch.results()
            repeated = batch.stats().repeated
    assert [outcome.ok for outcome in outcomes[1:]] == [True, True]
    assert outcomes[1].repeated
    assert repeated == sum(outcome.repeated for outcome in outcomes) >= 1
    assert len(outcomes) == 3


async def test_items_by_name_come_in_any_order(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    await run(service, Calls(), ["a", "b"], path, key=str)
    second = Calls()
    outcomes = await run(service, second, ["c", "b", "a"], path, key=str)
    assert second.of == ["c"]
    assert [outcome.item for outcome in outcomes] == ["c", "b", "a"]
    assert [outcome.resumed for outcome in outcomes] == [False, True, True]


async def test_invalid_names_of_items(service: Service, tmp_path: Path) -> None:
    first, second, third = await run(service, Calls(), ["a", "a", "b"], tmp_path / "1", key=str, concurrency=1)
    assert (first.ok, third.ok) == (True, True)
    assert isinstance(second.error, ValueError)
    assert "was not done" in str(second.error)
    outcome = (await run(service, Calls(), [1], tmp_path / "2", key=lambda item: item))[0]
    assert isinstance(outcome.error, TypeError)
    outcome = (await run(service, Calls(), [threading.Lock()], tmp_path / "3"))[0]
    assert isinstance(outcome.error, TypeError)
    assert "key=" in str(outcome.error)
    assert outcome.attempts == 0


async def test_journal_of_another_batch_is_refused(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    calls = Calls()
    await run(service, calls, range(2), path, name="nightly")
    before = path.read_bytes()
    for more, text in (
        ({"name": "weekly"}, "named 'nightly', and this one is named 'weekly'"),
        ({"name": "nightly", "params": CreateSessionParams(image_id="agb-browser-use-1")}, "other params"),
        ({"name": "nightly", "key": str}, "not named by key"),
    ):
        with pytest.raises(JournalError, match=text):
            await run(service, calls, range(2), path, **more)
    with pytest.raises(JournalError, match="another item with the number 1"):
        await run(service, calls, [0, 5], path, name="nightly")
    assert path.read_bytes() == before
    text_file = tmp_path / "notes.txt"
    text_file.write_text("milk, eggs")
    with pytest.raises(JournalError, match="no journal"):
        await run(service, calls, range(2), text_file)
    assert text_file.read_text() == "milk, eggs"
    with pytest.raises(JournalError, match="Could not open"):
        await run(service, calls, range(2), tmp_path / "nowhere" / "journal")
    with pytest.raises(JournalError, match="Could not open"):
        await run(service, calls, range(2), tmp_path)
    assert sorted(calls.of) == [0, 1]


async def test_two_runs_on_one_journal(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    async with service.client() as agb, agb.map(double, range(2), params=IMAGE, journal=path) as batch:
        with pytest.raises(JournalError, match="in use"):
            await run(service, double, range(2), path)
        await batch.results()
    assert len(await run(service, double, range(2), path)) == 2


async def test_value_that_cannot_be_kept(service: Service, tmp_path: Path) -> None:
    async def lock(session: AsyncSession, item: int) -> Any:
        return threading.Lock()

    path = tmp_path / "journal"
    outcome = (await run(service, lock, [1], path))[0]
    assert isinstance(outcome.error, JournalError)
    assert "a lock, which can be written neither as JSON nor by pickle" in str(outcome.error)
    assert hasattr(outcome.value, "acquire"), "it is there all the same"
    again = (await run(service, lock, [1], path))[0]
    assert (again.resumed, str(again.error)) == (True, str(outcome.error))


class OfNoUseError(Exception):
    """Cannot be read back: it wants two arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")

    def __reduce__(self) -> tuple[Any, ...]:  # said outright, since tblib, where it is loaded, reads more than pickle
        return int, ("no number",)


async def test_error_that_cannot_be_kept(service: Service, tmp_path: Path) -> None:
    async def fail(session: AsyncSession, item: int) -> Any:
        raise OfNoUseError("this", "that")

    await run(service, fail, [1], tmp_path / "journal")
    outcome = (await run(service, fail, [1], tmp_path / "journal"))[0]
    assert outcome.resumed
    assert isinstance(outcome.error, AGBError)
    assert str(outcome.error) == "OfNoUseError: this and that"


@pytest.mark.one_event_loop
@pytest.mark.parametrize("kept", [None, 1.5, "é\ud800", (1, 2), {1: 2}, b"bytes", float("inf"), [{"a": None}], 1 << 70])
async def test_values_come_back_as_they_were(service: Service, tmp_path: Path, kept: Any) -> None:
    async def give(session: AsyncSession, item: int) -> Any:
        return kept

    await run(service, give, [1], tmp_path / "journal")
    outcome = (await run(service, nothing, [1], tmp_path / "journal"))[0]
    assert outcome.resumed
    assert outcome.value == kept
    assert type(outcome.value) is type(kept)


async def test_torn_last_line(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    await run(service, Calls(), range(3), path, concurrency=1)
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) - 20):
        path.write_bytes(whole[:size])
        calls = Calls()
        outcomes = await run(service, calls, range(3), path)
        assert calls.of == [2]
        assert [outcome.repeated for outcome in outcomes] == [False, False, True]
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2][:9] + b"\n", *lines[3:]]))
    with pytest.raises(JournalError, match="line 3 is damaged"):
        await run(service, Calls(), range(3), path)


@pytest.mark.one_event_loop
async def test_service_that_throttles_and_fails_at_times(service: Service) -> None:
    """Every third creation is refused for a while (429), and calls meet bursts of 503: each item is done once."""
    number = itertools.count(1)
    sessions = service.sessions

    def create(talk: Conversation) -> None:
        if next(number) % 3 == 0:
            return refuse("Throttled", "slow down", 429, {"Retry-After": "0"})(talk)
        with lock:
            sessions.made += 1
            made = f"s-{sessions.made}"
        sessions.alive.add(made)
        return value({"sessionId": made, "success": True})(talk)

    lock = threading.Lock()
    sessions.instead[CREATE] = create
    sessions.instead[LINK] = Unlucky(sessions, LINK, 5, refuse("Busy", "not now", 503))
    async with service.client() as agb, agb.map(double, range(20), params=IMAGE, concurrency=4, attempts=5) as batch:
        outcomes = await batch.results()
    assert [outcome.value for outcome in outcomes] == list(range(0, 40, 2))


async def test_service_that_cuts_connections(service: Service) -> None:
    """Connections are cut in the middle of calls, deletions too: each item is done, and no session is left."""
    sessions = service.sessions
    sessions.instead[LINK] = Unlucky(sessions, LINK, 8, cut())
    sessions.instead[RELEASE] = Unlucky(sessions, RELEASE, 8, cut())
    async with service.client() as agb, agb.map(double, range(10), params=IMAGE, concurrency=4, attempts=6) as batch:
        outcomes = await batch.results()
    assert [outcome.value for outcome in outcomes] == list(range(0, 20, 2))
    assert not sessions.alive
