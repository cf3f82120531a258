# Generated from tests/_async/test_distributed.py by tools/unasync.py. Do not edit.
"""Batches on an executor: what is sent, lost workers, quotas, the end. Executors of processes are in test_engines."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agb import (
    AGB,
    Batch,
    Config,
    CreateSessionParams,
    ExecutionError,
    Limits,
    Outcome,
    Session,
    SessionError,
    WorkerLostError,
)
from agb._ops.chunks import Chunk
from agb._sync._compat.loop import sleep
from agb._sync.batch import chunk_worker, pickling
from agb._sync.batch.lease import DriverLease, LeaseEnded, WorkerLease, host_id
from tests.servers import LIST, Conversation, Sessions, refuse, scripted

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
KEY = "ako-key-that-is-not-sent"


class Recorder(Executor):
    """An executor of threads that pickles everything, as one of processes would, and keeps the pickles for the test."""

    def __init__(self, workers: int = 2) -> None:
        self._max_workers = workers
        self._threads = ThreadPoolExecutor(workers)
        self.pickles: list[bytes] = []

    @property
    def chunks(self) -> list[Chunk]:
        return [pickle.loads(data)[1] for data in self.pickles]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.pickles.append(pickle.dumps((fn, *args)))
        return self._threads.submit(self._run, self.pickles[-1])

    def _run(self, data: bytes) -> Any:
        fn, *args = pickle.loads(data)
        return pickle.loads(pickle.dumps(fn(*args)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


class LosingExecutor(Recorder):
    """Loses the workers of its first chunks; after that it works, or, unless ``recovers``, accepts nothing."""

    def __init__(self, losses: int, recovers: bool = True) -> None:
        super().__init__()
        self.left = losses
        self.recovers = recovers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.left == 0:
            if not self.recovers:
                raise RuntimeError("broken for good")
            return super().submit(fn, *args, **kwargs)
        self.left -= 1
        self.pickles.append(pickle.dumps((fn, *args)))
        future: Future[Any] = Future()
        future.set_exception(EOFError("the worker is gone"))
        return future


class Sample:
    """A scripted service of sessions, and clients of it."""

    def __init__(self, sessions: Sessions, endpoint: str) -> None:
        self.sessions = sessions
        self.endpoint = endpoint

    def client(self, **more: Any) -> AGB:
        return AGB(KEY, Config(self.endpoint, 10_000), **more)


@pytest.fixture
def service() -> Iterator[Sample]:
    sessions = Sessions()
    with scripted(sessions) as server:
        yield Sample(sessions, server.endpoint)
        assert not sessions.alive


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as executor:
        yield executor


class UnreadableError(Exception):
    """Pickles, and does not unpickle."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")

    def __reduce__(self) -> tuple[Any, ...]:  # explicit, since tblib, where it is loaded, can unpickle more than pickle
        return int, ("no number",)


def double(session: Session, number: int) -> int:
    return session.get_link().success * number * 2


def misbehave(session: Session, how: Any) -> Any:
    match how:
        case "raise":
            raise LookupError("no luck")
        case "raise unreadable":
            raise UnreadableError("this", "that")
        case "return a lock":
            return threading.Lock()
    return how


# --- outcomes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("pool", [True, False])
def test_all_items_are_processed(service: Sample, recorder: Recorder, ordered: bool, pool: bool) -> None:
    seen: list[tuple[int, int | None]] = []
    with service.client() as agb:
        batch = agb.map(
            double,
            range(50),
            params=IMAGE,
            concurrency=8,
            executor=recorder,
            ordered=ordered,
            pool=pool,
            progress=lambda done, total: seen.append((done, total)),
        )
        with batch:
            outcomes = [outcome for outcome in batch]
        stats = batch.stats()
    assert [outcome.index for outcome in outcomes] == [*range(50)] or not ordered
    assert sorted(outcome.unwrap() for outcome in outcomes) == [2 * number for number in range(50)]
    assert all((outcome.attempts, outcome.repeated) == (1, False) for outcome in outcomes)
    assert seen == [(done, 50) for done in range(1, 51)]
    assert (stats.succeeded, stats.failed, stats.running, stats.left_behind) == (50, 0, 0, ())
    assert stats.sessions == service.sessions.made
    assert stats.sessions <= 50 if pool else stats.sessions == 50
    assert all(label["agb.sdk/owner"].startswith("map:") for label in service.sessions.labels.values())


