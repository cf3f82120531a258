"""Browser operations: start the session's browser, find its DevTools address, and stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from .._wire.call import Call, json_text, post
from .._wire.reply import Reply
from .._wire.secrets import remember, remember_url
from .._wire.shape import NAME, TEXT, Array, Object, Shape, ShapeError, maybe, needed
from .._wire.toolcall import ToolCall, ToolReply
from ..config import BROWSER_DATA_PATH
from ..exceptions import BrowserError
from .tools import tool_failure


@frozen
class StartedBrowser:
    """The browser of a session that was started, or ran already."""

    port: int
    """The port in the session by which programs there reach it."""
    warnings: tuple[str, ...]
    """What the service could not do of what was asked for."""


class _Port(Shape):
    """The number of a port, which may be a string."""

    def read(self, value: Any, place: str) -> int:
        """Return the number."""
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65535:
            return value
        raise ShapeError(f"{place} is not the number of a port")


BROWSER = Object({"data": needed(Object({"port": needed(_Port()), "warnings": maybe(Array(TEXT))}))})
DEVTOOLS = Object({"data": needed(Object({"url": needed(NAME)}))})


def init_browser(
    session_id: str, option: Mapping[str, Any] | None = None, persistent_path: str = BROWSER_DATA_PATH
) -> Call[StartedBrowser]:
    """POST /browser/init: start the browser, or find the one that runs.

    The option is a part of the URL, as the protocol has it, so the passwords in it are remembered as secrets.
    """
    for proxy in (option or {}).get("proxies", ()):
        remember(proxy.get("password") or "")
        remember_url(proxy.get("server") or "")
    return post(
        f"start the browser of session {session_id}",
        "/browser/init",
        {
            "sessionId": session_id,
            "persistentPath": persistent_path,
            "browserOption": json_text(dict(option or {})),
        },
        read=_read_browser,
        shape=BROWSER,
        repeatable=True,  # starting a browser that runs changes nothing
        has_secret_query=True,
        session_id=session_id,
        error=BrowserError,
    )


def _read_browser(reply: Reply) -> StartedBrowser:
    data = reply.content()["data"]
    return StartedBrowser(data["port"], tuple(data.get("warnings", ())))


def get_cdp_link(session_id: str) -> Call[str]:
    """POST /internet/getCdpLink: the address of the browser's DevTools."""
    return post(
        f"get the DevTools address of the browser of session {session_id}",
        "/internet/getCdpLink",
        {"sessionId": session_id},
        read=lambda reply: reply.content()["data"]["url"],
        shape=DEVTOOLS,
        repeatable=True,
        session_id=session_id,
        error=BrowserError,
    )


def stop_browser(session_id: str) -> ToolCall[None]:
    """Return the call of the tool that stops the browser and writes its profile."""

    def read(reply: ToolReply) -> None:
        if reply.is_error:
            raise tool_failure("stopChrome", reply, session_id, BrowserError, f"stop the browser of {session_id}")

    return ToolCall("stopChrome", {}, read, repeatable=True, error=BrowserError, description="stop the browser")
