"""The tools of a session's browser."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from ..browser import screenshot
from ..browser.cdp import CdpError
from ..browser.process import BrowserUnavailable
from .arguments import Arguments
from .session import LocalSession
from .tools import NoArguments, Tool, ToolReply, to_json


async def stop_chrome(session: LocalSession, _: NoArguments) -> ToolReply:
    """End the browser; its profile is written when the reply is sent. Nothing happens without a browser."""
    await session.agent.close()
    await session.browser.stop()
    return ToolReply("true")


class ScreenshotArguments(Arguments, frozen=True):
    """Arguments of ``screenshot``."""

    format: Annotated[Literal["png", "jpeg"], Meta(description="Kind of the image.")] = "png"


async def take_screenshot(session: LocalSession, given: ScreenshotArguments) -> ToolReply:
    """Take a picture of the browser's active page; the text is JSON with the image in base64."""
    try:
        taken = await screenshot.take(session.browser.running(), given.format)
    except (BrowserUnavailable, CdpError) as error:
        return ToolReply(f"screenshot: {error}", is_error=True)
    image = {"type": "screenshot", "mime_type": f"image/{given.format}", "data": taken.data}
    return ToolReply(to_json(image | {"width": taken.width, "height": taken.height}))


BROWSER_TOOLS: Final = (
    Tool(
        "stopChrome",
        "wuying_browseruse",
        "End the session's browser; its profile stays.",
        NoArguments,
        stop_chrome,
    ),
)

BROWSER_SCREENSHOT: Final = Tool(
    "screenshot",
    "wuying_ui",
    "Take a picture of the page that is active in the browser.",
    ScreenshotArguments,
    take_screenshot,
    summarized="format",
)
"""For images without a screen; those with one have a tool of this name for it."""
