"""Desktops as parts of sessions: apart from each other, without a sandbox, with a browser, and their end."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from agb.local.child import ServerProcess
from agb.local.desktop.desktop import ScreenSize
from agb.local.desktop.programs import DesktopPrograms
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .browser import Browser, needs_chromium
from .browsers import cdp_link, initialize, tab, websocket
from .conftest import Api
from .desktops import IMAGE, Desk, needs_desktop
from .runtimes import call, needs_bubblewrap, output, run

PARTS = {"Xvnc", "openbox"}


async def _value(runtime: Runtime, session: LocalSession, tool: str, **args: Any) -> Any:
    reply = await call(runtime, session, tool, **args)
    assert not reply.is_error, reply
    return json.loads(reply.text)


def _parts(pid: int) -> list[psutil.Process]:
    """Return the processes of desktops below a process."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if process.name() in PARTS:
                found.append(process)
        except psutil.Error:
            continue
    return found


@needs_desktop
@needs_bubblewrap
@pytest.mark.one_event_loop
@pytest.mark.asyncio
async def test_sessions_see_nothing_of_each_other_and_end_with_all_processes() -> None:
    async with Runtime(isolation="bubblewrap", network="isolated", screen=ScreenSize(640, 480)) as runtime:
        first, second = [await runtime.create(IMAGE) for _ in range(2)]
        assert await _value(runtime, first, "get_screen_size") == {"width": 640, "height": 480, "dpiScalingFactor": 1.0}
        await _value(runtime, first, "move_mouse", x=1, y=2)
        await _value(runtime, second, "move_mouse", x=3, y=4)
        await _value(runtime, first, "start_app", start_cmd="xterm -T apart")
        await output(runtime, first, "until wmctrl -l | grep -q apart; do sleep 0.02; done")
        assert len(await _value(runtime, first, "list_root_windows")) == 1
        assert await _value(runtime, second, "list_root_windows") == []
        assert await _value(runtime, first, "get_cursor_position") == {"x": 1, "y": 2}
        parts = _parts(os.getpid())
        assert len(parts) == 4
        for session in (first, second):
            runtime.release(session.id)
            await runtime.released(session.id)
        assert [part for part in parts if part.is_running()] == []


@needs_desktop
@pytest.mark.one_event_loop
@pytest.mark.asyncio
async def test_sessions_without_a_sandbox_have_displays_of_their_own() -> None:
    async with Runtime(isolation="none", screen=ScreenSize(640, 480)) as runtime:
        first, second = [await runtime.create(IMAGE) for _ in range(2)]
        displays = [
            await output(runtime, session, "xset q > /dev/null && echo $DISPLAY") for session in (first, second)
        ]
        assert displays[0] != displays[1]
        assert (await run(runtime, first, "import os; print(os.environ['DISPLAY'])"))["stdout"] == [f"{displays[0]}\n"]
        refused = await call(runtime, first, "shell", command=f"DISPLAY={displays[1]} xset q", timeout_ms=60_000)
        assert "uthorization" in refused.text
        await _value(runtime, first, "move_mouse", x=1, y=2)
        assert await _value(runtime, first, "get_cursor_position") == {"x": 1, "y": 2}
        reply = await call(runtime, first, "stop_app_by_pid", pid=os.getpid())
        assert "there is no process" in reply.text
        parts = _parts(os.getpid())
        runtime.release(first.id)
        await runtime.released(first.id)
        assert len([part for part in parts if part.is_running()]) == 2
    assert [part for part in parts if part.is_running()] == []
    assert [display for display in displays if Path(f"/tmp/.X11-unix/X{display.removeprefix(':')}").exists()] == []


@pytest.mark.one_event_loop
@pytest.mark.asyncio
async def test_what_is_missing_is_named_and_the_rest_of_the_session_works() -> None:
    async with Runtime(allow_none=True, network="isolated") as runtime:
        runtime.desktop_programs = DesktopPrograms(missing="Xvnc not found (apt install tigervnc-standalone-server)")
        session = await runtime.create(IMAGE)
        reply = await call(runtime, session, "click_mouse", x=1, y=1)
        assert reply.is_error
        assert reply.text == (
            "click_mouse: there is no desktop here: Xvnc not found (apt install tigervnc-standalone-server)"
        )
        assert await output(runtime, session, "echo ${DISPLAY-none}") == "none"


def test_missing_parts_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "Xvnc" else f"/usr/bin/{name}")
    monkeypatch.setattr("agb.local.desktop.programs._VIEWERS", ())
    found = DesktopPrograms.find()
    assert found.missing.startswith("Xvnc not found (Debian and Ubuntu: apt install tigervnc-standalone-server)")
    assert found.viewer is None


@needs_desktop
def test_desktop_ends_with_a_runtime_that_is_killed() -> None:
    process = ServerProcess({"allow_none": True, "network": "isolated", "warm": 0, "screen": "640x480"})
    server = process.start()
    try:
        api = Api(server)
        with api.http:
            session = api.post("/mcp/createSession", {"imageId": IMAGE})["sessionId"]
            Desk(api, session).call("move_mouse", x=1, y=1)
        parts = _parts(server.pid)
        assert {part.name() for part in parts} == PARTS
        os.kill(server.pid, signal.SIGKILL)
        assert psutil.wait_procs(parts, timeout=120)[1] == []
    finally:
        process.stop()


@needs_desktop
@needs_chromium
def test_browser_appears_on_the_screen(api: Api) -> None:
    session = api.post("/mcp/createSession", {"imageId": IMAGE})["sessionId"]
    desk = Desk(api, session)
    assert initialize(api, session)["success"]
    with websocket(cdp_link(api, session)) as connection:
        first = Browser(connection, is_first=True)
        assert first.run("outerHeight - innerHeight") < 110  # no bar about switches between the toolbar and the page
    with tab(cdp_link(api, session)) as page:
        page.open("data:text/html,<title>On the screen</title><body style='background:rgb(12,200,34)'>")
        desk.wait_for("wmctrl -l | grep -q 'On the screen'")
        (window,) = desk.call("list_root_windows")
        assert window["pname"].startswith("chrom")
        desk.call("activate_window", window_id=window["window_id"])
        middle = (
            window["absolute_upper_left_x"] + window["width"] // 2,
            window["absolute_upper_left_y"] + window["height"] // 2,
        )
        page.until("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        desk.call("click_mouse", x=middle[0], y=middle[1])
        assert desk.picture().getpixel(middle) == (12, 200, 34)
    api.release(session)
