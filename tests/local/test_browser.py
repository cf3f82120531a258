"""Chromium in the sessions of a server: its life as callers of the API see it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import agb.local
from agb.local.browser import chromium
from tests.waiting import pause

from .browser import needs_chromium
from .browsers import cdp_link, initialize, new_session, no_cdp_link, status_of, tab
from .conftest import Api
from .runtimes import wait_for_end

pytestmark = needs_chromium


@pytest.fixture
def browsing(api: Api) -> Iterator[str]:
    """The id of a new session of a browser image."""
    session_id = new_session(api)
    yield session_id
    api.ask("POST", "/mcp/releaseSession", json={"sessionId": session_id})


def processes(api: Api) -> list[psutil.Process]:
    """Return the processes of all browsers of a server, but not those that guard them."""
    found = []
    for process in psutil.Process(api.server.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.name() == "chromium":
                found.append(process)
    return found


def first_processes(api: Api) -> set[psutil.Process]:
    """Return the first process of each browser: their children may have the same command line for a moment."""
    everything = set(processes(api))
    found = set()
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            if process.parent() not in everything:
                found.add(process)
    return found


@pytest.mark.long
def test_life_of_a_browser(api: Api, browsing: str) -> None:
    assert "initialize it first" in no_cdp_link(api, browsing)

    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: initialize(api, browsing, userAgent="Example/1"), range(4)))
    assert len({answer["data"]["port"] for answer in started}) == 1
    assert initialize(api, browsing)["data"]["port"] == started[0]["data"]["port"]  # the one that runs
    link = cdp_link(api, browsing)
    assert link.startswith(f"ws{api.server.endpoint.removeprefix('http')}/sessions/{browsing}/cdp/")
    with tab(link) as page:
        page.open("data:text/html,<title>Hello</title>")
        assert page.run("[document.title, navigator.userAgent]") == ["Hello", "Example/1"]

    assert api.tool(browsing, "stopChrome")["content"][0]["text"] == "true"
    assert "chromium" not in api.shell(browsing, "cat /proc/*/cmdline 2>/dev/null; true")
    assert "initialize it first" in no_cdp_link(api, browsing)
    assert api.tool(browsing, "stopChrome")["content"][0]["text"] == "true"


def test_crashed_browser(api: Api, browsing: str) -> None:
    others = first_processes(api)  # of sessions that tests before have used, and which end now
    initialize(api, browsing)
    link = cdp_link(api, browsing)
    [browser] = first_processes(api) - others
    os.kill(browser.pid, signal.SIGSEGV)
    assert wait_for_end(browser.pid)
    while api.ask("POST", "/internet/getCdpLink", {"sessionId": browsing}, json={})["success"]:
        pause()  # until the session's agent has reported it
    said = no_cdp_link(api, browsing)
    assert said.startswith("The browser ended by SIGSEGV")
    assert said.endswith("initialize it again")
    assert "isolated origin" not in said  # printed at each start
    assert status_of(link) == 404

    assert initialize(api, browsing)["success"]
    with tab(cdp_link(api, browsing)) as page:
        assert page.run("1 + 1") == 2


def test_chromium_that_is_no_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snap = tmp_path / "chromium"
    snap.write_text("#!/bin/sh\necho 'error: cannot communicate with server'\n")
    snap.chmod(0o755)
    monkeypatch.setattr(chromium, "_BINARIES", ())
    monkeypatch.setenv("PATH", f"{tmp_path}")
    assert chromium.find_chromium() is None


def test_killed_runtime_leaves_no_browser(tmp_path: Path) -> None:
    with agb.local.serve(allow_none=True, warm=0, data_dir=tmp_path) as server:
        api = Api(server)
        with api.http:
            initialize(api, new_session(api))
        browser = [found.pid for found in processes(api)]
        assert len(browser) > 3
        os.kill(server.pid, signal.SIGKILL)
        assert all(wait_for_end(pid) for pid in browser)
