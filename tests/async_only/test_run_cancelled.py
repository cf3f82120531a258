"""A program whose caller is cancelled is ended with everything it has started."""

from __future__ import annotations

import anyio
import pytest

from agb import AsyncAGB, Config, CreateSessionParams, McpTool
from agb.local import LocalServer

pytestmark = pytest.mark.anyio

ALIVE = "pgrep -f '^sleep 60[01]' >/dev/null"


@pytest.mark.parametrize("properties", [{"argv": {}}, {}])
async def test_cancelled_run(runtime: LocalServer, properties: dict[str, object]) -> None:
    params = CreateSessionParams(image_id="agb-code-space-1")
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(params) as session:
        other = agb.attach(session.ref)
        other.tool_list = [McpTool("shell", input_schema={"properties": properties})]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.command.run, "setsid sleep 600 & (sleep 601 &) ; : >/tmp/begun; wait")
            await session.command.execute("while [ ! -e /tmp/begun ]; do sleep 0.02; done", 60_000, check=True)
            assert (await session.command.execute(ALIVE, 60_000)).exit_code == 0
            tasks.cancel_scope.cancel()
        ended = await session.command.execute(f"while {ALIVE}; do sleep 0.02; done", 60_000)
        assert ended.success
