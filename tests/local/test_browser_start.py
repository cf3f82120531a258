"""Chromium in sessions: how it starts and ends, its profile and its files."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from agb.local.api.app import build_app
from agb.local.api.hosts import Hosts
from agb.local.browser import process
from agb.local.browser.chromium import Chromium
from agb.local.browser.options import BrowserOptions
from agb.local.browser.process import Browser, BrowserUnavailable
from agb.local.contexts.mounts import mounts
from agb.local.sessions.runtime import Runtime

from .browser import needs_chromium
from .browsers import BROWSER_IMAGE
from .mounted import Context
from .runtimes import Clock, application, call, output

pytestmark = [pytest.mark.asyncio, needs_chromium]
PROFILE = "/tmp/agb_browser_data"


async def evaluate(browser: Browser, expression: str) -> Any:
    """Return the value of an expression, or of a promise, in the current page."""
    [page, *_] = await browser.pages()
    cdp = await browser.open_cdp(f"/devtools/page/{page['id']}")
    try:
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = await cdp.call("Runtime.evaluate", asked)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")
    finally:
        await cdp.close()


async def test_stop_while_it_starts(local_runtime: Runtime) -> None:
    session = await local_runtime.create(BROWSER_IMAGE)
    starts = [asyncio.create_task(session.browser.start(BrowserOptions())) for _ in range(2)]
    while not await output(local_runtime, session, "cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '; true"):
        pass
    await session.browser.stop()
    for start in starts:
        with pytest.raises(BrowserUnavailable, match="stopped while it started"):
            await start
    assert [found.name for found in await session.processes() if "chrom" in found.name] == []

    leaving = asyncio.create_task(session.browser.start(BrowserOptions()))
    staying = asyncio.create_task(session.browser.start(BrowserOptions()))
    await asyncio.sleep(0)
    leaving.cancel()  # the start goes on for the other caller
    browser = await staying
    assert session.browser.running() is browser
    local_runtime.release(session.id)
    await local_runtime.released(session.id)
    with pytest.raises(BrowserUnavailable, match="the session has ended"):
        await session.browser.start(BrowserOptions())


async def test_start_page_that_never_loads(local_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START_PAGE_SECONDS", 0.2)
    session = await local_runtime.create(BROWSER_IMAGE)
    silent = "import socket, time; s = socket.create_server(('127.0.0.1', 30100)); time.sleep(1000)"
    await output(local_runtime, session, f'nohup python3 -c "{silent}" > /dev/null 2>&1 &')
    browser = await session.browser.start(BrowserOptions(start_url="http://127.0.0.1:30100/"))
    assert await evaluate(browser, "1 + 1") == 2
    assert browser.warnings == ["the start page was not loaded: no answer within 0.2 s"]


async def test_chromium_without_a_sandbox_of_its_own(local_runtime: Runtime) -> None:
    session = await local_runtime.create(BROWSER_IMAGE)
    browsers = session.browser._browsers
    real = browsers.chromium
    assert real is not None
    script = f"""#!/bin/sh
case "$*" in
    *--no-sandbox*) exec {real.program} "$@";;
    *) echo "[1:1:FATAL:zygote_host_impl_linux.cc] No usable sandbox! If you want" >&2; exit 1;;
