"""The agent of a session's browser: what it sends, how it follows a task, and what it reports."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import pytest

from agb import (
    ActOptions,
    ActResult,
    AsyncAGB,
    AsyncBrowserAgent,
    BrowserError,
    Config,
    ErrorKind,
    ExtractOptions,
    McpTool,
    ObserveOptions,
    ObserveResult,
)
from tests.servers import Action, Conversation, Scripted, refuse, scripted, value

pytestmark = pytest.mark.anyio


Call = Callable[[], Awaitable[object]]


class Product(TypedDict):
    name: str
    price: float


def tool(text: str, is_error: bool = False) -> Action:
    """Answer with the text of a tool."""
    return value({"isError": is_error, "content": [{"type": "text", "text": text}]})


STARTED = tool('{"task_id": "task-1"}')
PENDING = tool('{"is_done": false, "success": false, "steps": []}')
DONE = tool('{"is_done": true, "success": true, "steps": ["clicked"]}')
CANCELLED = tool("true")


class Time:
    """A clock that pauses advance."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Browser:
    """A browser that was, or was not, initialized."""

    def __init__(self, is_initialized: bool = True) -> None:
        self._is_initialized = is_initialized

    def is_initialized(self) -> bool:
        return self._is_initialized


@asynccontextmanager
async def agent_of(*script: Action, time: Time | None = None) -> AsyncIterator[tuple[AsyncBrowserAgent, Scripted]]:
    """An agent whose service answers by a script; with a time of its own, if one is given."""
    with scripted(*script) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 20_000)) as agb:
            if time is not None:
                agb.client._clock, agb.client._sleep = time.clock, time.sleep
            yield AsyncBrowserAgent(agb.attach("s-1"), Browser()), server