def test_failure_of_one_item_does_not_affect_others(service: Sample, recorder: Recorder) -> None:
    items = ["fine", "raise", "raise unreadable", "return a lock", threading.Lock(), "fine too"]
    with (
        service.client() as agb,
        agb.map(misbehave, items, params=IMAGE, executor=recorder, chunk_size=6, ordered=True) as batch,
    ):
        outcomes = batch.results()
    fine, raised, unreadable, value, item, too = outcomes
    assert (fine.value, too.value) == ("fine", "fine too")
    assert isinstance(raised.error, LookupError)
    assert "in misbehave" in str(raised.error.__cause__)
    assert isinstance(unreadable.error, ExecutionError)
    assert (unreadable.error.name, unreadable.error.value) == ("UnreadableError", "this and that")
    assert "in misbehave" in unreadable.error.traceback
    assert isinstance(value.error, ExecutionError)
    assert "its value cannot be returned: it is a lock" in str(value.error)
    assert value.attempts == 1
    assert isinstance(item.error, ExecutionError)
    assert "the item cannot be pickled to travel to a worker" in str(item.error)
    assert (item.attempts, item.item) == (0, items[4])


def test_item_that_the_worker_cannot_unpickle(service: Sample, recorder: Recorder) -> None:
    with (
        service.client() as agb,
        agb.map(misbehave, ["fine", UnreadableError("a", "b")], params=IMAGE, executor=recorder, chunk_size=2) as batch,
    ):
        fine, unreadable = batch.results()
    assert fine.ok
    assert "the item cannot be read by the worker" in str(unreadable.error)


def test_worker_makes_the_further_attempts(service: Sample, recorder: Recorder) -> None:
    with (
        service.client() as agb,
        agb.map(
            misbehave, ["raise"], params=IMAGE, executor=recorder, attempts=3, retry_on=LookupError, retries=2
        ) as batch,
    ):
        (outcome,) = batch.results()
        stats = batch.stats()
    assert isinstance(outcome.error, LookupError)
    assert (outcome.attempts, stats.retried, stats.sessions) == (2, 1, 2)  # each of two workers may retry once


def test_items_are_taken_as_needed_and_chunks_grow(service: Sample, recorder: Recorder) -> None:
    """Of a million items only as many are taken as are needed; short chunks make the next ones larger."""
    taken = itertools.count()
    items = (next(taken) for _ in range(1_000_000))
    with (
        service.client() as agb,
        agb.map(double, items, params=IMAGE, concurrency=4, executor=recorder, pool=True) as batch,
    ):
        for _ in batch:
            if batch.stats().succeeded >= 200:
                break
        delivered = batch._delivered
        assert next(taken) <= delivered + 2 * 2 * 32 + 10 + 1
    sizes = [len(chunk.items) for chunk in recorder.chunks]
    assert sizes[0] <= 2 < max(sizes) <= 64


def test_journal(service: Sample, recorder: Recorder, tmp_path: Path) -> None:
    with service.client() as agb:
        resumable = partial(agb.map, double, range(20), params=IMAGE, journal=tmp_path / "journal", ordered=True)
        with resumable(executor=recorder, chunk_size=3) as batch:
            for outcome in batch:
                if outcome.index == 4:
                    break
        with resumable(executor=recorder) as batch:
            outcomes = batch.results()
        with resumable() as batch:  # the outcomes of an executor are valid without one as well
            assert all(outcome.resumed for outcome in batch.results())
    assert [outcome.unwrap() for outcome in outcomes] == [2 * number for number in range(20)]
    assert all(outcome.resumed for outcome in outcomes[:5])
    assert not outcomes[-1].resumed


# --- losses ------------------------------------------------------------------------------------------------------


