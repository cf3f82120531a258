"""Chromium in sessions: its life, and the links at which it is driven."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from .browser import SECONDS, Browser, needs_chromium
from .conftest import Api

pytestmark = needs_chromium
IMAGE = "agb-browser-use-1"


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


def create(api: Api) -> str:
    return str(api.post("/mcp/createSession", {"imageId": IMAGE})["sessionId"])


@pytest.fixture
def browsing(api: Api) -> Iterator[str]:
    """The id of a new session of a browser image."""
    session_id = create(api)
    yield session_id
    api.ask("POST", "/mcp/releaseSession", json={"sessionId": session_id})


def test_life_of_a_browser(api: Api, browsing: str) -> None:
    refused = api.ask("POST", "/internet/getCdpLink", {"sessionId": browsing}, json={})
    assert (refused["success"], refused["code"]) == (False, "BrowserUnavailable")
    assert "initialize it first" in refused["message"]

    port = initialize(api, browsing, userAgent="Example/1")["data"]["port"]
    assert initialize(api, browsing)["data"]["port"] == port  # the one that runs
    link = cdp_link(api, browsing)
    assert link.startswith(f"ws{api.server.endpoint.removeprefix('http')}/sessions/{browsing}/cdp/")
    with connect(link, max_size=None, open_timeout=SECONDS) as connection:
        tab = Browser(connection)
        tab.open("data:text/html,<title>Hello</title>")
        assert tab.run("[document.title, navigator.userAgent]") == ["Hello", "Example/1"]

    assert api.tool(browsing, "stopChrome")["content"][0]["text"] == "true"
    assert api.ask("POST", "/internet/getCdpLink", {"sessionId": browsing}, json={})["success"] is False
