"""Batches that are cancelled: at any point no session is left, and recorded items are not processed again."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from agb import AsyncAGB, AsyncSession, Config, CreateSessionParams, Outcome
from agb._async.batch.journal import AsyncJournal
from agb._ops.journal import Header
from tests.servers import CREATE, LINK, RELEASE, Gate, Sessions, scripted

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
    gc.collect()


async def asked(gate: Gate) -> None:
    """Wait until a request has come to the gate."""
    assert await anyio.to_thread.run_sync(gate.asked.wait, SECONDS)


async def link(session: AsyncSession, number: int) -> int:
    (await session.get_link()).raise_for_error()
    return number


async def endless(agb: AsyncAGB, **options: Any) -> None:
    async with agb.map(link, itertools.count(), params=IMAGE, concurrency=4, **options) as batch:
        async for _ in batch:
            pass


COUNT = int(os.environ.get("AGB_CANCELLATION_STEPS", "2"))
STEPS = [*range(0, 20, max(1, 9 // COUNT)), *random.Random(5).sample(range(20, 1500), COUNT)]
"""After how many steps of the event loop a batch is cancelled; ``nox -s cancellation`` tries more of them."""


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [{}, {"pool": True, "ordered": True}, {"timeout": 5}], ids=str)
async def test_cancelled_natively_at_any_step(service: Service, options: dict[str, Any]) -> None:
    async with service.client() as agb:
        for steps in STEPS:
            task = asyncio.ensure_future(endless(agb, **options))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task], timeout=SECONDS)
            assert task.cancelled(), steps
            assert not service.sessions.alive, f"cancelled after {steps} steps"


@pytest.mark.anyio
async def test_cancelled_by_a_scope_at_any_step(service: Service) -> None:
    async with service.client() as agb:
        for steps in STEPS:
            async with anyio.create_task_group() as group:
                group.start_soon(endless, agb)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            assert not service.sessions.alive, f"cancelled after {steps} steps"


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [CREATE, LINK, RELEASE])
async def test_cancelled_again_and_again(service: Service, path: str) -> None:
    gate = service.sessions.gate(path)
    async with service.client() as agb:
        task = asyncio.ensure_future(endless(agb))
        await asked(gate)
        for _ in range(5):
            task.cancel()
            await asyncio.sleep(0)
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(task), SECONDS)
        assert not service.sessions.alive


@pytest.mark.anyio
async def test_leaving_does_not_wait_for_functions_that_hang(service: Service) -> None:
    gate = service.sessions.gate(LINK)
    with anyio.fail_after(SECONDS):
        async with service.client() as agb, agb.map(link, range(3), params=IMAGE):
            await asked(gate)
    assert not gate.opened.is_set()


@pytest.mark.anyio
async def test_wait_for_an_outcome_can_be_cancelled(service: Service) -> None:
    gate = service.sessions.gate(LINK)
    async with service.client() as agb, agb.map(link, range(3), params=IMAGE) as batch:
        await asked(gate)
        with anyio.move_on_after(0.01) as limit:
            await batch.__anext__()
        assert limit.cancelled_caught
        gate.open()
        assert [outcome.value for outcome in await batch.results()] == [0, 1, 2]


@pytest.mark.asyncio
async def test_function_that_waits_for_something_cancelled(service: Service) -> None:
    """A cancellation that is not the worker's own is an error like any other."""

    async def stray(session: AsyncSession, number: int) -> int:
        if number == 1:
            task = asyncio.ensure_future(asyncio.Event().wait())
            asyncio.get_running_loop().call_soon(task.cancel)
            await task
        return number

    async with service.client() as agb, agb.map(stray, range(3), params=IMAGE, concurrency=1) as batch:
        outcomes = await batch.results()
    assert [outcome.value for outcome in outcomes] == [0, None, 2]
    assert isinstance(outcomes[1].error, RuntimeError)
    assert isinstance(outcomes[1].error.__cause__, asyncio.CancelledError)