def test_items_of_a_lost_worker_are_processed_again(service: Sample) -> None:
    with LosingExecutor(1) as executor:
        with (
            service.client() as agb,
            agb.map(double, range(20), params=IMAGE, concurrency=8, executor=executor, ordered=True) as batch,
        ):
            outcomes = batch.results()
            stats = batch.stats()
        lost = {index for index, _ in executor.chunks[0].items}
    assert [outcome.unwrap() for outcome in outcomes] == [2 * number for number in range(20)]
    assert {outcome.index for outcome in outcomes if outcome.repeated} == lost
    assert {outcome.attempts for outcome in outcomes if outcome.repeated} == {2}
    assert (stats.repeated, stats.succeeded) == (len(lost), 20)


def test_item_whose_worker_is_lost_three_times_has_an_error(service: Sample) -> None:
    with LosingExecutor(3) as executor:
        with (
            service.client() as agb,
            agb.map(double, [1], params=IMAGE, executor=executor) as batch,
        ):
            (outcome,) = batch.results()
    assert isinstance(outcome.error, WorkerLostError)
    assert "was lost 3 times while it processed the item, the last time alone: EOFError: the worker is gone" in str(
        outcome.error
    )
    assert isinstance(outcome.error.__cause__, EOFError)
    assert (outcome.attempts, outcome.repeated) == (3, True)


