"""The deployment of SWE-ReX in short: a shell keeps its variables, and the session is deleted."""

# pyright: reportMissingImports=false
from __future__ import annotations

import pytest

pytest.importorskip("swerex", exc_type=ImportError)

from swerex.runtime.abstract import BashAction, CreateBashSessionRequest

from agb import AGB, AsyncAGB, Config, CreateSessionParams
from agb.integrations.swerex import AGBDeployment
from agb.local import LocalServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_session_is_a_deployment(runtime: LocalServer) -> None:
    config = Config(runtime.endpoint)
    params = CreateSessionParams(image_id="agb-code-space-1", labels={"test": "swerex-smoke"})
    async with AsyncAGB(runtime.api_key, config) as agb:
        deployment = AGBDeployment(params, agb=agb)
        await deployment.start()
        await deployment.runtime.create_session(CreateBashSessionRequest())
        await deployment.runtime.run_in_session(BashAction(command="x=42; cd /tmp"))
        result = await deployment.runtime.run_in_session(
            BashAction(command="echo $x in $PWD; (exit 3)", check="silent")
        )
        assert (result.output, result.exit_code) == ("42 in /tmp\n", 3)
        await deployment.stop()
    with AGB(runtime.api_key, config) as client:
        assert client.list(params.labels).session_ids == []
