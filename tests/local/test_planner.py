"""Planners: what they are shown, what they decide, and what becomes of their errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import agb.local
from agb.local import CannotStart
from agb.local.planner import load

from . import planners
from .browser import needs_chromium
from .conftest import Api
from .test_browser_agent import IMAGE, Agent, needs_playwright

PAGE = """data:text/html,<title>Login</title><form onsubmit="event.preventDefault(); out.textContent = secret.value">
<label>Password <input id=secret></label><button>Send</button></form><p id=out></p><button disabled>Never</button>"""


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with agb.local.serve(allow_none=True, warm=0, planner=planners.plan) as server:
        api = Api(server)
        with api.http:
            session_id = str(api.post("/mcp/createSession", {"imageId": IMAGE})["sessionId"])
            api.post("/browser/init", {"sessionId": session_id, "browserOption": "{}"})
            agent = Agent(api, session_id)
            ok, text = agent.call("navigate", url=PAGE)
            assert ok, text
            yield agent


def extract(agent: Agent, instruction: str, **args: Any) -> Any:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    ok, text = agent.call("extract", instruction=instruction, field_schema=f"schema: {json.dumps(schema)}", **args)
    return json.loads(text) if ok else text


@needs_chromium
@needs_playwright
def test_planner_decides(agent: Agent) -> None:
    assert agent.does("login please", variables={"password": "hunter2"}) == [
        "filled '%password%' into the textbox 'Password'",
        "clicked the button 'Send'",
    ]
    assert [one["description"] for one in agent.observe("buttons please")] == ["Send", "Never"]
    assert extract(agent, "summary please") == {"title": "Login", "wanted": ["title"]}
    assert extract(agent, "picture please", use_vision=True) == {"begins": repr(b"\x89PNG")}
    # What it leaves to the engine, and what is replayed.
    assert agent.does("click Send") == ["clicked the button 'Send'"]
    (found,) = agent.observe("find the Send button")
    agent.does(json.dumps(found))


@needs_chromium
@needs_playwright
def test_errors_of_a_planner_are_refusals(agent: Agent) -> None:
    assert agent.refuses("fail please") == "the planner failed: ValueError: the model is away"
    assert agent.refuses("nothing please") == "the planner returned neither actions nor an end"
    assert "named the element 'e9999', which the page does not have" in agent.refuses("nonsense please")
    assert "without an element" in agent.refuses("press Nowhere")
    assert extract(agent, "fail please") == "page_use_extract: the planner failed: ValueError: the model is away"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("planners", "planner must be 'module:function'"),
        ("no_such_module:plan", "No module named 'no_such_module'"),
        ("tests.local.planners:none", "has no attribute 'none'"),
        ("tests.local.planners:no_planner", "must be an asynchronous function"),
    ],
)
def test_planner_that_cannot_be_loaded(name: str, reason: str) -> None:
    with pytest.raises(CannotStart, match=reason):
        load(name)


def test_planner_of_another_process_must_be_importable() -> None:
    async def plan(view: object) -> None: ...

    with pytest.raises(CannotStart, match="define it at the top level of a module"), agb.local.serve(planner=plan):
        pass
