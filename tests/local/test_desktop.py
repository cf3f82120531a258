"""The X display of a session: it runs, its mouse and keyboard do what is asked, and pictures show the screen."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.waiting import pause

from .conftest import IMAGE as CODE_IMAGE
from .conftest import Api
from .desktops import Desk, desk, needs_desktop

pytestmark = needs_desktop
__all__ = ["desk"]


def test_screen_has_the_default_size(desk: Desk) -> None:
    assert desk.call("get_screen_size") == {"width": 1920, "height": 1080, "dpiScalingFactor": 1.0}


def test_every_program_of_the_session_knows_the_display(desk: Desk) -> None:
    code = "import os, subprocess; print(os.environ['DISPLAY'], subprocess.call(['xset', 'q'], stdout=-3))"
    result = json.loads(desk.api.tool(desk.id, "run_code", language="python", code=code)["content"][0]["text"])
    display = desk.shell("echo $DISPLAY; xset q > /dev/null").strip()
    assert result["stdout"] == [f"{display} 0\n"]


def test_display_needs_the_cookie(desk: Desk) -> None:
    assert "uthorization" in desk.shell("env -u XAUTHORITY xset q 2>&1; true")


def test_display_is_reached_by_unix_sockets_with_a_path_only(desk: Desk) -> None:
    desk.call("get_screen_size")
    inodes = "ls -l /proc/$(pgrep -x Xvnc)/fd | sed -n 's/.*socket:\\[\\(.*\\)\\]/\\1/p'"
    of_server = set(desk.shell(inodes).split())
    rows = desk.shell("cat /proc/net/unix /proc/net/tcp /proc/net/tcp6").splitlines()
    sockets = [row.split() for row in rows if of_server & set(row.split())]
    assert {fields[-1] for fields in sockets if len(fields) == 8} == {"/tmp/.X11-unix/X0", "/run/agb/sockets/vnc"}
    assert not [fields for fields in sockets if len(fields) > 8]


# --- mouse ---


def test_pointer_is_where_it_was_moved(desk: Desk) -> None:
    desk.call("move_mouse", x=0, y=0)
    assert desk.position() == (0, 0)
    desk.call("move_mouse", x=1919, y=1079)
    assert desk.position() == (1919, 1079)
    desk.call("click_mouse", x=700, y=600)
    assert desk.position() == (700, 600)
    desk.call("drag_mouse", from_x=10, from_y=20, to_x=300, to_y=400)
    assert desk.position() == (300, 400)
    desk.call("scroll", x=11, y=12)
    assert desk.position() == (11, 12)


_BUTTON_EVENTS = """
import sys
from Xlib import X, display
screen = display.Display()
window = screen.screen().root.create_window(
    100, 100, 400, 300, 0, X.CopyFromParent, override_redirect=True,
    event_mask=X.ButtonPressMask | X.ButtonReleaseMask | X.ExposureMask | X.Button1MotionMask,
    background_pixel=0xC03020)
window.map()
seen = open("events", "a", 1)
while True:
    event = screen.next_event()
    if event.type == X.Expose:
        print("shown", file=seen)
    elif event.type == X.MotionNotify:
        print("move", file=seen)
    elif event.type in (X.ButtonPress, X.ButtonRelease):
        what = "press" if event.type == X.ButtonPress else "release"
        print(what, event.detail, event.event_x, event.event_y, file=seen)
