"""Tools for the browser of a session and the screen of its desktop."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from mcp_types import CallToolResult
from pydantic import Field
from typing_extensions import TypedDict

from ..._async.modules.browser_agent import AsyncBrowserAgent
from ...browser_agent import ActOptions, ExtractOptions, ObserveOptions, ObserveResult
from .answers import PICTURE_LIMIT, answer, page_of, picture
from .conversations import HeldSession, Refused
from .tool import Call, SessionId, tool

LONGEST_ACTION: Final = 600
JPEG_QUALITY: Final = 60
"""Of a picture that is too large as a PNG."""
ANY_VALUE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "description": "what was asked for"}},
    "required": ["answer"],
}
"""The schema of what is extracted, unless the agent names one."""

Seconds = Annotated[float, Field(gt=0, le=LONGEST_ACTION, description="Seconds that it may take.")]


class ElementValues(TypedDict):
    """An element of a page and what can be done with it, as values."""

    selector: str
    description: str
    method: str
    arguments: dict[str, Any]


class ElementsValues(TypedDict):
    """Elements of a page, as values."""

    elements: list[ElementValues]


@asynccontextmanager
async def _browser(call: Call, session_id: str | None) -> AsyncIterator[AsyncBrowserAgent]:
    """Use the browser of a session, which is started if it does not run, for the time of a block."""
    async with call.session(session_id) as held:
        await held.session.browser.start()
        yield held.session.browser.agent


@tool("Open a page", outside=True)
async def browser_navigate(
    call: Call,
    url: Annotated[str, Field(min_length=1, description="The address; without a scheme it is HTTPS.")],
    session_id: SessionId = None,
) -> CallToolResult:
    """Open an address in the browser of the session. Needs a session of an image with a browser (create_session)."""
    async with _browser(call, session_id) as agent:
        return answer(_cut(call, await agent.navigate(url, check=True)))


@tool("Act on a page", destroys=True, outside=True)
async def browser_act(
    call: Call,
    action: Annotated[str | None, Field(description="The instruction, such as: click the button Search.")] = None,
    element: Annotated[
        ElementValues | None, Field(description="In place of an instruction: an element of browser_observe.")
    ] = None,
    timeout: Seconds = 150,
    session_id: SessionId = None,
) -> CallToolResult:
    """Carry out an instruction on the current page of the browser: click, type, select, scroll."""
    if (action is None) == (element is None):
        raise Refused("give an action or an element: one of the two")
    wanted = ObserveResult(**element) if element is not None else ActOptions(action or "")
    async with _browser(call, session_id) as agent:
        result = await agent.act(wanted, timeout=timeout, check=True)
    return answer(_cut(call, "\n".join(result.steps) or result.message))


@tool("Look at a page", reads=True, outside=True)
async def browser_observe(
    call: Call,
    instruction: Annotated[str, Field(min_length=1, description="The elements to find, such as: all links to news.")],
    session_id: SessionId = None,
) -> Annotated[CallToolResult, ElementsValues]:
    """Find elements of the current page, each with what can be done with it; browser_act does it."""
    async with _browser(call, session_id) as agent:
        found = (await agent.observe(ObserveOptions(instruction), check=True)).elements

    def value(one: ObserveResult) -> ElementValues:
        return {
            "selector": one.selector,
            "description": one.description,
            "method": one.method,
            "arguments": one.arguments,
        }

    values, following = page_of(found, 0, call.options.answer_limit, value)
    text = "\n".join(json.dumps(one, ensure_ascii=False) for one in values) or "no elements"
    if following is not None:
        text += f"\n[{following} of {len(found)} elements are shown: ask for fewer at a time]"
    return answer(text, values={"elements": values})


@tool("Read from a page", reads=True, outside=True)
async def browser_extract(
    call: Call,
    instruction: Annotated[str, Field(min_length=1, description="What to read, such as: names and prices.")],
    schema: Annotated[
        dict[str, Any] | None, Field(description="The JSON Schema of the answer, an object; without it, a text.")
    ] = None,
    timeout: Seconds = 150,
    session_id: SessionId = None,
) -> CallToolResult:
    """Read data from the current page of the browser, and return it as JSON."""
    options: ExtractOptions[Any] = ExtractOptions(instruction, schema or ANY_VALUE)
    async with _browser(call, session_id) as agent:
        value = (await agent.extract(options, timeout=timeout, check=True)).value
    return answer(_cut(call, json.dumps(value, ensure_ascii=False, indent=1)))


@tool("Picture of a page", reads=True)
async def browser_screenshot(
    call: Call,
    full_page: Annotated[bool, Field(description="The whole page; otherwise the part that is visible.")] = False,
    session_id: SessionId = None,
) -> CallToolResult:
    """Return a picture of the current page of the browser."""
    async with _browser(call, session_id) as agent:
        data = _of_data_url(await agent.screenshot(full_page=full_page, check=True))
        if len(data) > PICTURE_LIMIT:
            smaller = await agent.screenshot(full_page=full_page, quality=JPEG_QUALITY, check=True)
            data = _of_data_url(smaller)
    return _picture("the page", data)


@tool("Picture of the desktop", reads=True)
async def desktop_screenshot(call: Call, session_id: SessionId = None) -> CallToolResult:
    """Return a picture of the screen. Needs a session of an image with a desktop (create_session)."""
    async with call.session(session_id) as held:
        data = await _screen(held)
    return _picture("the screen", data)


async def _screen(held: HeldSession) -> bytes:
    screen = held.session.computer.screen
    shot = await screen.screenshot()
    if len(shot.data) > PICTURE_LIMIT:
        shot = await screen.screenshot("jpeg")
    return shot.data


def _of_data_url(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


def _picture(what: str, data: bytes) -> CallToolResult:
    try:
        return answer(f"A picture of {what}.", [picture(data)])
    except ValueError as error:
        raise Refused(f"there is no picture of {what}: {error}") from error


def _cut(call: Call, text: str) -> str:
    limit = call.options.answer_limit
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[{len(text) - limit} of {len(text)} characters are left out: ask for less at a time]"
