"""Browser operations: start the session's browser and find its DevTools address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._wire.call import Call, json_text, post
from .._wire.shape import NAME, Object, Shape, ShapeError, needed
from ..config import BROWSER_DATA_PATH
from ..exceptions import BrowserError


class _Port(Shape):
    """The number of a port, which may be a string."""

    def read(self, value: Any, place: str) -> int:
        """Return the number."""
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65535:
            return value
        raise ShapeError(f"{place} is not the number of a port")


BROWSER = Object({"data": needed(Object({"port": needed(_Port())}))})
DEVTOOLS = Object({"data": needed(Object({"url": needed(NAME)}))})


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
        read=lambda reply: reply.content()["data"]["port"],
        shape=BROWSER,
        repeatable=True,  # starting a browser that runs changes nothing
        session_id=session_id,
        error=BrowserError,
    )


def get_cdp_link(session_id: str) -> Call[str]:
    """POST /internet/getCdpLink: the address of the browser's DevTools."""
    return post(
        f"get the DevTools address of session {session_id}",
        "/internet/getCdpLink",
        {"sessionId": session_id},
        read=lambda reply: reply.content()["data"]["url"],
        shape=DEVTOOLS,
        repeatable=True,
        session_id=session_id,
        error=BrowserError,
    )