def sent(server: Scripted) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and arguments of the tools that were called."""
    bodies = [json.loads(request.body) for request in server.requests]
    return [(body["name"], json.loads(body["args"])) for body in bodies]


# --- before anything is sent ---------------------------------------------------------------------------------------


async def test_browser_must_be_initialized() -> None:
    async with agent_of(DONE) as (agent, server):
        agent = AsyncBrowserAgent(agent.session, Browser(False))
        calls: dict[str, Call] = {
            "navigate": lambda: agent.navigate("about:blank"),
            "screenshot": lambda: agent.screenshot(),
            "act": lambda: agent.act(ActOptions("x")),
            "observe": lambda: agent.observe(ObserveOptions("x")),
            "extract": lambda: agent.extract(ExtractOptions("x", Product)),
        }
        for name, call in calls.items():
            with pytest.raises(BrowserError, match=f"^Browser must be initialized before calling {name}\\.$"):
                await call()
        assert server.requests == []


async def test_arguments_that_make_no_sense() -> None:
    async with agent_of(DONE) as (agent, server):
        bad_values: list[tuple[str, Call]] = [
            ("url must not be empty", lambda: agent.navigate(" ")),
            ("quality must be a number from 0 to 100", lambda: agent.screenshot(quality=101)),
            ("clip must have x, y, width and height", lambda: agent.screenshot(clip={"x": 1})),
            ("action must not be empty", lambda: agent.act(ActOptions(""))),
            ("timeoutMS is a number of milliseconds above zero", lambda: agent.act(ActOptions("x", timeoutMS=0))),
            ("timeout is a number of seconds above zero", lambda: agent.act(ActOptions("x"), timeout=0)),
            ("instruction must not be empty", lambda: agent.observe(ObserveOptions(""))),
            ("the schema is empty", lambda: agent.extract(ExtractOptions[Any]("x", {}))),
        ]
        for wrong, call in bad_values:
            with pytest.raises(ValueError, match=wrong):
                await call()
        bad_types: list[tuple[str, Call]] = [
            ("action_input must be ActOptions or an ObserveResult, not str", lambda: agent.act("x")),  # type: ignore[arg-type]
            ("variables must be a dict of strings", lambda: agent.act(ActOptions("x", variables={"a": 1}))),  # type: ignore[dict-item]
            ("schema must be a pydantic model, an attrs class", lambda: agent.extract(ExtractOptions("x", int))),
        ]
        for wrong, call in bad_types:
            with pytest.raises(TypeError, match=wrong):
                await call()
        assert server.requests == []


# --- what is sent --------------------------------------------------------------------------------------------------


async def test_arguments_of_the_tools() -> None:
    seen = ObserveResult("xpath=/html/body/a[1]", "link 'About'", "click", {"button": "left"})
    async with agent_of(STARTED, DONE, STARTED, DONE, tool("[]")) as (agent, server):
        await agent.act(ActOptions("type %pw%", 5000, True, 0, {"pw": "secret"}, False))
        await agent.act(seen)
        await agent.observe(ObserveOptions("find all links", iframes=True))
    calls = sent(server)
    assert calls[0] == (
        "page_use_act_async",
        {
            "context_id": 0,
            "timeout_ms": 5000,
            "action": "type %pw%",
            "variables": {"pw": "secret"},
            "iframes": True,
            "dom_settle_timeout_ms": 0,
            "use_vision": False,
        },
    )
    assert calls[1] == ("page_use_get_act_result", {"task_id": "task-1"})
    assert json.loads(calls[2][1]["action"]) == {
        "method": "click",
        "arguments": {"button": "left"},
        "selector": "xpath=/html/body/a[1]",
        "description": "link 'About'",
    }
    assert calls[4] == ("page_use_observe", {"context_id": 0, "instruction": "find all links", "iframes": True})
    assert "secret" not in repr(ActOptions("x", variables={"pw": "secret"}))


class Page:
    """A page as Playwright has it, in the second of two contexts."""

    def __init__(self) -> None:
        self.context = self
        self.browser = self
        self.contexts = [object(), self]
        self.is_detached = False

    async def new_cdp_session(self, page: object) -> Page:
        assert page is self
        return self

    async def send(self, method: str) -> dict[str, Any]:
        assert method == "Target.getTargetInfo"
        return {"targetInfo": {"targetId": "F00D"}}

    async def detach(self) -> None:
        self.is_detached = True


async def test_ids_of_a_page_are_sent() -> None:
    page: Any = Page()
    async with agent_of(STARTED, DONE, tool("[]"), tool("data:")) as (agent, server):
        await agent.act(ActOptions("x"), page)
        await agent.observe(ObserveOptions("x"), page)
        await agent.screenshot(page)
    calls = dict(sent(server))
    for name in ("page_use_act_async", "page_use_observe", "page_use_screenshot"):
        assert (calls[name]["context_id"], calls[name]["page_id"]) == (1, "F00D")
    assert page.is_detached
    async with agent_of(DONE) as (agent, server):
        with pytest.raises(BrowserError, match=r"^Failed to act: Failed to get page/context index: "):
            await agent.act(ActOptions("x"), object())  # type: ignore[arg-type]
        assert server.requests == []


# --- following a task ----------------------------------------------------------------------------------------------


async def test_pauses_grow_until_the_task_is_done() -> None:
    time = Time()
    async with agent_of(STARTED, *[PENDING] * 12, DONE, time=time) as (agent, _):
        assert await agent.act(ActOptions("click")) == ActResult(True, '["clicked"]', steps=("clicked",))
    assert time.pauses[0] < 0.2
    assert time.pauses == sorted(time.pauses)
    assert time.pauses[-1] == 3


async def test_time_limits_of_the_caller() -> None:
    for options, timeout, milliseconds, seconds in [
        (ActOptions("click"), None, 150_000, 155),
        (ActOptions("click", timeoutMS=4000), None, 4000, 9),
        (ActOptions("click"), 7, 7000, 7),
        (ActOptions("click", timeoutMS=60_000), 7, 7000, 7),
        (ActOptions("click", timeoutMS=2000), 7, 2000, 7),
    ]:
        time = Time()

        def answer_by_name(talk: Conversation) -> None:
            name = json.loads(talk.request.body)["name"]
            {"page_use_act_async": STARTED, "page_use_cancel_task": CANCELLED}.get(name, PENDING)(talk)

        async with agent_of(answer_by_name, time=time) as (agent, server):
            with pytest.raises(BrowserError, match=r"^Failed to act: Task task-1:click Act timed out within") as raised:
                await agent.act(options, timeout=timeout)
        assert raised.value.kind is ErrorKind.TIMED_OUT
        assert time.now - 1000 == pytest.approx(seconds, abs=0.1)
        calls = sent(server)
        assert calls[0][1]["timeout_ms"] == milliseconds
        assert ("page_use_cancel_task", {"task_id": "task-1"}) in calls  # it must not go on


async def test_failed_polls_are_reported() -> None:
    lost = tool("page_use_get_act_result: there is no task 'task-1'", is_error=True)
    async with agent_of(STARTED, lost, PENDING, lost, lost, lost, CANCELLED, time=Time()) as (agent, server):
        with pytest.raises(BrowserError, match=r"^Failed to act: there is no task 'task-1'$"):
            await agent.act(ActOptions("click"))
        assert len(server.requests) == 7  # a poll that succeeds begins the count anew
    gone = refuse("InvalidMcpSession.NotFound", "Resource [Session s-1] is not found")
    async with agent_of(STARTED, gone, gone, time=Time()) as (agent, _):
        with pytest.raises(BrowserError, match=r"^Failed to act: ") as raised:
            await agent.act(ActOptions("click"))
        assert raised.value.kind is ErrorKind.NOT_FOUND


async def test_service_without_a_tool_to_cancel_is_not_asked() -> None:
    async with agent_of(STARTED, PENDING, time=Time()) as (agent, server):
        agent.session.tool_list = [McpTool("page_use_act_async")]
        with pytest.raises(BrowserError, match="timed out"):
            await agent.act(ActOptions("click"), timeout=3)
        assert "page_use_cancel_task" not in dict(sent(server))


# --- what is reported ----------------------------------------------------------------------------------------------


async def test_failures_have_their_texts_of_0_12_and_their_reason() -> None:
    failed = tool("page_use_navigate: net::ERR_NAME_NOT_RESOLVED", is_error=True)
    async with agent_of(failed) as (agent, _):
        assert await agent.navigate("https://nowhere") == "Navigation failed: net::ERR_NAME_NOT_RESOLVED"
        with pytest.raises(BrowserError, match=r"^Failed to navigate: net::ERR_NAME_NOT_RESOLVED$"):
            await agent.navigate("https://nowhere", check=True)
    failed = tool("page_use_screenshot: it is gone", is_error=True)
    async with agent_of(failed) as (agent, _):
        assert await agent.screenshot() == "Screenshot failed: it is gone"
        with pytest.raises(BrowserError, match=r"^Failed to call screenshot: it is gone$"):
            await agent.screenshot(check=True)
        assert await agent.close() is False
        with pytest.raises(BrowserError, match=r"^Failed to act: Failed to start act task: .*it is gone"):
            await agent.act(ActOptions("click"))
        with pytest.raises(BrowserError, match=r"^Failed to extract: Failed to start extraction task: .*it is gone"):
            await agent.extract(ExtractOptions("x", Product))
        ok, elements = outcome = await agent.observe(ObserveOptions("x"))
        assert (ok, elements, bool(outcome)) == (False, [], False)
        with pytest.raises(BrowserError, match=r"^Failed to observe: .*it is gone"):
            _ = outcome.elements
    async with agent_of(tool("{nonsense")) as (agent, _):
        calls: dict[str, Call] = {
            "act": lambda: agent.act(ActOptions("x")),
            "observe": lambda: agent.observe(ObserveOptions("x")),
            "extract": lambda: agent.extract(ExtractOptions("x", Product)),
        }
        for name, call in calls.items():
            with pytest.raises(BrowserError, match=f"^Failed to {name}: .*is not valid: Expecting property") as raised:
                await call()
            assert raised.value.kind is ErrorKind.INVALID_ANSWER


async def test_steps_in_every_form() -> None:
    def answer(steps: Any, success: bool = True) -> Action:
        return tool(json.dumps({"is_done": True, "success": success, "steps": steps}))

    for steps, message, lines in [
        ([], "No actions have been executed.", ()),
        ("done", "done", ("done",)),
        ([{"action": "click"}], '[{"action": "click"}]', ('{"action":"click"}',)),
    ]:
        async with agent_of(STARTED, answer(steps), time=Time()) as (agent, _):
            result = await agent.act(ActOptions("x"))
            assert (result.success, result.message, result.steps) == (True, message, lines)
    async with agent_of(STARTED, answer(["there is no button"], success=False), time=Time()) as (agent, _):
        result = await agent.act(ActOptions("x"))
        assert not result
        with pytest.raises(BrowserError, match=r"^Failed to act: there is no button$"):
            result.raise_for_error()


async def test_observed_elements_in_every_form() -> None:
    found = [
        {"selector": "#a", "description": "A", "method": "click", "arguments": '{"x": 1}'},
        {"selector": "#b", "arguments": {"y": 2}},
        {"selector": "#c", "arguments": "no JSON"},
    ]
    async with agent_of(tool(json.dumps(found))) as (agent, _):
        ok, elements = await agent.observe(ObserveOptions("x"))
    assert ok
    assert [one.arguments for one in elements] == [{"x": 1}, {"y": 2}, "no JSON"]
    assert elements[0] == ObserveResult("#a", "A", "click", {"x": 1})


async def test_extraction() -> None:
    not_yet = tool("not ready", is_error=True)
    found = tool('{"name": "Shoes", "price": 20}')
    async with agent_of(STARTED, not_yet, not_yet, not_yet, not_yet, tool(""), found, time=Time()) as (agent, server):
        ok, product = await agent.extract(ExtractOptions("the product", Product, selector="main", iframe=True))
        assert (ok, product) == (True, {"name": "Shoes", "price": 20.0})
    name, args = sent(server)[0]
    assert name == "page_use_extract_async"
    assert (args["selector"], args["iframe"], args["field_schema"][:9]) == ("main", True, "schema: {")

    async with agent_of(STARTED, tool('{"name": "Shoes", "price": "20"}'), time=Time()) as (agent, _):
        with pytest.raises(BrowserError, match=r"^Failed to extract: price is a string, not a number$"):
            await agent.extract(ExtractOptions("the product", Product))

    failure = tool('{"is_done": true, "success": false, "error": "not found in the page: price"}', is_error=True)
    async with agent_of(STARTED, failure, time=Time()) as (agent, _):
        ok, nothing = outcome = await agent.extract(ExtractOptions("the product", Product))
        assert (ok, nothing, bool(outcome)) == (False, None, False)
        assert str(outcome.error) == "Failed to extract: not found in the page: price"
        with pytest.raises(BrowserError, match="not found in the page: price"):
            _ = outcome.value

    async with agent_of(STARTED, not_yet, time=Time()) as (agent, _):
        with pytest.raises(BrowserError, match="Extract timed out within 3 s; the last poll failed: not ready"):
            await agent.extract(ExtractOptions("the product", Product), timeout=3)
