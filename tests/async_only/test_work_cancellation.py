"""Code and commands whose caller is cancelled: the work in the session ends, and the interpreter is free."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import anyio
import pytest

from agb import AsyncAGB, AsyncSession, Config, CreateSessionParams
from agb.local import LocalServer

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
CODE = "import os, time\nwith open('/tmp/pid', 'w') as file: print(os.getpid(), file=file)\ntime.sleep(1000)"
COMMAND = "echo $$ >/tmp/pid; sleep 1000"


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


async def work(session: AsyncSession, name: str) -> None:
    if name == "code":
        await session.code.run(CODE, "python", timeout_s=600)
    else:
        await session.command.execute(COMMAND, 10 * LIMIT_MS)


async def begun(session: AsyncSession) -> None:
    await session.command.execute("until [ -s /tmp/pid ]; do sleep 0.01; done", LIMIT_MS, check=True)


async def assert_ended(session: AsyncSession, name: str) -> None:
    if name == "code":
        assert (await session.code.run("'free'", "python", timeout_s=60)).result == "'free'"
    else:
        gone = "read -r pid </tmp/pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done"
        await session.command.execute(gone, LIMIT_MS, check=True)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["code", "command"])
async def test_cancelled_scope(runtime: LocalServer, name: str) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, session, name)
            await begun(session)
            tasks.cancel_scope.cancel()
        await assert_ended(session, name)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["code", "command"])
async def test_cancelled_task(runtime: LocalServer, name: str) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        task = asyncio.create_task(work(agb.attach(session.ref), name))
        await begun(session)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await assert_ended(session, name)
