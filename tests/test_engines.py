"""Batches on real executors of several processes, both flavours: all is done, and a killed worker costs nothing."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agb import AGB, AsyncAGB, Config, CreateSessionParams, Outcome, WorkerLostError
from tests.servers import Sessions, scripted
from tests.work import Item, work, work_async

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
KEY = "ako-key-of-the-environment"

# --- engines -----------------------------------------------------------------------------------------------------

Engine = Executor | Callable[[], Executor]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have it from their environment."""
    monkeypatch.setenv("AGB_API_KEY", KEY)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Executors of two processes, started when the environment has the key."""
    yield request.getfixturevalue(request.param)
    gc.collect()


def pool_of_processes() -> ProcessPoolExecutor:
    """Two processes that are forked from one which has imported the package: a batch with kills starts up to eight."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED_ONCE)
    return ProcessPoolExecutor(2, mp_context=context)


LOADED_ONCE = [
    "tests.work",
    *(
        f"agb.{flavour}.{name}"
        for flavour in ("_async", "_sync")
        for name in ("client", "session", "batch.chunk_worker", "lifecycle.creation", "net.http")
    ),
    "anyio._backends._asyncio",
]


@pytest.fixture
def processes() -> Engine:
    return pool_of_processes


@pytest.fixture
def loky() -> Iterator[Engine]:
    from loky import get_reusable_executor

    yield partial(get_reusable_executor, 2)
    get_reusable_executor(2).shutdown()


@pytest.fixture(scope="module")
def dask() -> Iterator[Engine]:
    """One cluster for all tests: it replaces a worker that was killed."""
    import distributed

    untyped: Any = distributed
    free = "127.0.0.1:0"
    cluster = untyped.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=free,
        worker_dashboard_address=free,
        scheduler_kwargs={"dashboard": False},
        silence_logs=50,
    )
    with cluster, untyped.Client(cluster) as client:
        yield client.get_executor()


Run = Callable[..., list[Outcome[Item, tuple[int, int]]]]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a batch on a scripted service, in either flavour, and sees to it that no session is left."""
    sessions = Sessions()
    with scripted(sessions) as server:
        config = Config(server.endpoint, 20_000)

        def run_sync(items: Iterable[Item], **more: Any) -> list[Outcome[Item, tuple[int, int]]]:
            with AGB(KEY, config) as agb, agb.map(work, items, params=IMAGE, concurrency=6, **more) as batch:
                return batch.results()

        async def run_async(items: Iterable[Item], **more: Any) -> list[Outcome[Item, tuple[int, int]]]:
            async with (
                AsyncAGB(KEY, config) as agb,
                agb.map(work_async, items, params=IMAGE, concurrency=6, **more) as batch,
            ):
                return await batch.results()

        if request.param == "sync":
            yield run_sync
        else:
            yield lambda items, **more: asyncio.run(run_async(items, **more))
        assert sessions.made
        assert not sessions.alive


ENGINES = pytest.mark.parametrize(
    ("run", "engine"),
    [("sync", "processes"), ("async", "loky"), ("async", "dask")],
    indirect=True,
)
"""Both flavours, and each engine: a driver does not know what engine it has."""


@pytest.mark.long
@ENGINES
def test_all_items_are_done(run: Run, engine: Engine) -> None:
    outcomes = run([Item(number) for number in range(30)], executor=engine, chunks=2)
    assert [outcome.unwrap()[0] for outcome in outcomes] == [2 * number for number in range(30)]
    assert os.getpid() not in {outcome.unwrap()[1] for outcome in outcomes}
    assert not any(outcome.repeated for outcome in outcomes)


@ENGINES
def test_a_worker_that_is_killed(run: Run, engine: Engine, tmp_path: Path) -> None:
    """Its sessions are deleted, its items are done again, and that is said."""
    items = [Item(number, str(tmp_path / "killed") if number == 7 else "") for number in range(20)]
    outcomes = run(items, executor=engine, chunks=2)
    assert [outcome.unwrap()[0] for outcome in outcomes] == [2 * number for number in range(20)]
    assert outcomes[7].repeated
    assert outcomes[7].attempts >= 2


def test_an_item_that_kills_every_worker(run: Run, tmp_path: Path) -> None:
    """Only it is given up."""
    items = [Item(number, str(tmp_path / "killed"), always=number == 3) for number in range(8)]
    items = [item if item.always else Item(item.number) for item in items]
    outcomes = run(items, executor=pool_of_processes, chunks=2)
    assert isinstance(outcomes[3].error, WorkerLostError)
    assert isinstance(outcomes[3].error.__cause__, BrokenProcessPool)
    assert outcomes[3].attempts == 3
    assert all(outcome.ok for outcome in outcomes if outcome.index != 3)


def test_a_pool_that_is_broken_for_good(run: Run, tmp_path: Path) -> None:
    """Without a way to make another, the batch ends and says so."""
    items = [Item(number, str(tmp_path / "killed") if number == 2 else "") for number in range(8)]

    with (
        pool_of_processes() as pool,
        pytest.raises(WorkerLostError, match="cannot be used any more: BrokenProcessPool"),
    ):
        run(items, executor=pool)


@pytest.mark.parametrize(("run", "engine"), [("async", "dask")], indirect=True)
def test_equal_items_are_done_each(run: Run, engine: Engine) -> None:
    """Dask runs equal submits once by default; `test_no_two_chunks_are_equal` is for every engine."""
    outcomes = run([Item(1)] * 6, executor=engine, chunk_size=1)
    assert [outcome.unwrap()[0] for outcome in outcomes] == [2] * 6
    assert len({outcome.session_id for outcome in outcomes}) == 6
