"""Browsers of the local runtime beside those that Playwright starts itself, of the same Chromium."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import httpx
import psutil
from playwright.sync_api import Browser, Playwright, sync_playwright

from agb.local.browser.chromium import find_chromium

from .table import Row, compared

_IMAGE = "agb-browser-use-1"
_AT_ONCE = 10


class _Runtime:
    """The API of the runtime, as it is on the wire."""

    def __init__(self, url: str, api_key: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {api_key}"}, timeout=300)

    def post(self, path: str, body: dict[str, Any] | None = None, **query: str) -> Any:
        answer = self._http.post(path, params=query, json=body or {}).json()
        if not answer["success"]:
            raise SystemExit(answer["message"])
        return answer["data"]

    def session(self) -> str:
        return str(self.post("/mcp/createSession", imageId=_IMAGE)["sessionId"])

    def release(self, session_id: str) -> None:
        self.post("/mcp/releaseSession", {"sessionId": session_id})

    def initialize(self, session_id: str) -> float:
        """Start the browser of a session and return the seconds that it took."""
        started = perf_counter()
        self.post("/browser/init", sessionId=session_id, persistentPath="/tmp/agb_browser_data", browserOption="{}")
        return perf_counter() - started

    def link(self, session_id: str) -> str:
        return str(self.post("/internet/getCdpLink", sessionId=session_id)["url"])

    def megabytes(self, session_id: str) -> float:
        """Return the memory of a session with its browser."""
        called = self.post("/mcp", {"sessionId": session_id, "name": "get_metrics", "args": "{}"})
        return float(httpx.Response(200, text=called["content"][0]["text"]).json()["mem_used"]) / 1e6


def compare(url: str, api_key: str, rounds: int) -> Iterator[Row]:
    """Yield the start of a browser and its first screenshot, then ten browsers at once."""
    runtime = _Runtime(url, api_key)
    chromium = find_chromium()
    if chromium is None:
        return
    figures: dict[str, list[float]] = {name: [] for name in ("start", "launch", "shot", "their shot")}
    with sync_playwright() as playwright:
        for _ in range(rounds):
            started, shot = _ours(runtime, playwright)
            launched, their_shot = _theirs(playwright, chromium.program)
            for name, seconds in zip(figures, (started, launched, shot, their_shot), strict=True):
                figures[name].append(seconds * 1e3)
    yield compared("browser started", "ms", figures["start"], "Playwright's launch", figures["launch"], 1.2)
    yield compared("first screenshot over CDP", "ms", figures["shot"], "launched, over CDP", figures["their shot"], 1.2)
    yield from _at_once(runtime)


def _ours(runtime: _Runtime, playwright: Playwright) -> tuple[float, float]:
    session_id = runtime.session()
    started = runtime.initialize(session_id)
    shot = _first_screenshot(playwright.chromium.connect_over_cdp(runtime.link(session_id)))
    runtime.release(session_id)
    return started, shot


def _theirs(playwright: Playwright, program: str) -> tuple[float, float]:
    with TemporaryDirectory() as profile, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.close()
        started = perf_counter()
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=program,
            args=[f"--remote-debugging-port={port}"],
            chromium_sandbox=os.getuid() != 0,
        )
        seconds = perf_counter() - started
        shot = _first_screenshot(playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}"))
        context.close()
    return seconds, shot


def _first_screenshot(browser: Browser) -> float:
    page = browser.contexts[0].pages[0]
    started = perf_counter()
    page.screenshot()
    seconds = perf_counter() - started
    browser.close()
    return seconds


def _at_once(runtime: _Runtime) -> Iterator[Row]:
    sessions = [runtime.session() for _ in range(_AT_ONCE)]
    started = perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(runtime.initialize, sessions))
    yield Row(f"{_AT_ONCE} browsers started at once", "ms", (perf_counter() - started) * 1e3)
    yield Row("session with an empty browser", "MB", median(map(runtime.megabytes, sessions)))
    for session_id in sessions:
        runtime.release(session_id)
    yield Row("browser processes left after the release", "processes", _browsers(), goal=0)


def _browsers() -> int:
    """Return how many processes of browsers this process has among its descendants."""
    found = psutil.Process().children(recursive=True)
    return sum(Path(process.name()).name.startswith("chrom") for process in found)
