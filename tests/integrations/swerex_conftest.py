"""Fixtures for SWE-ReX's own tests of runtimes, which are run with a session; ``nox -s integrations`` puts it there.

Some of them compare files of the session with those of the machine, so the sessions have no isolation.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from swerex.runtime.abstract import BashAction, CloseBashSessionRequest, Command, CreateBashSessionRequest

import agb.local
from agb import AsyncAGB, Config, CreateSessionParams
from agb.integrations.swerex import AGBDeployment, AGBRuntime
from agb.local import LocalServer


class _Action(BashAction):
    timeout: float | None = 60


class _Command(Command):
    timeout: float | None = 60


@pytest.fixture(scope="session")
def server() -> Iterator[LocalServer]:
    with agb.local.serve(isolation="none", warm=0) as server:
        yield server


@pytest.fixture
async def remote_runtime(server: LocalServer) -> AsyncIterator[AGBRuntime]:
    async with AsyncAGB(server.api_key, Config(server.endpoint)) as client:
        deployment = AGBDeployment(CreateSessionParams(image_id="agb-code-space-1"), agb=client)
        await deployment.start()
        yield deployment.runtime
        await deployment.stop()


@pytest.fixture
async def runtime_with_default_session(remote_runtime: AGBRuntime) -> AsyncIterator[AGBRuntime]:
    await remote_runtime.create_session(CreateBashSessionRequest())
    yield remote_runtime
    await remote_runtime.close_session(CloseBashSessionRequest())
