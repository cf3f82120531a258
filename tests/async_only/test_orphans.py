"""No orphans: creations are cancelled and their connections cut at random points, and no session is left.

``AGB_ORPHAN_RUNS=1000`` makes so many runs of each kind, in place of the few that fit into every test run.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from threading import Thread
from typing import Any
from uuid import uuid4

import anyio
import anyio.lowlevel
import pytest

from agb import AGB, AsyncAGB, Config, CreateSessionParams
from agb._async._compat.cancellation import shielded
from agb._async.lifecycle.deletion import delete_surely
from agb._sync.lifecycle import deletion
from agb._wire.labels import CREATE
from agb.local import LocalServer
from tests.relay import Relay, relay, unlucky
from tests.servers import LIST, RELEASE, STATUS, Action, Sessions, refuse, scripted
from tests.waiting import apause

pytestmark = pytest.mark.filterwarnings("ignore:.*agb gc --create:RuntimeWarning")

IMAGE = "agb-code-space-1"
RUNS = int(os.environ.get("AGB_ORPHAN_RUNS", "0"))
SEED = int(os.environ.get("AGB_ORPHAN_SEED", "7"))
STUB_RUNS, RUNTIME_RUNS = RUNS or 30, RUNS or 10
AT_A_TIME = 100 if RUNS else 30
LOOKS_FASTER = 0.2
"""The stub makes a session at once, so looks for it need not take their usual seconds."""

Work = Callable[[], Coroutine[Any, Any, None]]
Cancelled = Callable[[Work, random.Random], Coroutine[Any, Any, None]]


async def natively(work: Work, dice: random.Random) -> None:
    task = asyncio.ensure_future(work())
    for _ in range(dice.randrange(3)):
        if dice.random() < 0.5:
            for _ in range(dice.randrange(40)):
                await asyncio.sleep(0)
        else:  # waits on purpose: a moment of the creation
            await asyncio.wait([task], timeout=dice.random() * 0.06)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None


async def by_a_scope(work: Work, dice: random.Random) -> None:
    if dice.random() < 0.4:
        with anyio.move_on_after(dice.random() * 0.06):
            await work()
        return
    async with anyio.create_task_group() as group:
        group.start_soon(work)
        for _ in range(dice.randrange(60)):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()


async def not_at_all(work: Work, dice: random.Random) -> None:
    await work()


async def life(make: Callable[[], AsyncAGB], params: CreateSessionParams, timeout: float) -> None:
    """Create a session by a client of its own, and delete it if it is there, or if the error says that it may be."""
    async with make() as agb:
        result = await agb.create(params, timeout=timeout)
        if result.session is not None:
            error = await shielded(partial(delete_surely, result.session))
            assert error is None, error
        elif result.error is not None and (nonce := result.error.extra.get("create")):
            await shielded(partial(reap, agb, nonce))


async def reap(agb: AsyncAGB, nonce: str) -> None:
    """Do what ``agb gc --create`` does, until the sessions can be listed."""
    labels = {CREATE: nonce}
    while not (listed := await agb.list(labels)).success:
        await apause()
    for session_id in listed.session_ids:
        error = await delete_surely(agb.attach(session_id))
        assert error is None, error


async def many(runs: int, seed: int, cancelled: Cancelled, work: Work) -> None:
    for begin in range(0, runs, AT_A_TIME):
        async with anyio.create_task_group() as group:
            for number in range(begin, min(runs, begin + AT_A_TIME)):
                group.start_soon(cancelled, work, random.Random(f"{seed}-{number}"))


# --- a stub ------------------------------------------------------------------------------------------------------


@pytest.fixture
def stub() -> Iterator[tuple[Sessions, Relay]]:
    sessions = Sessions()
    with scripted(sessions) as server, relay(server.port, unlucky(SEED)) as between:
        yield sessions, between


def client(between: Relay, key: str = "ako-key", faster: float = LOOKS_FASTER) -> AsyncAGB:
    agb = AsyncAGB(key, Config(between.endpoint, 5_000))
    wait = agb.client._sleep

    async def pause(seconds: float) -> None:
        await wait(seconds * faster)

    agb.client._sleep = pause
    return agb


async def no_orphans_at_the_stub(stub: tuple[Sessions, Relay], cancelled: Cancelled) -> None:
    sessions, between = stub
    params = CreateSessionParams(image_id=IMAGE)
    for seed in range(SEED, SEED + 20):  # on a slow machine all of a round may be cancelled before anything was sent
        await many(STUB_RUNS, seed, cancelled, partial(life, partial(client, between), params, 0.3))
        assert not sessions.alive
        if sessions.made + between.cuts > STUB_RUNS / 20:
            break
    else:
        pytest.fail("no run had an effect")


def every_second() -> Callable[[], Action | None]:
    """Return a fault: every second request is answered by 503."""
    count = itertools.count()
    return lambda: refuse("Busy", "try later", 503) if next(count) % 2 == 0 else None


@pytest.mark.asyncio
async def test_natively_cancelled_at_the_stub(stub: tuple[Sessions, Relay]) -> None:
    await no_orphans_at_the_stub(stub, natively)


@pytest.mark.anyio
async def test_cancelled_by_a_scope_at_the_stub(stub: tuple[Sessions, Relay]) -> None:
    await no_orphans_at_the_stub(stub, by_a_scope)


@pytest.mark.anyio
async def test_cut_at_the_stub(stub: tuple[Sessions, Relay]) -> None:
    await no_orphans_at_the_stub(stub, not_at_all)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [RELEASE, STATUS, LIST])
async def test_cancelled_while_the_clean_up_meets_faults(stub: tuple[Sessions, Relay], path: str) -> None:
    stub[0].faults[path] = every_second()
    await no_orphans_at_the_stub(stub, natively)


def sync_lives(between: Relay, key: str, params: CreateSessionParams, runs: int, faster: float, timeout: float) -> None:
    failures: list[object] = []

    def live(count: int) -> None:
        for _ in range(count):
            with AGB(key, Config(between.endpoint, 10_000)) as agb:
                wait = agb.client._sleep
                agb.client._sleep = lambda seconds, wait=wait: wait(seconds * faster)  # type: ignore[misc]
                result = agb.create(params, timeout=timeout)
                left = [result.session] if result.session is not None else []
                if result.error is not None and (nonce := result.error.extra.get("create")):
                    left = list(agb.iterate({CREATE: nonce}))
                failures.extend(error for session in left if (error := deletion.delete_surely(session)))

    threads = [Thread(target=live, args=(len(range(number, runs, AT_A_TIME)),)) for number in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_cut_at_the_stub_synchronously(stub: tuple[Sessions, Relay]) -> None:
    sessions, between = stub
    sessions.faults[RELEASE] = every_second()
    sync_lives(between, "ako-key", CreateSessionParams(image_id=IMAGE), STUB_RUNS, LOOKS_FASTER, 0.3)
    assert not sessions.alive
    assert sessions.made > STUB_RUNS / 20


# --- the local runtime -------------------------------------------------------------------------------------------


@pytest.fixture
def flaky(runtime: LocalServer) -> Iterator[Relay]:
    with relay(int(runtime.endpoint.rpartition(":")[2]), unlucky(SEED, stalls=False)) as between:
        yield between


async def no_orphans_at_the_runtime(runtime: LocalServer, flaky: Relay, cancelled: Cancelled) -> None:
    params = CreateSessionParams({"orphans": uuid4().hex}, IMAGE)
    make = partial(client, flaky, runtime.api_key, 1.0 if RUNS else 0.5)
    await many(RUNTIME_RUNS, SEED, cancelled, partial(life, make, params, 20))
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:
        assert (await agb.list(params.labels)).session_ids == []


@pytest.mark.asyncio
async def test_natively_cancelled_at_the_runtime(runtime: LocalServer, flaky: Relay) -> None:
    await no_orphans_at_the_runtime(runtime, flaky, natively)


@pytest.mark.anyio
async def test_cancelled_by_a_scope_at_the_runtime(runtime: LocalServer, flaky: Relay) -> None:
    await no_orphans_at_the_runtime(runtime, flaky, by_a_scope)


def test_cut_at_the_runtime_synchronously(runtime: LocalServer, flaky: Relay) -> None:
    params = CreateSessionParams({"orphans": uuid4().hex}, IMAGE)
    sync_lives(flaky, runtime.api_key, params, RUNTIME_RUNS, 1.0 if RUNS else 0.5, 10)
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:
        assert agb.list(params.labels).session_ids == []
