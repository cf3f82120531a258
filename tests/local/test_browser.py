"""Chromium in sessions: its life."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .browser import needs_chromium
from .browsers import cdp_link, initialize, new_session, no_cdp_link, tab
from .conftest import Api

pytestmark = needs_chromium


@pytest.fixture
def browsing(api: Api) -> Iterator[str]:
    """The id of a new session of a browser image."""
    session_id = new_session(api)
    yield session_id
    api.ask("POST", "/mcp/releaseSession", json={"sessionId": session_id})


def test_life_of_a_browser(api: Api, browsing: str) -> None:
    assert "initialize it first" in no_cdp_link(api, browsing)

    port = initialize(api, browsing, userAgent="Example/1")["data"]["port"]
    assert initialize(api, browsing)["data"]["port"] == port  # the one that runs
    link = cdp_link(api, browsing)
    assert link.startswith(f"ws{api.server.endpoint.removeprefix('http')}/sessions/{browsing}/cdp/")
    with tab(link) as page:
        page.open("data:text/html,<title>Hello</title>")
        assert page.run("[document.title, navigator.userAgent]") == ["Hello", "Example/1"]

    assert api.tool(browsing, "stopChrome")["content"][0]["text"] == "true"
    assert "initialize it first" in no_cdp_link(api, browsing)
