"""Browser operations: start the session's browser and find its DevTools address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._wire.call import Call, json_text, post
from .._wire.reply import Reply
from ..config import BROWSER_DATA_PATH
from ..exceptions import BrowserError


def init_browser(
    session_id: str, option: Mapping[str, Any] | None = None, persistent_path: str = BROWSER_DATA_PATH
) -> Call[int]:
    """POST /browser/init: start the browser and return its port."""
    return post(
        f"start the browser of session {session_id}",
        "/browser/init",
        {
            "sessionId": session_id,
            "persistentPath": persistent_path,
            "browserOption": json_text(dict(option or {})),
        },
        read=_read_port,
        repeatable=True,  # starting a browser that runs changes nothing
        session_id=session_id,
        error=BrowserError,
    )


def _read_port(reply: Reply) -> int:
    port = reply.object().get("port")
    if isinstance(port, str) and port.strip().isdecimal() and len(port) < 10:
        port = int(port)
    if isinstance(port, int) and not isinstance(port, bool) and 0 < port <= 65535:
        return port
    raise reply.invalid("its port is not a port number")


def get_cdp_link(session_id: str) -> Call[str]:
    """POST /internet/getCdpLink: the address of the browser's DevTools."""
    return post(
        f"get the DevTools address of session {session_id}",
        "/internet/getCdpLink",
        {"sessionId": session_id},
        read=_read_url,
        repeatable=True,
        session_id=session_id,
        error=BrowserError,
    )


def _read_url(reply: Reply) -> str:
    url = reply.object().get("url")
    if not isinstance(url, str) or not url:
        raise reply.invalid("it holds no URL")
    return url
