"""The agent of a session's browser: cancellation, and the coroutines of the synchronous flavour."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import anyio
import pytest

from agb import AGB, ActOptions, AsyncAGB, AsyncBrowserAgent, BrowserAgent, BrowserError, Config
from tests.servers import Conversation, Gate, scripted, value

STARTED = value({"isError": False, "content": [{"type": "text", "text": '{"task_id": "task-1"}'}]})
DONE = value({"isError": False, "content": [{"type": "text", "text": '{"is_done": true, "success": true}'}]})
NAMES = ("act", "close", "extract", "navigate", "observe", "screenshot")


class Browser:
    """A browser that was initialized."""

    def is_initialized(self) -> bool:
        return True


class Page:
    """A page of Playwright's asynchronous API: it can be used on its own event loop only."""

    def __init__(self) -> None:
        self.context = self
        self.browser = self
        self.contexts = [self]
        self._loop = asyncio.get_running_loop()

    async def new_cdp_session(self, page: object) -> Page:
        assert asyncio.get_running_loop() is self._loop
        return self

    async def send(self, method: str) -> dict[str, Any]:
        await asyncio.sleep(0)  # it waits for something, as Playwright does
        return {"targetInfo": {"targetId": "F00D"}}

    async def detach(self) -> None:
        await asyncio.sleep(0)


@pytest.mark.anyio
async def test_cancelled_caller_ends_the_task() -> None:
    polled = anyio.Event()

    async def pause(seconds: float) -> None:
        polled.set()
        await anyio.sleep_forever()

    with scripted(STARTED, DONE) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 20_000)) as agb:
            agb.client._sleep = pause
            agent = AsyncBrowserAgent(agb.attach("s-1"), Browser())
            async with anyio.create_task_group() as group:
                group.start_soon(agent.act, ActOptions("click"))
                await polled.wait()
                group.cancel_scope.cancel()
        calls = [json.loads(request.body) for request in server.requests]
        assert [call["name"] for call in calls] == ["page_use_act_async", "page_use_cancel_task"]
        assert json.loads(calls[1]["args"]) == {"task_id": "task-1"}


@pytest.mark.anyio
async def test_task_that_begins_while_its_caller_is_cancelled_is_ended() -> None:
    gate = Gate()
    with scripted(gate.before(STARTED), DONE) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 20_000)) as agb:
            agent = AsyncBrowserAgent(agb.attach("s-1"), Browser())
            async with anyio.create_task_group() as group:
                group.start_soon(agent.act, ActOptions("click"))
                await anyio.to_thread.run_sync(gate.asked.wait)
                group.cancel_scope.cancel()
                gate.open()
        assert [json.loads(one.body)["name"] for one in server.requests][1:] == ["page_use_cancel_task"]


@pytest.mark.parametrize("kind", [BrowserAgent, AsyncBrowserAgent])
def test_names_of_0_12_are_coroutine_functions(kind: type) -> None:
    assert all(asyncio.iscoroutinefunction(getattr(kind, f"{name}_async")) for name in NAMES)


def test_coroutines_of_the_synchronous_flavour_leave_the_event_loop_free() -> None:
    asyncio.run(_call_coroutines())


async def _call_coroutines() -> None:
    loop, answered = asyncio.get_running_loop(), threading.Event()

    def wait_for_loop(talk: Conversation) -> None:
        loop.call_soon_threadsafe(answered.set)
        assert answered.wait(60)  # set by the loop, which must not be blocked by the call
        STARTED(talk)

    with scripted(wait_for_loop, DONE) as server, AGB("ako-key", Config(server.endpoint, 20_000)) as agb:
        agent = BrowserAgent(agb.attach("s-1"), Browser())
        page: Any = Page()
        assert await agent.act_async(ActOptions("click"), page)
        assert json.loads(json.loads(server.requests[0].body)["args"])["page_id"] == "F00D"
        with pytest.raises(BrowserError, match=r"await the method whose name ends in _async, or use agb\.AsyncAGB$"):
            agent.act(ActOptions("click"), page)
