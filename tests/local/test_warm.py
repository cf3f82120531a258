"""Sandboxes made ahead of the sessions that get them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any, Literal

import psutil
import pytest
import pytest_asyncio

import agb.local
from agb.cli import main
from agb.local.contexts.mounts import Mount
from agb.local.errors import CannotStart
from agb.local.options import Options
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession
from agb.local.sessions.warm import PYTHON_SESSIONS, UNUSED_SECONDS, WarmSandboxes

from .conftest import Api
from .runtimes import IMAGE, Clock, output, run


@pytest_asyncio.fixture
async def warm() -> AsyncIterator[Runtime]:
    async with Runtime(allow_none=True, network="isolated", warm=1) as runtime:
        yield runtime


def pool(runtime: Runtime) -> WarmSandboxes:
    return runtime._warm


async def filled(runtime: Runtime) -> None:
    """Return when everything that is made ahead is there."""
    while (task := pool(runtime)._filling) is not None:
        await asyncio.wait({task})
    for waiting in pool(runtime)._waiting:
        await waiting.programs.started()


async def create(runtime: Runtime, **args: Any) -> LocalSession:
    """Return a new session when the next sandbox waits."""
    session = await runtime.create(IMAGE, **args)
    await filled(runtime)
    return session


def waiting(runtime: Runtime) -> list[str]:
    """Return the directories of the sandboxes that wait."""
    return [str(one.programs.sandbox.directories.root) for one in pool(runtime)._waiting]


def root(session: LocalSession) -> str:
    return str(session.sandbox.directories.root)


@pytest.mark.asyncio
async def test_sessions_from_the_third_on_get_sandboxes_that_wait(warm: Runtime) -> None:
    await create(warm)
    assert waiting(warm) == []  # a runtime for one session makes nothing for a next one
    await create(warm)
    (ahead,) = waiting(warm)
    helper = pool(warm)._waiting[0].programs.files._helper
    third = await create(warm)
    assert root(third) == ahead
    assert third.files._helper is helper is not None
    assert waiting(warm) not in ([], [ahead])  # another one in its place


@pytest.mark.asyncio
async def test_a_sandbox_knows_nothing_of_its_session(warm: Runtime) -> None:
    for _ in range(2):
        await create(warm)
    session = await create(warm, labels={"label": "of-the-session"})
    assert session.id not in root(session)
    everything = await output(warm, session, "env; cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'; ls -A . $TMPDIR")
    for secret in (session.id, session.token, "of-the-session"):
        assert secret not in everything
    assert await output(warm, session, "ls -A") == ""


@pytest.mark.asyncio
async def test_kernel_starts_ahead_while_sessions_run_python(warm: Runtime) -> None:
    first, _ = await create(warm), await create(warm)
    assert pool(warm)._waiting[0].programs._interpreters == {}
    await run(warm, first, "x = 1")
    await filled(warm)  # the one that waits gets a kernel
    third = await create(warm)
    kernels = [third.interpreter("python")._kernel, pool(warm)._waiting[0].programs.interpreter("python")._kernel]
    assert all(kernel is not None and kernel.is_alive for kernel in kernels)
    assert "NameError" in str(await run(warm, third, "x"))
    assert third.interpreter("python")._kernel is kernels[0]
    pool(warm)._without_python = PYTHON_SESSIONS - 1
    await create(warm)
    assert pool(warm)._waiting[0].programs._interpreters == {}


@pytest.mark.asyncio
async def test_code_waits_for_a_kernel_that_is_being_started(warm: Runtime) -> None:
    for _ in range(2):
        await create(warm)
    pool(warm).note_code("python")  # the kernel that this starts is not awaited
    session = await warm.create(IMAGE)
    assert "42" in str(await run(warm, session, "6 * 7"))


@pytest.mark.asyncio
async def test_release_while_the_kernel_is_being_started(warm: Runtime) -> None:
    for _ in range(2):
        await create(warm)
    pool(warm).note_code("python")
    session = await warm.create(IMAGE)
    warm.release(session.id)
    await warm.released(session.id)
    assert not session.sandbox.directories.root.exists()


@pytest.mark.asyncio
async def test_session_with_mounts_gets_a_new_sandbox(warm: Runtime) -> None:
    for _ in range(2):
        await create(warm)
    ahead = waiting(warm)
    context = await warm.contexts.run(warm.contexts.store.make_internal, "of a test")
    mounted = await warm.create(
        IMAGE, mounts=[Mount(context_id=context.id, path="/home/user/data", place="/home/user/data")]
    )
    assert root(mounted) not in ahead
    assert waiting(warm) == ahead


@pytest.mark.asyncio
async def test_sandbox_that_has_ended_is_not_used(warm: Runtime) -> None:
    for _ in range(2):
        await create(warm)
    sandbox = pool(warm)._waiting[0].programs.sandbox
    os.kill(sandbox.pid, signal.SIGKILL)
    await sandbox.ended.wait()
    session = await create(warm)
    assert session.sandbox is not sandbox
    assert await output(warm, session, "echo alive") == "alive"
    while pool(warm)._ends:
        await asyncio.wait(pool(warm)._ends)
    assert not sandbox.directories.root.exists()


@pytest.mark.asyncio
async def test_sandbox_that_is_not_used_is_ended() -> None:
    clock = Clock()
    async with Runtime(allow_none=True, network="isolated", warm=1, clock=clock) as runtime:
        for _ in range(2):
            await create(runtime)
        sandbox = pool(runtime)._waiting[0].programs.sandbox
        assert runtime.sweep() == clock.now + UNUSED_SECONDS
        clock.now += UNUSED_SECONDS
        runtime.sweep()
        assert waiting(runtime) == []
        await sandbox.ended.wait()


@pytest.mark.asyncio
@pytest.mark.parametrize("pauses", [1, 5, 50])
async def test_stop_while_sandboxes_are_made(pauses: int) -> None:
    async with Runtime(allow_none=True, network="isolated", warm=3) as runtime:
        first = await runtime.create(IMAGE)
        pool(runtime).note_code("python")
        await runtime.create(IMAGE)
        for _ in range(pauses):
            await asyncio.sleep(0)
        area = first.sandbox.directories.root.parent
    assert not area.exists()
    assert [p for p in psutil.Process().children(recursive=True) if str(area) in str(_cmdline(p))] == []


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize("isolation", ["auto", pytest.param("none", marks=pytest.mark.long)])
def test_nothing_is_left_of_a_runtime_that_was_killed(isolation: Literal["auto", "none"]) -> None:
    with agb.local.serve(allow_none=True, isolation=isolation) as server:
        api = Api(server)
        with api.http:
            api.create()
            session = api.create()["sessionId"]
            api.tool(session, "run_code", code="1", language="python")
            api.create()  # a further sandbox is made meanwhile
            everything = psutil.Process(server.pid).children(recursive=True)
            os.kill(server.pid, signal.SIGKILL)
            assert psutil.wait_procs(everything, timeout=120)[1] == []


@pytest.mark.asyncio
async def test_without_isolation() -> None:
    async with Runtime(isolation="none", warm=1) as runtime:
        for _ in range(2):
            await create(runtime)
        pool(runtime).note_code("python")
        (ahead,) = waiting(runtime)
        session = await runtime.create(IMAGE)
        assert root(session) == ahead
        assert "42" in str(await run(runtime, session, "6 * 7"))


@pytest.mark.asyncio
async def test_none_is_made_for_zero(local_runtime: Runtime) -> None:
    for _ in range(3):
        await create(local_runtime)
    assert waiting(local_runtime) == []


@pytest.mark.parametrize("value", [-1, 17, 1.5, True, "1"])
def test_number_is_checked(value: Any) -> None:
    with pytest.raises(CannotStart, match="warm must be a whole number from 0 to 16"):
        Options(warm=value)
    with pytest.raises(CannotStart, match="warm must be"), agb.local.serve(warm=value):
        pass


def test_number_of_the_command_line_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--warm", "99"]) == 2
    assert "warm must be" in capsys.readouterr().err
