"""Blocks in a forked child: it leaves them at once, and its parent goes on with its sessions."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from agb import AGB, AsyncAGB, AsyncSession, Config, CreateSessionParams, SandboxExecutor, Session
from agb.executor.sandbox import Sandbox
from agb.executor.sandbox_pool import end_in_background
from tests.servers import CREATE, RELEASE, Scripted, Sessions, scripted

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
HANGS = 20.0
"""Seconds after which a child that has not ended counts as hanging."""


class Left(BaseException):
    """Raised in a child to leave its blocks, as ``sys.exit`` does."""


@contextmanager
def ends_a_child() -> Iterator[None]:
    """End a forked child that leaves this block; its exit code is 0 if it left by `Left`."""
    parent, code = os.getpid(), 1
    try:
        yield
    except Left:
        code = 0
        raise
    finally:
        if os.getpid() != parent:
            os._exit(code)


def fork_and_leave() -> int:
    """Fork a child that leaves all blocks; return its exit code, that of a killed process if it hangs."""
    child = os.fork()
    if child == 0:
        raise Left
    end = time.monotonic() + HANGS
    while not (status := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.01)  # waits on purpose: for the end of a process, for a limited time
    if not status[0]:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status[1])


@pytest.fixture
def service() -> Iterator[tuple[Sessions, Scripted]]:
    sessions = Sessions()
    with scripted(sessions) as server:
        yield sessions, server
    assert not sessions.alive


def count(server: Scripted, path: str) -> int:
    return [request.path for request in server.requests].count(path)


# --- synchronous -------------------------------------------------------------------------------------------------


def in_a_session(agb: AGB, use: Callable[[Session], None]) -> None:
    with agb.session(IMAGE) as session:
        use(session)


def in_a_pool(agb: AGB, use: Callable[[Session], None]) -> None:
    with agb.pool(IMAGE, min=2, max=2) as pool, pool.session() as session:
        use(session)


def in_a_batch(agb: AGB, use: Callable[[Session], None]) -> None:
    with agb.map(lambda session, item: session, itertools.count(), params=IMAGE, pool=True, concurrency=2) as batch:
        session = next(batch).value
        assert session is not None
        use(session)


def in_the_function_of_a_batch(agb: AGB, use: Callable[[Session], None]) -> None:
    with agb.map(lambda session, item: use(session), [1], params=IMAGE) as batch:
        outcome = next(batch)
    if outcome.error is not None:
        raise outcome.error


@pytest.mark.parametrize("enter", [in_a_session, in_a_pool, in_a_batch, in_the_function_of_a_batch])
def test_child_leaves_a_block(
    service: tuple[Sessions, Scripted], enter: Callable[[AGB, Callable[[Session], None]], None]
) -> None:
    sessions, server = service

    def use(session: Session) -> None:
        assert fork_and_leave() == 0
        assert session.session_id in sessions.alive
        assert count(server, RELEASE) == 0

    with ends_a_child(), AGB("ako-key", Config(server.endpoint, 10_000)) as agb:
        enter(agb, use)


def test_child_leaves_an_executor(service: tuple[Sessions, Scripted]) -> None:
    """Its sessions are deleted neither when the child leaves the block nor when it ends."""
    sessions, server = service
    with (
        ends_a_child(),
        AGB("ako-key", Config(server.endpoint, 10_000)) as agb,
        SandboxExecutor(IMAGE, client=agb, max_workers=1) as executor,
    ):
        session = agb.create(IMAGE).raise_for_error().session
        assert session is not None
        executor._sandboxes.all.add(Sandbox(session))  # the stub cannot run anything in it
        try:
            assert fork_and_leave() == 0
        except Left:
            with pytest.raises(RuntimeError, match="this is a forked child"):
                executor.submit(abs, -1)
            executor.shutdown()
            end_in_background(executor._sandboxes)
            raise
        assert sessions.alive
        assert count(server, RELEASE) == 0


def test_child_cannot_use_the_blocks_of_its_parent(service: tuple[Sessions, Scripted]) -> None:
    _, server = service
    with (
        ends_a_child(),
        AGB("ako-key", Config(server.endpoint, 10_000)) as agb,
        agb.pool(IMAGE) as pool,
        agb.map(lambda session, item: None, [1], params=IMAGE) as batch,
    ):
        parent = os.getpid()
        try:
            assert fork_and_leave() == 0
        except Left:
            with pytest.raises(RuntimeError, match="this is a forked child"):
                pool.acquire()
            with pytest.raises(RuntimeError, match="this is a forked child"):
                next(batch)
            raise
        assert os.getpid() == parent
        assert next(batch).ok


def test_child_uses_blocks_of_its_own(service: tuple[Sessions, Scripted]) -> None:
    """Also a pool and a batch that its parent has made, but not entered."""
    _, server = service
    with ends_a_child(), AGB("ako-key", Config(server.endpoint, 10_000)) as agb:
        pool = agb.pool(IMAGE, max=1)
        batch = agb.map(lambda session, item: session.session_id, [1], params=IMAGE)
        try:
            assert fork_and_leave() == 0
        except Left:
            with agb.session(IMAGE), pool, pool.session(), batch:
                assert next(batch).ok
            raise
    assert count(server, CREATE) == count(server, RELEASE) == 3


# --- asynchronous ------------------------------------------------------------------------------------------------


async def in_an_asynchronous_session(agb: AsyncAGB, use: Callable[[AsyncSession], None]) -> None:
    async with agb.session(IMAGE) as session:
        use(session)


async def in_an_asynchronous_pool(agb: AsyncAGB, use: Callable[[AsyncSession], None]) -> None:
    async with agb.pool(IMAGE, min=2, max=2) as pool, pool.session() as session:
        use(session)


async def in_an_asynchronous_batch(agb: AsyncAGB, use: Callable[[AsyncSession], None]) -> None:
    async def itself(session: AsyncSession, item: int) -> AsyncSession:
        return session

    async with agb.map(itself, itertools.count(), params=IMAGE, pool=True, concurrency=2) as batch:
        session = (await anext(batch)).value
        assert session is not None
        use(session)


@pytest.mark.anyio
@pytest.mark.parametrize("enter", [in_an_asynchronous_session, in_an_asynchronous_pool, in_an_asynchronous_batch])
async def test_child_leaves_an_asynchronous_block(
    service: tuple[Sessions, Scripted],
    enter: Callable[[AsyncAGB, Callable[[AsyncSession], None]], Awaitable[None]],
) -> None:
    """The child ends before the loop runs again: the loop itself is its parent's, and Python cannot run it twice."""
    sessions, server = service

    def use(session: AsyncSession) -> None:
        assert fork_and_leave() == 0
        assert session.session_id in sessions.alive
        assert count(server, RELEASE) == 0

    async with AsyncAGB("ako-key", Config(server.endpoint, 10_000)) as agb:
        with ends_a_child():
            await enter(agb, use)
