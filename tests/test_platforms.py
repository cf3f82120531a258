"""The client on other systems and event loops; what cannot run on this machine is skipped by its name.

The local runtime needs Linux, so these tests use the fake service and a scripted server, which run everywhere.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

from agb import AGB, AsyncAGB, Config, CreateSessionParams
from agb.testing import FakeService
from tests.servers import scripted, value

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
ON_WINDOWS = pytest.mark.skipif(sys.platform != "win32", reason="Windows: its event loops are not run here")
ON_MACOS = pytest.mark.skipif(sys.platform != "darwin", reason="macOS: its event loop is not run here")


def loop_of(module: str, name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes an event loop, or skip the test where it is not installed."""
    found: Callable[[], asyncio.AbstractEventLoop] = getattr(pytest.importorskip(module), name)
    return found


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param("uvloop", "new_event_loop", id="uvloop"),
        pytest.param("asyncio", "ProactorEventLoop", marks=ON_WINDOWS, id="Windows, proactor"),
        pytest.param("asyncio", "SelectorEventLoop", marks=ON_WINDOWS, id="Windows, selector"),
        pytest.param("asyncio", "SelectorEventLoop", marks=ON_MACOS, id="macOS, kqueue"),
    ],
)
def test_session_and_connections_on_an_event_loop(module: str, name: str) -> None:
    async def program() -> None:
        service = FakeService()
        async with AsyncAGB("ako-key", transport=service) as client, client.session(PARAMS) as session:
            assert (await session.file.write("/tmp/a", "1")).success
        with scripted(value({"labels": "{}"})) as server:
            async with AsyncAGB("ako-key", Config(server.endpoint)) as client:
                for _ in range(3):
                    assert (await client.attach("s-1").get_labels()).success
            assert server.connections == 1
            assert server.wait_for_open(0)  # kept, and closed with the client

    with asyncio.Runner(loop_factory=loop_of(module, name)) as runner:
        runner.run(program())


@pytest.mark.parametrize("system", [pytest.param("Windows", marks=ON_WINDOWS), pytest.param("macOS", marks=ON_MACOS)])
def test_synchronous_client(system: str) -> None:
    with scripted(value({"labels": "{}"})) as server, AGB("ako-key", Config(server.endpoint)) as client:
        assert client.attach("s-1").get_labels().success, system
