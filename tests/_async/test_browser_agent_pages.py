"""The agent of a session's browser on real pages: the local runtime, and its Chromium."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import quote

import attrs
import pytest

from agb import (
    ActOptions,
    AsyncAGB,
    AsyncBrowser,
    AsyncBrowserAgent,
    BrowserError,
    Config,
    ExtractOptions,
    ObserveOptions,
    SessionRef,
)
from agb.local import LocalServer
from tests.browsers import needs_browser

pytestmark = [pytest.mark.anyio, needs_browser]

SHOP = f"""data:text/html,{
    quote('''
<title>Shop</title><h1>Shoes</h1>
<form onsubmit="event.preventDefault(); out.textContent = `hello ${who.value}`">
  <label>Name <input id=who></label> <button>Send</button>
</form>
<p id=out></p>
<ul><li><h3>Red</h3> Price: $5.50<li><h3>Blue</h3> Price: $6</ul>
''')
}"""


class Out(TypedDict):
    out: str | None


@attrs.define
class Shoe:
    name: str
    price: float


@dataclass
class Shoes:
    shoes: list[Shoe]


@asynccontextmanager
async def browser_of(runtime: LocalServer, ref: SessionRef) -> AsyncIterator[AsyncBrowser]:
    """Return the browser of a session, through an object of its own."""
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 120_000)) as agb:
        browser = agb.attach(ref).browser
        await browser.start()
        yield browser


@asynccontextmanager
async def agent_of(runtime: LocalServer, ref: SessionRef) -> AsyncIterator[AsyncBrowserAgent]:
    """Return the agent of that browser, with the shop in its current page."""
    async with browser_of(runtime, ref) as browser:
        assert (await browser.agent.navigate(SHOP)).startswith("Successfully navigated to data:text/html,")
        yield browser.agent


async def shown(agent: AsyncBrowserAgent) -> str | None:
    return (await agent.extract(ExtractOptions("the outcome", Out))).value["out"]


@pytest.mark.one_flavour
async def test_act(runtime: LocalServer, running: SessionRef) -> None:
    async with agent_of(runtime, running) as agent:
        result = await agent.act(
            ActOptions("type %who% into the Name field, then click Send", variables={"who": "Ada B"})
        )
        assert result.steps == ("filled '%who%' into the textbox 'Name'", "clicked the button 'Send'")
        assert json.loads(result.message) == list(result.steps)
        assert await shown(agent) == "hello Ada B"

        failed = await agent.act(ActOptions("click the Buy button"))
        assert not failed
        assert "there is no button 'Buy'; there are: button 'Send'" in failed.message
        with pytest.raises(BrowserError, match="there is no button 'Buy'"):
            failed.raise_for_error()
        with pytest.raises(BrowserError, match="not understood: 'dance'"):
            await agent.act(ActOptions("dance"), check=True)
        late = await agent.act(ActOptions("wait 60 seconds", timeoutMS=100))
        assert late.message == '["it was ended after 100 ms, its time limit"]'


@pytest.mark.one_flavour
async def test_observe_and_act_on_what_was_found(runtime: LocalServer, running: SessionRef) -> None:
    async with agent_of(runtime, running) as agent:
        assert await agent.observe(ObserveOptions("find the checkout button")) == (True, [])
        (field,) = (await agent.observe(ObserveOptions("find the Name field"))).elements
        assert (field.method, field.description) == ("fill", "textbox 'Name'")
        field.arguments["value"] = "Grace"
        assert await agent.act(field)
        (button,) = (await agent.observe(ObserveOptions("find the Send button"))).elements
        assert await agent.act(button)
        assert await shown(agent) == "hello Grace"


@pytest.mark.one_flavour
async def test_extract(runtime: LocalServer, running: SessionRef) -> None:
    async with agent_of(runtime, running) as agent:
        ok, shoes = await agent.extract(ExtractOptions("all shoes", Shoes))
        assert ok
        assert shoes == Shoes([Shoe("Red", 5.5), Shoe("Blue", 6.0)])
        schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
        assert (await agent.extract(ExtractOptions[Any]("the page title", schema))).value == {"title": "Shop"}
        absent = {"type": "object", "properties": {"horsepower": {"type": "integer"}}, "required": ["horsepower"]}
        outcome = await agent.extract(ExtractOptions[Any]("x", absent))
        assert tuple(outcome) == (False, None)
        assert "not found in the page: horsepower" in str(outcome.error)


@pytest.mark.one_flavour
async def test_screenshot(runtime: LocalServer, running: SessionRef) -> None:
    async with agent_of(runtime, running) as agent:
        head, _, data = (await agent.screenshot(full_page=False)).partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG\r\n")
        assert await agent.close()
        assert (await agent.screenshot(quality=20)).startswith("data:image/jpeg;base64,")  # it can be used again


@pytest.mark.one_event_loop  # Playwright has one only
@pytest.mark.one_flavour
async def test_page_of_the_callers_playwright(runtime: LocalServer, running: SessionRef) -> None:
    async with browser_of(runtime, running) as browser, browser.connect() as connected:
        pages = [await connected.contexts[0].new_page() for _ in range(2)]
        for number, page in enumerate(pages):
            await page.set_content(f"<button onclick='document.title = \"clicked {number}\"'>Go</button>")
        for page in pages:
            await browser.agent.act(ActOptions("click Go"), page, check=True)
        assert [await page.title() for page in pages] == ["clicked 0", "clicked 1"]
        await pages[1].bring_to_front()
        for page in pages:  # also the one behind
            assert (await browser.agent.screenshot(page, full_page=False)).startswith("data:image/png;base64,")
        (found,) = (await browser.agent.observe(ObserveOptions("the Go button"), pages[0])).elements
        assert await pages[0].locator(found.selector).inner_text() == "Go"
        for page in pages:
            await page.close()
        with pytest.raises(BrowserError, match="Failed to get page/context index"):
            await browser.agent.act(ActOptions("click Go"), pages[0])
