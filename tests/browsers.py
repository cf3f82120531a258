"""What tests of a session's browser share: when they can run, pages to look at, and what must not be left behind."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib.util import find_spec
from threading import Event
from uuid import uuid4

import psutil
import pytest

from agb import AGB, Config, CreateSessionParams, Session, SessionRef
from agb.local import LocalServer
from tests.local.browser import PROGRAM
from tests.servers import Conversation, refuse, silent, value

needs_browser = pytest.mark.skipif(
    PROGRAM is None or find_spec("playwright") is None, reason="needs Chromium and Playwright"
)
INIT, LINK, TOOL = "/browser/init", "/internet/getCdpLink", "/mcp"
BROWSING = CreateSessionParams(image_id="agb-browser-use-1")

TALL_PAGE = """
<title>Tall</title>
<style>body { margin: 0 } div { height: 1500px } .last { background: rgb(255, 0, 0) }</style>
<div></div><div></div>
<img data-src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="">
<script>
  addEventListener("scroll", () => {
    const added = document.createElement("div");
    added.className = "last";
    document.body.append(added);
  }, { once: true });
</script>
"""
"""A page that grows once, when it is scrolled."""


@pytest.fixture(scope="session")
def browsing_session(runtime: LocalServer) -> Iterator[Session]:
    """A session with a browser, for all tests of a process."""
    with AGB(runtime.api_key, Config(runtime.endpoint, 120_000)) as agb, agb.session(BROWSING) as session:
        yield session


@pytest.fixture
def running(browsing_session: Session) -> SessionRef:
    """That session, whose browser runs: tests that share it end no browser, and close the pages that they open."""
    browsing_session.browser.start()  # unless it runs
    return browsing_session.ref


def size_of(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG."""
    assert png.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def drivers() -> list[int]:
    """Return the ids of this process's children that are drivers of Playwright."""
    found = []
    for child in psutil.Process().children():
        try:
            if "playwright" in " ".join(child.cmdline()):
                found.append(child.pid)
        except psutil.NoSuchProcess:  # it has ended just now
            continue
    return found


def new_name() -> str:
    """Return the name of a context that no other test has."""
    return f"browser-test-{uuid4().hex[:8]}"


class UnansweredBrowser:
    """A service whose browser never answers; it stops at one of the requests before that, if wanted."""

    def __init__(self, stop_at: str) -> None:
        self.stop_at = stop_at
        self.reached = Event()
        self.is_started = False
        self.stops = 0
        self.port = 0

    def __call__(self, talk: Conversation) -> None:
        path = talk.request.path
        if path == INIT:
            self.is_started = True
        if self.stop_at == path and (path != LINK or self.is_started):
            self.reached.set()
            return silent(talk)
        if path == INIT:
            return value({"port": 9222})(talk)
        if path == LINK:
            url = {"url": f"ws://127.0.0.1:{self.port}/cdp/token"}
            return (value(url) if self.is_started else refuse("BrowserUnavailable"))(talk)
        if path == TOOL:
            self.stops += 1
            return value({"isError": False, "content": [{"type": "text", "text": "true"}]})(talk)
        self.reached.set()
        return silent(talk)
