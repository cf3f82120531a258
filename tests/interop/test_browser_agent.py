"""The browser agent of 0.12 against the runtime: what it sends is understood, and it reads what is answered."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from importlib.util import find_spec
from shutil import which
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from agb import Session

    from .harness import Sessions

pytestmark = pytest.mark.skipif(
    which("chromium") is None or find_spec("playwright") is None, reason="needs Chromium and Playwright"
)
pydantic = pytest.importorskip("pydantic")

PAGE = "data:text/html," + quote(
    """<title>Shop</title><h1>Shoes</h1>
<form onsubmit="event.preventDefault(); document.title = 'hello ' + who.value"><label>Name <input id=who></label>
<button>Send</button></form><ul><li><h3>Red</h3> Price: $5.50<li><h3>Blue</h3> Price: $6</ul>"""
)


class Shoe(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    name: str
    price: float


class Shoes(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    shoes: list[Shoe]


class Title(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    title: str


@pytest.fixture(scope="module")
def options() -> Any:
    return pytest.importorskip("agb.modules.browser.browser_agent")


@pytest.fixture(scope="module")
def browser_session(module_sessions: Sessions) -> Session:
    from agb.modules.browser import BrowserOption

    session = module_sessions.create(image="agb-browser-use-1")
    assert session.browser.initialize(BrowserOption())
    return session


@pytest.fixture
def agent(browser_session: Session) -> Iterator[Any]:
    """The agent, with the shop in its page, in a thread with an event loop, which 0.12 needs."""
    agent = browser_session.browser.agent
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    assert loop.run_until_complete(agent.navigate_async(PAGE)).startswith("Successfully navigated to data:text/html")
    yield agent
    asyncio.set_event_loop(None)
    loop.close()


def test_act(agent: Any, options: Any) -> None:
    action = "type %who% into the Name field, then click Send"
    result = agent.act(options.ActOptions(action, variables={"who": "Ada"}))
    assert result.success
    assert "clicked the button 'Send'" in result.message
    failed = agent.act(options.ActOptions("dance"))
    assert not failed.success
    assert "not understood: 'dance'" in failed.message


def test_observe_and_act_on_what_was_found(agent: Any, options: Any) -> None:
    ok, found = agent.observe(options.ObserveOptions("find the Send button"))
    assert ok
    assert [(one.method, one.description) for one in found] == [("click", "button 'Send'")]
    assert agent.act(found[0]).success  # 0.12 drops the selector, which is among the arguments too
    assert agent.observe(options.ObserveOptions("find the checkout button")) == (True, [])


def test_extract(agent: Any, options: Any) -> None:
    ok, shoes = agent.extract(options.ExtractOptions("all shoes", Shoes))
    assert ok
    assert [(shoe.name, shoe.price) for shoe in shoes.shoes] == [("Red", 5.5), ("Blue", 6.0)]


def test_screenshot_and_close(agent: Any) -> None:
    head, _, data = agent.screenshot(full_page=False).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG\r\n")
    assert asyncio.get_event_loop().run_until_complete(agent.close_async()) is True
    assert "Screenshot failed: " in agent.screenshot(clip={"x": 0, "y": 0, "width": -1, "height": 1})


def test_coroutines(agent: Any, options: Any) -> None:
    async def use() -> tuple[Any, Any, Any]:
        acted = await agent.act_async(options.ActOptions("type 'Bob' into the Name field, then click Send"))
        observed = await agent.observe_async(options.ObserveOptions("all buttons"))
        return acted, observed, await agent.extract_async(options.ExtractOptions("the page title", Title))

    acted, (ok, buttons), (extracted, title) = asyncio.get_event_loop().run_until_complete(use())
    assert (acted.success, ok, extracted) == (True, True, True)
    assert [one.description for one in buttons] == ["button 'Send'"]
    assert title.title == "hello Bob"


def test_page_of_the_callers_playwright(browser_session: Session, options: Any) -> None:
    from playwright.async_api import async_playwright

    async def use() -> list[str]:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.connect_over_cdp(browser_session.browser.get_endpoint_url())
            pages = [await browser.contexts[0].new_page() for _ in range(2)]
            for page in pages:
                await page.set_content("<button onclick='document.title = \"clicked\"'>Go</button>")
            result = await browser_session.browser.agent.act_async(options.ActOptions("click Go"), pages[0])
            assert result.success
            titles = [await page.title() for page in pages]
            for page in pages:
                await page.close()
            await browser.close()
            return titles

    assert asyncio.run(use()) == ["clicked", ""]