"""


@pytest.fixture(scope="module")
def window(desk: Desk) -> Desk:
    """A window at (100, 100) that writes the presses and releases of buttons to a file."""
    desk.shell(f"cat > window.py <<'END'\n{_BUTTON_EVENTS}\nEND\nnohup python3 window.py > window.log 2>&1 &")
    desk.wait_for("grep -qs shown events || { cat window.log; false; }")
    return desk


def _events(desk: Desk, releases: int) -> list[str]:
    """Return the events up to a number of releases."""
    desk.wait_for(f"test $(grep -c release events) -eq {releases}")
    return desk.shell("cat events").split("\n")[:-1]


@pytest.mark.parametrize(
    ("button", "numbers"), [("left", [1]), ("middle", [2]), ("right", [3]), ("double_left", [1, 1])]
)
def test_click_presses_and_releases_the_button_there(window: Desk, button: str, numbers: list[int]) -> None:
    window.shell("> events")
    window.call("click_mouse", x=150, y=170, button=button)
    expected = [f"{what} {number} 50 70" for number in numbers for what in ("press", "release")]
    assert _events(window, len(numbers)) == expected


def test_wheel_turns_by_notches_in_each_direction(window: Desk) -> None:
    window.shell("> events")
    for direction in ("up", "down", "left", "right"):
        window.call("scroll", x=150, y=170, direction=direction, amount=2)
    presses = [line.split()[1] for line in _events(window, 8) if line.startswith("press")]
    assert presses == ["4", "4", "5", "5", "6", "6", "7", "7"]


def test_drag_moves_the_mouse_with_the_button_held(window: Desk) -> None:
    window.shell("> events")
    window.call("drag_mouse", from_x=110, from_y=120, to_x=300, to_y=250)
    lines = _events(window, 1)
    assert [line for line in lines if line != "move"] == ["press 1 10 20", "release 1 200 150"]
    assert lines.count("move") >= 3


# --- keyboard ---


@pytest.fixture
def terminal(desk: Desk) -> Any:
    desk.terminal()
    yield desk
    desk.close_terminals()


def test_terminal_receives_text_of_any_language(terminal: Desk) -> None:
    text = "Hello, World! ~`'\"<>|\\{}[]^ äöüß ñ Привет, МИР! 你好世界 שלום नमस्ते 🎉 €½¿\nsecond\tline\n"
    terminal.call("input_text", text=text)
    assert terminal.typed(text) == text


def test_text_may_have_more_foreign_characters_than_there_are_free_keys(terminal: Desk) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300))) + "\n"
    terminal.call("input_text", text=text)
    assert terminal.typed(text) == text


def test_long_text_is_typed(terminal: Desk) -> None:
    text = "".join(f"{number:05d} The quick brown fox jumps over the lazy dog\n" for number in range(100))
    terminal.call("input_text", text=text)
    assert terminal.typed(text) == text


def test_keys_are_pressed_together_held_and_released(terminal: Desk) -> None:
    terminal.call("input_text", text="abX")
    terminal.call("press_keys", keys=["BackSpace"])
    terminal.call("press_keys", keys=["Shift"], hold=True)
    terminal.call("press_keys", keys=["c"])
    terminal.call("release_keys", keys=["Shift"])
    terminal.call("press_keys", keys=["d"])
    terminal.call("press_keys", keys=["Enter"])
    assert terminal.typed("abCd\n") == "abCd\n"
    terminal.call("press_keys", keys=["Ctrl", "D"])  # the end of the input, so the terminal closes
    terminal.wait_for("! pgrep -x xterm")


def test_caps_lock_does_not_change_the_text(terminal: Desk) -> None:
    terminal.call("press_keys", keys=["CapsLock"])
    try:
        terminal.call("input_text", text="Abc ДАда 1\n")
        assert terminal.typed("Abc ДАда 1\n") == "Abc ДАда 1\n"
    finally:
        terminal.call("press_keys", keys=["capslock"])


# --- pictures ---


def test_picture_shows_what_is_drawn(window: Desk) -> None:
    window.call("move_mouse", x=1000, y=1000)
    red, blank = (0xC0, 0x30, 0x20), (0x2B, 0x3D, 0x4F)
    corners = {(100, 100): red, (499, 399): red, (99, 100): blank, (500, 399): blank, (1900, 1070): blank}
    end = time.monotonic() + 60
    while {point: (picture := window.picture()).getpixel(point) for point in corners} != corners:
        assert time.monotonic() < end  # a window of the test before may be shown for a moment
        pause()
    assert picture.size == (1920, 1080)
    assert all(abs(a - b) < 8 for a, b in zip(window.picture("jpeg").getpixel((300, 300)), red, strict=True))


# --- refusals ---


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("move_mouse", {"x": 1920, "y": 0}, "(1920, 0) is off the screen, which has 1920x1080 pixels"),
        ("click_mouse", {"x": 0, "y": -1}, "(0, -1) is off the screen"),
        ("drag_mouse", {"from_x": 0, "from_y": 0, "to_x": 0, "to_y": 1080}, "(0, 1080) is off the screen"),
        ("scroll", {"x": 5000, "y": 0}, "(5000, 0) is off the screen"),
        ("scroll", {"x": 0, "y": 0, "direction": "sideways"}, "'sideways'"),
        ("scroll", {"x": 0, "y": 0, "amount": -1}, "amount"),
        ("click_mouse", {"x": 0, "y": 0, "button": "fourth"}, "'fourth'"),
        ("drag_mouse", {"from_x": 0, "from_y": 0, "to_x": 0, "to_y": 0, "button": "double_left"}, "'double_left'"),
        ("press_keys", {"keys": ["Ctrl", "Delte"]}, "there is no key 'Delte'"),
        ("press_keys", {"keys": ["Ctrl+c"]}, "give each key of a combination as an item of the list"),
        ("press_keys", {"keys": []}, "keys"),
        ("release_keys", {"keys": ["NoSuchKey"]}, "there is no key 'NoSuchKey'"),
        ("input_text", {"text": "bell \x07"}, "the control character U+0007"),
        ("input_text", {"text": "null \0"}, "the control character U+0000"),
        ("input_text", {"text": 100_001 * "x"}, "length <= 100000"),
        ("screenshot", {"format": "gif"}, "'gif'"),
    ],
)
def test_what_makes_no_sense_is_refused(desk: Desk, tool: str, args: dict[str, Any], words: str) -> None:
    text = desk.error(tool, **args)
    assert text.startswith(f"{tool}: ")
    assert words in text


def test_refused_text_is_not_typed_in_part(terminal: Desk) -> None:
    terminal.error("input_text", text="first\x1b")
    terminal.call("input_text", text="second\n")
    assert terminal.typed("second\n") == "second\n"


def test_code_image_offers_no_desktop(api: Api, session: str) -> None:
    result = api.tool(session, "click_mouse", x=1, y=1)
    assert result["isError"]
    text = result["content"][0]["text"]
    having = "agb-computer-use-1, agb-computer-use-ubuntu-2204"
    assert text.endswith(f"not offered by the image {CODE_IMAGE}; create the session with one of {having}")
    assert api.shell(session, "echo ${DISPLAY-none}") == "none\n"


# --- the end ---


_END = "pkill -KILL -x Xvnc; while pgrep -f 'desktop_helpe[r]' > /dev/null; do sleep 0.02; done"


def test_desktop_that_was_ended_starts_again(api: Api) -> None:
    session_id = api.post("/mcp/createSession", {"imageId": "agb-computer-use-1"})["sessionId"]
    desk = Desk(api, session_id)
    desk.call("move_mouse", x=5, y=5)
    desk.shell(_END)
    desk.call_until_answered("move_mouse", x=7, y=7)
    assert desk.position() == (7, 7)
    desk.shell(_END)
    assert desk.shell("xset q > /dev/null && pgrep -c Xvnc") == "1\n"  # a program finds a display, too
    desk.shell(f"{_END}; rm -r /tmp/.X11-unix; touch /tmp/.X11-unix")
    assert "the desktop could not be started: (EE) Cannot establish" in desk.error("move_mouse", x=1, y=1)
    assert desk.shell("echo the rest works") == "the rest works\n"
    desk.shell("rm /tmp/.X11-unix")
    desk.call("move_mouse", x=9, y=9)
    api.release(session_id)
