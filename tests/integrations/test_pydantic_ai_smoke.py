"""Pydantic AI in short: a run has a session of its own, which is gone afterwards."""

from __future__ import annotations

import pytest

pytest.importorskip("pydantic_ai")

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from agb.integrations.pydantic_ai import AGBToolset
from agb.local import LocalServer

from .agent_sessions import client, sessions_of

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]


async def test_run_has_a_session_of_its_own(runtime: LocalServer) -> None:
    owners: list[str] = []

    async with client(runtime) as agb:

        async def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
            if len(messages) == 1:
                return ModelResponse([ToolCallPart("run_command", {"command": "echo $((6 * 7))"})])
            owners.append(messages[0].run_id or "")
            assert len(await sessions_of(agb, f"pydantic-ai:{owners[0]}")) == 1
            return ModelResponse([TextPart(str(messages[-1].parts[0].content))])

        agent = Agent(FunctionModel(answer), toolsets=[AGBToolset(agb=agb)])
        assert (await agent.run("What is 6 * 7?")).output == "42"
        assert await sessions_of(agb, f"pydantic-ai:{owners[0]}") == []
