"""Windows and applications of a desktop: listing, changing, starting and stopping them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from .desktops import Desk, desk, needs_desktop

pytestmark = needs_desktop
__all__ = ["desk"]


@pytest.fixture
def window(desk: Desk) -> Iterator[dict[str, Any]]:
    """The window of a terminal."""
    try:
        desk.terminal()
        (found,) = desk.call("list_root_windows")
        yield found
    finally:
        desk.close_terminals()


def _state(desk: Desk, window_id: int) -> set[str]:
    line = desk.shell(f"xprop -id {window_id} _NET_WM_STATE").partition("=")[2]
    return {word.strip().removeprefix("_NET_WM_STATE_") for word in line.split(",") if word.strip()}


def _of(desk: Desk, window_id: int) -> dict[str, Any]:
    (found,) = [window for window in desk.call("list_root_windows") if window["window_id"] == window_id]
    return dict(found)


# --- windows ---


def test_window_is_described(desk: Desk, window: dict[str, Any]) -> None:
    assert window == {
        "window_id": window["window_id"],
        "title": "typed",
        "absolute_upper_left_x": window["absolute_upper_left_x"],
        "absolute_upper_left_y": window["absolute_upper_left_y"],
        "width": window["width"],
        "height": window["height"],
        "pid": int(desk.shell("pgrep -x xterm")),
        "pname": "xterm",
        "child_windows": [],
    }
    assert desk.call("get_active_window") == window
    picture = desk.picture()
    corner = window["absolute_upper_left_x"], window["absolute_upper_left_y"]
    assert picture.getpixel((corner[0] + window["width"] // 2, corner[1] + window["height"] - 3)) == (255, 255, 255)


def test_no_window_is_active_on_an_empty_desktop(desk: Desk) -> None:
    assert desk.call("list_root_windows") == []
    assert desk.call("get_active_window") is None
    assert desk.call("focus_mode", on=True) is True


def test_window_goes_through_its_states(desk: Desk, window: dict[str, Any]) -> None:
    number = window["window_id"]
    assert desk.call("minimize_window", window_id=number) is True
    assert "HIDDEN" in _state(desk, number)
    assert desk.call("list_visible_apps") == []
    assert desk.call("maximize_window", window_id=number) is True
    assert _state(desk, number) >= {"MAXIMIZED_VERT", "MAXIMIZED_HORZ"}
    assert [app["pname"] for app in desk.call("list_visible_apps")] == ["xterm"]
    assert _of(desk, number)["width"] > 1800
    assert desk.call("restore_window", window_id=number) is True
    assert not _state(desk, number) & {"MAXIMIZED_VERT", "MAXIMIZED_HORZ", "HIDDEN"}
    desk.shell(f"xdotool windowsize --sync {number} 400 300")
    assert desk.call("resize_window", window_id=number, width=300, height=500) is True
    resized = _of(desk, number)
    assert abs(resized["width"] - 300) < 20  # whole characters
    assert abs(resized["height"] - 500) < 20
    assert desk.call("fullscreen_window", window_id=number) is True
    full = _of(desk, number)
    assert (full["absolute_upper_left_x"], full["absolute_upper_left_y"]) == (0, 0)
    assert (full["width"], full["height"]) == (1920, 1080)
    assert desk.call("restore_window", window_id=number) is True
    assert desk.call("close_window", window_id=number) is True
    assert desk.call("list_root_windows") == []


def test_restored_window_is_as_it_was_minimised(desk: Desk, window: dict[str, Any]) -> None:
    number = window["window_id"]
    desk.call("maximize_window", window_id=number)
    desk.call("minimize_window", window_id=number)
    desk.call("restore_window", window_id=number)
    assert _state(desk, number) >= {"MAXIMIZED_VERT", "MAXIMIZED_HORZ"}


def test_activated_window_gets_the_keys(desk: Desk, window: dict[str, Any]) -> None:
    desk.terminal("second")
    assert desk.call("get_active_window")["title"] == "second"
    assert desk.call("activate_window", window_id=window["window_id"]) is True
    assert desk.call("get_active_window")["window_id"] == window["window_id"]
    desk.call("input_text", text="to the first\n")
    assert desk.typed("to the first\n") == "to the first\n"


def test_focus_mode_keeps_the_window_in_front(desk: Desk, window: dict[str, Any]) -> None:
    number = window["window_id"]
    assert desk.call("focus_mode", on=True) is True
    desk.wait_for(f"xprop -id {number} _NET_WM_STATE | grep -q ABOVE")
    assert desk.call("focus_mode", on=False) is True
    desk.wait_for(f"! xprop -id {number} _NET_WM_STATE | grep -q ABOVE")


@pytest.mark.parametrize("action", ["activate", "close", "fullscreen", "maximize", "minimize", "restore"])
def test_window_that_is_gone_is_an_error(desk: Desk, action: str) -> None:
    assert "there is no window 12345678 (any more)" in desk.error(f"{action}_window", window_id=12_345_678)


def test_resizing_is_refused_for_a_window_that_is_gone_and_for_no_size(desk: Desk, window: dict[str, Any]) -> None:
    assert "there is no window 1 (any more)" in desk.error("resize_window", window_id=1, width=9, height=9)
    assert "width" in desk.error("resize_window", window_id=window["window_id"], width=0, height=9)


def test_window_that_does_not_close_is_an_error(desk: Desk) -> None:
    program = """
