"""The tools of a session's browser."""

from __future__ import annotations

from typing import Final

from .session import LocalSession
from .tools import NoArguments, Tool, ToolReply


async def stop_chrome(session: LocalSession, _: NoArguments) -> ToolReply:
    """End the browser; its profile is written when the reply is sent. Nothing happens without a browser."""
    await session.agent.close()
    await session.browser.stop()
    return ToolReply("true")


BROWSER_TOOLS: Final = (
    Tool(
        "stopChrome",
        "wuying_browseruse",
        "End the session's browser; its profile stays.",
        NoArguments,
        stop_chrome,
    ),
)