esac
"""
    await call(local_runtime, session, "write_file", path="chromium", content=script)
    program = await output(local_runtime, session, "chmod +x chromium && echo $PWD/chromium")
    browsers.chromium = Chromium(program, real.version)
    if not session.sandbox.is_isolated and os.getuid() != 0:
        with pytest.raises(BrowserUnavailable, match="allow user namespaces"):
            await session.browser.start(BrowserOptions())
    else:
        await session.browser.start(BrowserOptions())
        assert not browsers.makes_sandbox or os.getuid() == 0


async def test_start_that_fails(local_runtime: Runtime) -> None:
    session = await local_runtime.create(BROWSER_IMAGE)
    session.browser._browsers.chromium = Chromium("/bin/false", "")
    with pytest.raises(BrowserUnavailable, match="the browser did not start: it ended with exit code 1"):
        await session.browser.start(BrowserOptions())
    session.browser._browsers.chromium = Chromium("/nowhere/chromium", "")
    with pytest.raises(BrowserUnavailable, match="/nowhere/chromium: not found"):
        await session.browser.start(BrowserOptions())
    with pytest.raises(BrowserUnavailable, match="/etc/x is not a directory of the session"):
        await session.browser.start(BrowserOptions(), profile="/etc/x")


async def test_machine_without_chromium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agb.local.sessions.runtime.find_chromium", lambda: None)
    async with application() as (runtime, caller):
        assert "apt install chromium" in runtime.report.missing["browser"]
        session = await runtime.create(BROWSER_IMAGE)
        answer = (await caller.post("/browser/init", params={"sessionId": session.id})).json()
    assert (answer["success"], answer["code"], answer["httpStatusCode"]) == (False, "NotOffered", 501)
    assert "apt install chromium" in answer["message"]


@pytest.mark.long
async def test_cookies_are_carried_to_the_next_session(local_runtime: Runtime, context: Context) -> None:
    lists = [{"path": path} for path in ("/Local State", "/Default/Cookies", "/Default/Cookies-journal")]
    policy = json.dumps({"bwList": {"whiteLists": lists}})
    given = mounts([{"contextId": context.id, "path": PROFILE, "policy": policy}])
    page = "require('http').createServer((_, a) => a.end('<p>Hello')).listen(30100)"
    server = (
        f'nohup node -e "{page}" > /dev/null 2>&1 & until (exec 3<>/dev/tcp/127.0.0.1/30100) 2>/dev/null; do :; done'
    )
    seen = []
    for way in ("release", "stop"):
        session = await local_runtime.create(BROWSER_IMAGE, mounts=given)
        await session.mounts.loaded()
        await output(local_runtime, session, server)
        browser = await session.browser.start(BrowserOptions(start_url="http://127.0.0.1:30100/"))
        seen.append(await evaluate(browser, "document.cookie"))
        await evaluate(browser, f"document.cookie = 'of-{way}=1; max-age=100000'")
        if way == "stop":
            await call(local_runtime, session, "stopChrome")
            await context.uploaded(session)
        else:
            await context.release(session)
    assert seen == ["", "of-release=1"]
    assert b"of-stop" in context.content(f"{PROFILE}/Default/Cookies")
    synced = {f"{PROFILE}/{path}" for path in ("Local State", "Default/Cookies", "Default/Cookies-journal")}
    assert set(context.paths()) <= synced


async def test_downloads_are_files_of_the_session(local_runtime: Runtime) -> None:
    session = await local_runtime.create(BROWSER_IMAGE)
    browser = await session.browser.start(BrowserOptions())
    link = "Object.assign(document.createElement('a'), {href: 'data:application/zip,hello', download: 'report.zip'})"
    done = asyncio.Event()
    browser.cdp.on_event(lambda name, given, _: done.set() if given.get("state") == "completed" else None)
    await evaluate(browser, f"{link}.click()")
    await asyncio.wait_for(done.wait(), 60)
    assert await output(local_runtime, session, "cat ~/Downloads/report.zip") == "hello"


@pytest.mark.long
async def test_two_sessions_have_two_browsers(local_runtime: Runtime) -> None:
    sessions = [await local_runtime.create(BROWSER_IMAGE) for _ in range(2)]
    before = sessions[0].meter.measure()["mem_used"]
    browsers = await asyncio.gather(*(session.browser.start(BrowserOptions()) for session in sessions))
    for number, browser in enumerate(browsers):
        await evaluate(browser, f"void (document.title = 'page {number}')")
    assert [[page["title"] for page in await browser.pages()] for browser in browsers] == [["page 0"], ["page 1"]]
    assert browsers[0].token != browsers[1].token
    after = sessions[0].meter.measure()["mem_used"]
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after - before > 100 * 2**20
    if sessions[0].sandbox.is_isolated:
        with pytest.raises(OSError):
            await sessions[1].connect(browsers[0].port)


async def test_screenshots(local_runtime: Runtime) -> None:
    session = await local_runtime.create(BROWSER_IMAGE)
    reply = await call(local_runtime, session, "screenshot", format="png")
    assert reply.is_error
    assert reply.text.startswith("screenshot: no browser runs")
    await session.browser.start(BrowserOptions(viewport=(700, 500)))
    for kind, magic in (("png", b"\x89PNG"), ("jpeg", b"\xff\xd8\xff")):
        reply = await call(local_runtime, session, "screenshot", format=kind)
        taken = json.loads(reply.text)
        assert (taken["type"], taken["mime_type"]) == ("screenshot", f"image/{kind}")
        image = base64.b64decode(taken["data"], validate=True)
        assert image.startswith(magic)
        assert (taken["width"], taken["height"]) == (700, 500)
    assert (await call(local_runtime, session, "screenshot", format="gif")).is_error


@asynccontextmanager
async def connected(
    runtime: Runtime, path: str, query: str = ""
) -> AsyncIterator[tuple[Callable[[Any], None], asyncio.Queue[MutableMapping[str, Any]]]]:
    """A WebSocket to the application of a runtime: how to send an object as JSON, and what is sent back."""
    told: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    sent: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    sent.put_nowait({"type": "websocket.connect"})
    scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "root_path": "", "scheme": "ws"}
    scope |= {"query_string": query.encode(), "server": ("agb.test", 80), "subprotocols": []}
    scope |= {"headers": [(b"host", b"agb.test")] + ([(b"origin", b"http://agb.test")] if query else [])}
    serving = asyncio.create_task(build_app(runtime, "key", Hosts("agb.test"))(scope, sent.get, told.put))
    assert (await told.get())["type"] == "websocket.accept"
    yield lambda given: sent.put_nowait({"type": "websocket.receive", "text": json.dumps(given)}), told
    sent.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await serving


async def test_what_of_a_browser_is_activity() -> None:
    clock = Clock()
    async with application(clock) as (runtime, caller):
        session = await runtime.create(BROWSER_IMAGE, idle_timeout=100)
        await session.browser.start(BrowserOptions())
        asked = await caller.post("/internet/getCdpLink", params={"sessionId": session.id})
        async with connected(runtime, httpx.URL(asked.json()["data"]["url"]).path) as (send, told):
            clock.now += 90
            assert session.idle_for == 90  # a connection alone keeps no session alive
            send({"id": 1, "method": "Browser.getVersion"})
            assert json.loads((await told.get())["text"])["id"] == 1
            assert session.idle_for == 0

        place = {"x": 0.5, "y": 0.5}
        for given, idle in (({"kind": "mouseMoved"}, 90), ({"kind": "mousePressed", "button": "left"}, 0)):
            ticket = session.new_ticket()
            async with connected(runtime, f"/sessions/{session.id}/live", f"authcode={ticket}") as (send, told):
                clock.now += 90
                while "bytes" not in await told.get():
                    pass
                send({"type": "seen"})
                send({"type": "mouse", **place, **given})
            assert session.idle_for == idle
            session.touch()
