"""The executor of smolagents in short: an agent's steps share variables, and the session is deleted."""

# pyright: reportMissingImports=false
from __future__ import annotations

import pytest

pytest.importorskip("smolagents", exc_type=ImportError)

from smolagents import CodeAgent

from agb import AGB, Config, CreateSessionParams
from agb.integrations.smolagents import AGBExecutor
from agb.local import LocalServer

from .smolagents_models import ScriptedModel


def test_an_agent_runs_its_code_in_a_session(runtime: LocalServer) -> None:
    params = CreateSessionParams(image_id="agb-code-space-1", labels={"test": "smolagents-smoke"})
    with AGB(runtime.api_key, Config(runtime.endpoint)) as client:
        executor = AGBExecutor(params, agb=client)
        agent = CodeAgent(
            tools=[], model=ScriptedModel("x = 6", "final_answer(x * 7)"), executor=executor, verbosity_level=0
        )
        assert agent.run("What is six times seven?") == 42
        agent.cleanup()
        assert client.list(params.labels).session_ids == []
