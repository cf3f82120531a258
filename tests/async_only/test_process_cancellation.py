"""Processes and cancellation: a start that is cancelled leaves nothing running, and neither does a block."""

from __future__ import annotations

import anyio
import pytest

from agb import AsyncAGB, AsyncSession, Config, CreateSessionParams
from agb.local import LocalServer

pytestmark = pytest.mark.anyio

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""


async def processes_left(session: AsyncSession) -> str:
    """Return the directories and programs of processes, after waiting for those that are just ending."""
    script = 'for i in $(seq 600); do left=$(ls /tmp/agb-processes; pgrep -l sleep); [ -n "$left" ] || break; '
    listed = await session.command.execute(f"{script} sleep 0.1; done; echo $left", LIMIT_MS)
    return listed.raise_for_error().stdout.strip()


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.02])
async def test_start_that_is_cancelled(runtime: LocalServer, seconds: float) -> None:
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(PARAMS) as session:
        (await session.command.execute("true", LIMIT_MS)).raise_for_error()
        with anyio.move_on_after(seconds) as scope:
            async with await session.command.start("sleep 60"):
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert await processes_left(session) == ""


async def test_block_that_is_cancelled(runtime: LocalServer) -> None:
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(PARAMS) as session:
        with anyio.CancelScope() as scope:
            async with (
                await session.command.start("echo up; sleep 60", stdin=True) as process,
                process.stream() as output,
            ):
                async for event in output:
                    assert event.text == "up\n"
                    scope.cancel()
        assert scope.cancelled_caught
        assert await processes_left(session) == ""
