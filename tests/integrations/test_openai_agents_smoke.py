"""The OpenAI Agents SDK in short: tools in a session that is gone after the block."""

from __future__ import annotations

import pytest

pytest.importorskip("agents")

from agents import Agent, RunConfig, Runner
from agents.testing import ScriptedModel, assistant_message, function_call

from agb.integrations.openai_agents import AGBTools
from agb.local import LocalServer

from .agent_sessions import client, sessions_of

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_tools_have_a_session_of_their_own(runtime: LocalServer) -> None:
    call = function_call("run_command", {"command": "echo $((6 * 7))"}, call_id="1")
    model = ScriptedModel([[call], [assistant_message("done")]])
    async with client(runtime) as agb:
        async with AGBTools(agb=agb, owner="smoke") as tools:
            agent = Agent("coder", model=model, tools=[*tools])
            result = await Runner.run(agent, "go", run_config=RunConfig(tracing_disabled=True))
            assert dict(result.to_input_list()[-2])["output"] == "42"
            assert len(await sessions_of(agb, "openai-agents:smoke")) == 1
        assert await sessions_of(agb, "openai-agents:smoke") == []
