"""Sessions with a browser: how tests of the runtime start one and reach it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .browser import SECONDS, Browser
from .conftest import Api

BROWSER_IMAGE = "agb-browser-use-1"


def initialize(api: Api, session_id: str, **option: Any) -> dict[str, Any]:
    """Return the envelope of an initialisation."""
    query = {
        "sessionId": session_id,
        "persistentPath": "/tmp/agb_browser_data",
        "browserOption": json.dumps({"useStealth": False, "solveCaptchas": False, **option}),
    }
    return api.ask("POST", "/browser/init", query, json={})


def cdp_link(api: Api, session_id: str) -> str:
    return str(api.post("/internet/getCdpLink", {"sessionId": session_id})["url"])


def no_cdp_link(api: Api, session_id: str) -> str:
    """Return the message with which the link to a session's browser is refused."""
    refused = api.ask("POST", "/internet/getCdpLink", {"sessionId": session_id}, json={})
    assert (refused["success"], refused["code"]) == (False, "BrowserUnavailable")
    return str(refused["message"])


def new_session(api: Api, **body: Any) -> str:
    """Return the id of a new session of a browser image."""
    return str(api.post("/mcp/createSession", {"imageId": BROWSER_IMAGE}, **body)["sessionId"])


@contextmanager
def websocket(url: str, **options: Any) -> Iterator[ClientConnection]:
    """A connection to a URL; names below ``localhost`` need no resolver."""
    with (
        socket.create_connection(("127.0.0.1", httpx.URL(url).port or 80), SECONDS) as connected,
        connect(url, sock=connected, max_size=None, open_timeout=SECONDS, compression=None, **options) as connection,
    ):
        yield connection


def status_of(url: str, **options: Any) -> int:
    """Return the status with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as refused, websocket(url, **options):
        pass
    return refused.value.response.status_code


@contextmanager
def tab(link: str) -> Iterator[Browser]:
    """A new tab of the browser behind a link."""
    with websocket(link) as connection:
        yield Browser(connection)