@pytest.mark.parametrize("fails", [False, True])
def test_sessions_of_a_lost_worker_are_deleted(service: Sample, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its items are processed again; if that fails, at the end."""
    sessions, left = service.sessions, "s-left"

    def once(talk: Conversation) -> None:
        del sessions.instead[LIST]
        refuse("InvalidParameter", "not now", 400)(talk)

    with LosingExecutor(1) as executor:
        original = executor.submit

        def submit(fn: Callable[..., Any], chunk: Chunk) -> Future[Any]:
            if chunk.number == 1:
                sessions.alive.add(left)
                sessions.labels[left] = chunk.owner.labels
                sessions.instead.update({LIST: once} if fails else {})
            else:
                assert (left in sessions.alive) == fails
            return original(fn, chunk)

        monkeypatch.setattr(executor, "submit", submit)
        with (
            service.client() as agb,
            agb.map(double, [1, 2], params=IMAGE, executor=executor, chunks=1) as batch,
        ):
            assert [outcome.unwrap() for outcome in batch.results()] == [2, 4]
    assert left not in sessions.alive


def test_sessions_that_a_lost_worker_may_have_left_are_reported(service: Sample) -> None:
    service.sessions.instead[LIST] = refuse("InvalidParameter", "not now", 400)
    with LosingExecutor(1) as executor:
        with service.client() as agb:
            batch = agb.map(double, [1], params=IMAGE, executor=executor)
            with pytest.warns(
                RuntimeWarning, match=rf"sessions of {batch.owner.label}, left by lost workers, may still"
            ):
                with batch:
                    assert [outcome.unwrap() for outcome in batch.results()] == [2]


def collect(batch: Batch[int, int], delivered: list[Outcome[int, int]]) -> None:
    for outcome in batch:
        delivered.append(outcome)  # noqa: PERF401 - the iteration raises, and the outcomes before are kept


def test_executor_that_cannot_be_used_any_more(service: Sample, tmp_path: Path) -> None:
    """All items that were taken have an outcome, then the iteration raises; the next run processes all of them."""
    delivered: list[Outcome[int, int]] = []
    with LosingExecutor(1, recovers=False) as executor:
        with (
            service.client() as agb,
            agb.map(
                double, itertools.count(), params=IMAGE, executor=executor, journal=tmp_path / "journal", name="n"
            ) as batch,
        ):
            with pytest.raises(WorkerLostError, match="cannot be used any more: RuntimeError: broken for good"):
                collect(batch, delivered)
            stats = batch.stats()
            collect(batch, delivered)
    assert stats.taken < 100
    assert len(delivered) == stats.taken
    assert stats.failed == stats.taken
    with (
        service.client() as agb,
        agb.map(double, range(3), params=IMAGE, journal=tmp_path / "journal", name="n") as batch,
    ):
        outcomes = batch.results()
    assert [outcome.value for outcome in outcomes] == [0, 2, 4]
    assert not any(outcome.resumed for outcome in outcomes)


def test_function_makes_another_executor_when_one_is_broken(service: Sample) -> None:
    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(LosingExecutor(1, recovers=False) if len(made) < 2 else Recorder())
        return made[-1]

    with (
        service.client() as agb,
        agb.map(double, range(8), params=IMAGE, executor=make, chunks=1, ordered=True) as batch,
    ):
        outcomes = batch.results()
    assert [outcome.unwrap() for outcome in outcomes] == [2 * number for number in range(8)]
    assert len(made) == 3
    with pytest.raises(RuntimeError):
        made[2].submit(abs, 1)  # it was shut down


def test_function_that_cannot_make_an_executor(service: Sample) -> None:
    def make() -> Executor:
        raise OSError("no more processes")

    with service.client() as agb, agb.map(double, [1], params=IMAGE, executor=make) as batch:
        with pytest.raises(WorkerLostError, match="OSError: no more processes"):
            batch.results()


def test_worker_without_an_answer_in_time_counts_as_lost(service: Sample, recorder: Recorder) -> None:
    """It notices and stops, so its thread is free again."""
    service.sessions.gate("/internet/getLink")
    with (
        service.client() as agb,
        agb.map(double, [1], params=IMAGE, executor=recorder, chunks=1, chunk_timeout=0.2) as batch,
    ):
        (outcome,) = batch.results()
    assert isinstance(outcome.error, WorkerLostError)
    assert "no answer came within 0.2 s" in str(outcome.error)
    service.sessions.gates["/internet/getLink"].open()
    recorder.shutdown()


# --- the end -----------------------------------------------------------------------------------------------------


def test_leaving_the_block_ends_the_workers(service: Sample, recorder: Recorder) -> None:
    gate = service.sessions.gate("/internet/getLink")
    with (
        service.client() as agb,
        agb.map(double, range(100), params=IMAGE, concurrency=4, executor=recorder) as batch,
    ):
        chunks_are_sent(batch, 2)
    assert not service.sessions.alive
    gate.open()
    sent = len(recorder.pickles)
    recorder.shutdown()  # returns, since no worker continues
    assert len(recorder.pickles) == sent
    assert not chunk_worker.api_keys


def chunks_are_sent(batch: Any, number: int) -> None:
    while len(batch._futures) < number:
        sleep(0.01)  # waits on purpose: until something happens in other threads


def test_worker_notices_that_the_lease_has_ended(tmp_path: Path) -> None:
    driver = DriverLease()
    driver.open()
    lease = WorkerLease(driver.path, driver.host, 1)
    assert not lease.has_ended()
    assert lease.claim() is False
    assert not lease.has_ended()
    assert WorkerLease(driver.path, driver.host, 1).claim() is True
    assert WorkerLease(driver.path, "another machine", 1).claim() is None
    assert not WorkerLease(driver.path, "another machine", 1).has_ended()
    driver.release_chunk(1)
    assert lease.has_ended()
    other = WorkerLease(driver.path, driver.host, 2)
    assert not other.has_ended()
    path = driver.path
    driver.close()
    assert other.has_ended()
    with pytest.raises(LeaseEnded):
        other.until_ended()

    killed = tmp_path / Path(path).name  # whose driver was killed before it could delete it
    killed.touch()
    assert WorkerLease(str(killed), host_id(str(killed)), 1).has_ended()


# --- what is sent ------------------------------------------------------------------------------------------------


def test_api_key_is_not_sent(service: Sample, recorder: Recorder) -> None:
    with service.client() as agb:
        with agb.map(double, range(4), params=IMAGE, executor=recorder) as batch:
            assert all(outcome.ok for outcome in batch.results())
        assert recorder.pickles
        assert not any(KEY.encode() in data for data in recorder.pickles)
        sent = len(recorder.pickles)
        with agb.map(double, range(4), params=IMAGE, executor=recorder, send_key=True) as batch:
            assert all(outcome.ok for outcome in batch.results())
    assert all(KEY.encode() in data for data in recorder.pickles[sent:])
    assert KEY not in repr(recorder.chunks)


def test_quotas_are_divided(service: Sample) -> None:
    limits = Limits(connections=100, waiting=1000, creates_per_second=100, sessions=10)
    with Recorder(4) as executor:
        with (
            service.client(limits=limits) as agb,
            agb.map(double, range(40), params=IMAGE, concurrency=20, retries=8, executor=executor) as batch,
        ):
            batch.results()
        for chunk in executor.chunks:
            assert (chunk.limits.connections, chunk.limits.waiting) == (25, 250)
            assert (chunk.limits.creates_per_second, chunk.limits.sessions) == (25, 2)
            assert (chunk.concurrency, chunk.retries) == (5, 2)


def test_limit_of_sessions_is_kept(service: Sample) -> None:
    with Recorder(4) as executor:
        with (
            service.client(limits=Limits(sessions=2)) as agb,
            agb.map(double, range(40), params=IMAGE, concurrency=20, executor=executor) as batch,
        ):
            assert all(outcome.ok for outcome in batch.results())
        assert {(chunk.concurrency, chunk.limits.sessions) for chunk in executor.chunks} == {(10, 1)}


def test_no_two_chunks_are_equal(service: Sample, recorder: Recorder) -> None:
    with service.client() as agb:
        for _ in range(2):
            with agb.map(double, [1] * 4, params=IMAGE, executor=recorder, chunk_size=1) as batch:
                batch.results()
    sent = recorder.chunks
    assert len({(chunk.run, chunk.number) for chunk in sent}) == len(sent) == 8


def test_closures_are_pickled_by_cloudpickle(
    service: Sample, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    factor = 3

    def multiply(session: Session, number: int) -> int:
        return number * factor

    with service.client() as agb:
        with agb.map(multiply, [2], params=IMAGE, executor=recorder) as batch:
            assert batch.results()[0].unwrap() == 6

        monkeypatch.setattr(pickling, "has_cloudpickle", lambda: False)
        pickling.pickler.cache_clear()
        try:
            with pytest.raises(TypeError, match=r"multiply cannot be pickled .* With cloudpickle it may: pip install"):
                agb.map(multiply, [2], params=IMAGE, executor=recorder)
            with agb.map(double, [2], params=IMAGE, executor=recorder) as batch:
                assert batch.results()[0].unwrap() == 4
        finally:
            pickling.pickler.cache_clear()


def test_worker_without_an_api_key(service: Sample, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item of its chunk has an error that says so."""
    original = recorder.submit

    def elsewhere(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        chunk_worker.api_keys.clear()  # as in another process
        return original(fn, *args, **kwargs)

    monkeypatch.setattr(recorder, "submit", elsewhere)
    with service.client() as agb, agb.map(double, [1, 2], params=IMAGE, executor=recorder) as batch:
        outcomes = batch.results()
    for outcome in outcomes:
        assert isinstance(outcome.error, ExecutionError)
        assert "API key is required" in str(outcome.error)
        assert "send_key=True" in str(outcome.error)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"executor": 3}, "executor is an executor, or a function that makes one, not a int"),
        ({"chunk_size": 2}, "are for an executor: pass executor="),
        ({"send_key": True}, "are for an executor: pass executor="),
        ({"executor": abs, "chunk_size": 0}, "chunk_size is a number >= 1, not 0"),
        ({"executor": abs, "chunks": "2"}, "chunks is a whole number, not '2'"),
        ({"executor": abs, "chunk_timeout": -1}, "chunk_timeout"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], says: str) -> None:
    with AGB("k") as agb:
        with pytest.raises((TypeError, ValueError), match=says):
            agb.map(double, [1], params=IMAGE, **wrong)


def test_session_that_cannot_be_created(service: Sample, recorder: Recorder) -> None:
    service.sessions.instead["/mcp/createSession"] = refuse("InvalidImage", "no such image", 400)
    with service.client() as agb, agb.map(double, [1], params=IMAGE, executor=recorder) as batch:
        (outcome,) = batch.results()
    assert isinstance(outcome.error, SessionError)
    assert "no such image" in str(outcome.error)