@pytest.mark.asyncio
async def test_error_that_ends_programs_is_raised_where_the_block_is_left(service: Service) -> None:
    async def leave(session: AsyncSession, number: int) -> int:
        raise SystemExit(7)

    async def block() -> None:
        async with service.client() as agb, agb.map(leave, range(3), params=IMAGE, concurrency=1) as batch:
            await batch.results()

    with pytest.raises(SystemExit):
        await block()
    assert not service.sessions.alive


@pytest.mark.anyio
async def test_asynchronous_items(service: Service) -> None:
    """One task iterates, so a generator may hold a task group open, and the generator is closed when the batch ends."""
    closed = 0

    async def items(count: int) -> AsyncIterator[int]:
        nonlocal closed
        try:
            async with anyio.create_task_group():
                for number in range(count):
                    await anyio.lowlevel.checkpoint()
                    yield number
        finally:
            closed += 1

    async with service.client() as agb:
        async with agb.map(link, items(20), params=IMAGE, concurrency=3) as batch:
            assert len(await batch.results()) == 20
        async with agb.map(link, items(1000), params=IMAGE, concurrency=3) as batch:
            await batch.__anext__()
    assert closed == 2


@pytest.mark.anyio
async def test_items_that_never_arrive(service: Service) -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        await anyio.sleep_forever()

    with anyio.fail_after(SECONDS):
        async with service.client() as agb, agb.map(link, items(), params=IMAGE) as batch:
            assert (await batch.__anext__()).value == 1


@pytest.mark.asyncio
async def test_plain_functions_and_functions_that_return_an_awaitable(service: Service) -> None:
    options: dict[str, Any] = {"params": IMAGE}
    plain: Any = lambda session, number: number + 1  # noqa: E731 - as users write it
    async with service.client() as agb:
        async with agb.map(plain, range(3), **options) as batch:
            assert [outcome.value for outcome in await batch.results()] == [1, 2, 3]
        async with agb.map(lambda session, number: session.get_link(), range(3), **options) as links:
            assert all(outcome.unwrap().success for outcome in await links.results())


@pytest.mark.asyncio
async def test_journal_is_free_after_a_cancellation_while_it_is_opened(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread opens and locks the file, which a cancellation does not stop."""
    begun, proceed = threading.Event(), threading.Event()
    open_journal = AsyncJournal._open

    def open_slowly(path: Path, header: Header) -> AsyncJournal:
        begun.set()
        assert proceed.wait(SECONDS)
        return open_journal(path, header)

    monkeypatch.setattr(AsyncJournal, "_open", open_slowly)
    async with service.client() as agb:
        task = asyncio.ensure_future(endless(agb, journal=tmp_path / "journal"))
        assert await asyncio.to_thread(begun.wait, SECONDS)
        task.cancel()
        await asyncio.sleep(0)
        proceed.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with agb.map(link, range(3), params=IMAGE, journal=tmp_path / "journal") as batch:
            assert len(await batch.results()) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(int(os.environ.get("AGB_CANCELLATION_SEEDS", "3"))))
async def test_interrupted_runs_with_a_journal(service: Service, tmp_path: Path, seed: int) -> None:
    """However often it is cancelled, in the end every item is processed; twice only if its outcome says so."""
    chance = random.Random(seed)
    calls: dict[int, int] = {}
    items = range(30)

    async def count(session: AsyncSession, number: int) -> int:
        calls[number] = calls.get(number, 0) + 1
        await session.get_link()
        return number

    async def run(agb: AsyncAGB) -> list[Outcome[int, int]]:
        options: dict[str, Any] = {"params": IMAGE, "concurrency": 5, "journal": tmp_path / "journal"}
        async with agb.map(count, items, **options) as batch:
            return await batch.results()

    async with service.client() as agb:
        for _ in range(6):
            task = asyncio.ensure_future(run(agb))
            await asyncio.sleep(chance.random() * 0.15)  # waits on purpose: for any point of the run
            task.cancel()
            await asyncio.wait([task])
            assert not service.sessions.alive
        outcomes = await run(agb)
    assert [outcome.value for outcome in outcomes] == list(items)
    repeated = {outcome.index for outcome in outcomes if outcome.repeated}
    called_again = {number for number, count in calls.items() if count > 1}
    assert called_again <= repeated
