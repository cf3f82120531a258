"""Cancelled blocks of a browser: no driver of Playwright is left behind, and no browser that a block has started."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.util import find_spec
from threading import Event
from typing import Any

import anyio
import pytest

from agb import AsyncAGB, BrowserError, Config, ErrorKind
from agb._async.modules.browser_connection import AsyncDriver
from tests.browsers import INIT, LINK, UnansweredBrowser, drivers
from tests.servers import Scripted, scripted

pytestmark = pytest.mark.skipif(find_spec("playwright") is None, reason="needs Playwright")
SECONDS = 60


@pytest.fixture
def _no_driver_is_left() -> Iterator[None]:
    assert drivers() == []
    yield
    assert drivers() == []


async def connect(server: Scripted) -> None:
    async with AsyncAGB("ako-key", Config(server.endpoint, 60_000)) as agb, agb.attach("s-1").browser.connect():
        pytest.fail("connected")


@pytest.mark.usefixtures("_no_driver_is_left")
def test_block_whose_time_is_over() -> None:
    async def program() -> None:
        async with AsyncAGB("ako-key", Config(server.endpoint, 60_000)) as agb:
            with pytest.raises(BrowserError, match="browser of session s-1") as raised:
                async with agb.attach("s-1").browser.connect(timeout=2):
                    pytest.fail("connected")
        assert raised.value.kind is ErrorKind.TIMED_OUT

    service = UnansweredBrowser("the link")
    with scripted(service) as server:
        service.port = server.port
        asyncio.run(program())
    assert service.stops == 1


async def cancelled_natively(server: Scripted, reached: Event) -> None:
    task = asyncio.create_task(connect(server))
    assert await asyncio.to_thread(reached.wait, SECONDS)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_by_a_scope(server: Scripted, reached: Event) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(connect, server)
        assert await anyio.to_thread.run_sync(reached.wait, SECONDS)
        group.cancel_scope.cancel()


@pytest.mark.usefixtures("_no_driver_is_left")
@pytest.mark.parametrize("stop_at", [INIT, LINK, "the link", "the driver"])
@pytest.mark.parametrize("cancelled", [cancelled_natively, cancelled_by_a_scope])
def test_block_that_is_cancelled(stop_at: str, cancelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = UnansweredBrowser(stop_at)
    if stop_at == "the driver":
        acquire = AsyncDriver._acquire

        async def reached(driver: AsyncDriver) -> Any:
            service.reached.set()
            return await acquire(driver)

        monkeypatch.setattr(AsyncDriver, "_acquire", reached)
    with scripted(service) as server:
        service.port = server.port
        asyncio.run(cancelled(server, service.reached))
    assert service.stops == 1
