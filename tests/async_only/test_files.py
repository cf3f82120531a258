"""Files of a session when the caller is cancelled: nothing is left behind, and the old file is unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from agb import AsyncAGB, Config, CreateSessionParams
from agb.local import LocalServer

pytestmark = pytest.mark.anyio
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""


async def test_cancelled_write_stream_leaves_nothing_behind(runtime: LocalServer) -> None:
    reached = anyio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(1 << 20)
        reached.set()
        await anyio.sleep_forever()

    params = CreateSessionParams(image_id="agb-code-space-1")
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(params) as session:
        assert (await session.file.write("/tmp/s", "old")).success
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.file.write_stream, "/tmp/s", chunks())
            with anyio.fail_after(120):
                await reached.wait()
            tasks.cancel_scope.cancel()
        assert (await session.file.read("/tmp/s")).content == "old"
        assert (await session.command.execute("ls -A /tmp | grep agb- || true", timeout_ms=LIMIT_MS)).stdout == ""