from Xlib import X, display
screen = display.Display()
window = screen.screen().root.create_window(100, 100, 400, 300, 0, X.CopyFromParent)
window.set_wm_name("stubborn")
window.set_wm_protocols([screen.intern_atom("WM_DELETE_WINDOW")])
window.map()
while True:
    screen.next_event()
"""
    desk.shell(f"nohup python3 -c {shlex.quote(program)} > log 2>&1 &")
    desk.wait_for("wmctrl -l | grep -q stubborn")
    (window,) = desk.call("list_root_windows")
    assert window["pid"] is None
    assert "is still open" in desk.error("close_window", window_id=window["window_id"])
    desk.shell("xdotool search --name stubborn windowkill")
    desk.wait_for("! xdotool search --name stubborn")


def test_window_manager_that_was_ended_starts_again(desk: Desk, window: dict[str, Any]) -> None:
    manager = desk.shell("pgrep -x openbox").strip()
    desk.shell(f"kill {manager}; until grep -q 'State:.Z' /proc/{manager}/status; do sleep 0.02; done")
    desk.call("maximize_window", window_id=window["window_id"])
    assert _of(desk, window["window_id"])["width"] > 1800


# --- applications ---


def test_application_is_started_and_stopped_by_name(desk: Desk) -> None:
    (started,) = desk.call("start_app", start_cmd="xterm -T 'An application' %U -e sleep 1000", work_directory="/tmp")[
        :1
    ]
    assert started["pname"] == "xterm"
    assert started["cmdline"] == "xterm -T An application -e sleep 1000"
    assert desk.shell(f"readlink /proc/{started['pid']}/cwd") == "/tmp\n"
    desk.wait_for("wmctrl -l | grep -q 'An application'")
    assert desk.call("list_visible_apps") == [started]
    assert desk.call("stop_app_by_pname", pname="xterm") is True
    assert desk.shell("pgrep -x xterm; true") == ""
    assert "there is no process 'xterm'" in desk.error("stop_app_by_pname", pname="xterm")


def test_application_is_stopped_by_number_and_by_command(desk: Desk) -> None:
    first, second = (desk.call("start_app", start_cmd=f"sleep {1000 + n}")[0]["pid"] for n in range(2))
    assert desk.call("stop_app_by_pid", pid=first) is True
    assert f"there is no process {first}" in desk.error("stop_app_by_pid", pid=first)
    assert desk.call("stop_app_by_cmd", stop_cmd=f"kill {second}") is True
    desk.wait_for(f"! test -e /proc/{second}")
    assert "the command failed" in desk.error("stop_app_by_cmd", stop_cmd=f"kill {second}")
    assert desk.shell("pgrep -x sleep; true") == ""


def test_application_that_ignores_the_request_to_end_is_killed(desk: Desk) -> None:
    (started, *_) = desk.call(
        "start_app", start_cmd="sh -c 'trap \"\" TERM; echo > trapped; while :; do sleep 9; done'"
    )
    desk.wait_for("test -e trapped")
    assert desk.call("stop_app_by_pid", pid=started["pid"]) is True
    assert desk.shell(f"test -e /proc/{started['pid']} && echo there; pkill sleep; true") == ""


def test_launcher_that_has_ended_is_returned_with_what_it_started(desk: Desk) -> None:
    (started,) = desk.call("start_app", start_cmd="sh -c 'sleep 1000 &'")
    desk.wait_for(f"grep -q sleep /proc/{started['pid']}/comm")
    desk.call("stop_app_by_pname", pname="sleep")
    (touched,) = desk.call("start_app", start_cmd="touch /tmp/touched")
    assert (touched["pname"], touched["cmdline"]) == ("touch", "touch /tmp/touched")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"start_cmd": "no-such-program %U"}, "there is no program 'no-such-program'"),
        ({"start_cmd": "xterm", "work_directory": "/nowhere"}, "cannot run in '/nowhere'"),
        ({"start_cmd": "ls /nowhere"}, "ls ended at once, with exit code 2: ls: cannot access '/nowhere'"),
        ({"start_cmd": "'open quote"}, "is no command line"),
        ({"start_cmd": " "}, "names no program"),
        ({"start_cmd": "%U"}, "names no program"),
    ],
)
def test_application_that_does_not_start_is_an_error(desk: Desk, args: dict[str, str], words: str) -> None:
    assert words in desk.error("start_app", **args)


def test_parts_of_the_session_itself_are_no_applications(desk: Desk) -> None:
    for name in ("Xvnc", "openbox"):
        assert f"there is no process {name!r}" in desk.error("stop_app_by_pname", pname=name)
    assert "there is no process 1 " in desk.error("stop_app_by_pid", pid=1)
    code = json.loads(
        desk.api.tool(desk.id, "run_code", language="python", code="import os; print(os.getpid())")["content"][0][
            "text"
        ]
    )
    assert "or it is one of the session itself" in desk.error("stop_app_by_pid", pid=int(code["stdout"][0]))


def _entry(desk: Desk, place: str, **fields: str) -> None:
    lines = "\n".join(["[Desktop Entry]", "Type=Application", *(f"{key}={value}" for key, value in fields.items())])
    desk.shell(f"mkdir -p $(dirname {place}); cat > {place} <<'END'\n{lines}\nEND")


def test_installed_applications_are_those_with_a_desktop_entry(desk: Desk) -> None:
    menu = ".local/share/applications"
    _entry(desk, f"{menu}/one.desktop", Name="Aa one", Exec="one %U", Icon="one", Path="/tmp", Categories="Utility;")
    _entry(desk, f"{menu}/two.desktop", Name="Aa two", Exec="two", Terminal="true")
    _entry(desk, f"{menu}/set.desktop", Name="Aa set", Exec="set", Categories="Settings;")
    _entry(desk, f"{menu}/not.desktop", Name="Aa not", Exec="not", NoDisplay="true")
    _entry(desk, f"{menu}/try.desktop", Name="Aa try", Exec="try", TryExec="no-such-program")
    _entry(desk, "Desktop/icon.desktop", Name="Aa icon", Exec="icon")
    desk.shell(f"echo 'no entry' > {menu}/bad.desktop")

    def names(**args: Any) -> list[str]:
        return [app["name"] for app in desk.call("get_installed_apps", **args)]

    found = desk.call("get_installed_apps")
    assert found[:2] == [
        {"name": "Aa one", "start_cmd": "one %U", "stop_cmd": None, "work_directory": "/tmp", "icon": "one"},
        {"name": "Aa two", "start_cmd": "xterm -e two", "stop_cmd": None, "work_directory": None, "icon": None},
    ]
    assert "XTerm" in names()
    assert names(ignore_system_apps=False)[:3] == ["Aa one", "Aa set", "Aa two"]
    assert names(ignore_system_app=False)[:3] == ["Aa one", "Aa set", "Aa two"]
    assert names(start_menu=False, desktop=True) == ["Aa icon"]
    assert names(start_menu=False) == []
    desk.shell(f"rm -r Desktop {menu}")
