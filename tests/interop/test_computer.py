"""The desktop: every method of the SDK's groups on both routes, and the names that they had before."""

from __future__ import annotations

import json
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import pause

from .harness import DESKTOP_IMAGE, PLAIN_DESKTOP_IMAGE, Sessions, fetch_bytes

if TYPE_CHECKING:
    from agb import AGB, Session

LIMIT_MS = 60_000


@pytest.fixture(scope="module")
def desktop(module_sessions: Sessions) -> Session:
    """A session with a desktop and a link, which the tests of this module share."""
    session = module_sessions.create(image=DESKTOP_IMAGE)
    size = session.computer.screen.get_size()
    if not size.success and "there is no desktop here" in size.error_message:
        pytest.skip(size.error_message)
    return session


@pytest.fixture(params=["link", "api"])
def routed(request: pytest.FixtureRequest, desktop: Session, agb: AGB) -> Session:
    """The session, once on each route."""
    if request.param == "link":
        return desktop
    found = agb.get(desktop.session_id).session
    assert found is not None
    found.tool_list = []
    return found


def until(session: Session, condition: str) -> str:
    """Return the output of a shell command once it succeeds."""
    result = session.command.execute(f"until {condition}; do sleep 0.02; done", timeout_ms=LIMIT_MS)
    assert result.success, result.error_message
    return result.output


def windows(session: Session) -> dict[str, Any]:
    """Return the windows by their titles."""
    listed = session.computer.window.list_root_windows()
    assert listed.success, listed.error_message
    return {window.title: window for window in listed.windows}


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once the condition is true."""
    end = time.monotonic() + LIMIT_MS / 1000
    while not condition():
        assert time.monotonic() < end
        pause()


@contextmanager
def terminal(session: Session, name: str) -> Iterator[Any]:
    """Open a terminal that has the keyboard and writes what is typed to a file of that name in ``/tmp``."""
    assert session.file.write(f"/tmp/{name}.sh", f"stty -echo\n: > /tmp/{name}\nexec cat > /tmp/{name}\n").success
    started = session.computer.app.start(f"xterm -T {name} -e sh /tmp/{name}.sh")
    assert started.success, started.error_message
    assert started.data[0].pname == "xterm"
    try:
        wait_for(lambda: name in windows(session))
        window = windows(session)[name]
        assert session.computer.window.activate(window.window_id).success
        until(session, f"test -e /tmp/{name}")
        yield window
    finally:
        until(session, f"! pkill -f 'xter[m] -T {name} '")


def position(session: Session) -> dict[str, int]:
    result = session.computer.mouse.get_position()
    assert result.success, result.error_message
    assert isinstance(result.data, str)
    found: dict[str, int] = json.loads(result.data)
    return found


def test_mouse(routed: Session) -> None:
    mouse = routed.computer.mouse

    assert mouse.move(300, 200).data is True
    assert position(routed) == {"x": 300, "y": 200}
    assert mouse.click(40, 50, "right").success
    assert routed.computer.keyboard.press(["Escape"]).success
    assert position(routed) == {"x": 40, "y": 50}
    assert mouse.click(45, 55, "double_left").success
    assert mouse.drag(60, 70, 500, 400).success
    assert position(routed) == {"x": 500, "y": 400}
    assert mouse.scroll(80, 90, "down", 3).success
    assert position(routed) == {"x": 80, "y": 90}


def test_mouse_off_the_screen(routed: Session) -> None:
    result = routed.computer.mouse.click(100_000, 5)

    assert not result.success
    assert "off the screen" in result.error_message


def test_keyboard(routed: Session) -> None:
    keyboard = routed.computer.keyboard
    with terminal(routed, "typed"):
        assert keyboard.type("größer 日本語 😀\n").data is True
        assert keyboard.press(["Shift"], hold=True).success
        assert keyboard.press(["a"]).success
        assert keyboard.release(["Shift"]).success
        assert keyboard.press(["b"]).success
        assert keyboard.press(["Enter"]).success
        assert until(routed, "test $(wc -l < /tmp/typed) -ge 2") == ""
        assert routed.file.read("/tmp/typed").content == "größer 日本語 😀\nAb\n"

    unknown = keyboard.press(["Turbo"])
    assert not unknown.success
    assert "Turbo" in unknown.error_message


def test_life_of_a_window(routed: Session) -> None:
    manager = routed.computer.window
    with terminal(routed, "window") as window:
        assert (window.title, window.pname) == ("window", "xterm")
        assert window.width > 0
        assert window.height > 0
        active = manager.get_active_window()
        assert active.success
        assert getattr(active.window, "window_id", None) == window.window_id
        assert manager.focus_mode(True).success
        for change in (manager.minimize, manager.maximize, manager.restore):
            assert change(window.window_id).data is True
        assert manager.resize(window.window_id, 300, 500).success
        assert manager.fullscreen(window.window_id).success
        assert manager.close(window.window_id).success
        wait_for(lambda: "window" not in windows(routed))
        gone = manager.activate(window.window_id)
        assert not gone.success
        assert gone.error_message


def test_applications(routed: Session) -> None:
    app = routed.computer.app

    stops: list[Callable[[Any], Any]] = [
        lambda process: app.stop_by_pname(process.pname),
        lambda process: app.stop_by_pid(process.pid),
        lambda process: app.stop_by_cmd(f"kill -9 {process.pid}"),
    ]
    for stop in stops:
        process = app.start("xterm -T app", "/tmp").data[0]
        wait_for(lambda: "app" in windows(routed))
        visible = app.get_visible()
        assert visible.success
        assert process.pid in [one.pid for one in visible.data]
        assert stop(process).success
        until(routed, "! pgrep -x xterm")

    missing = app.start("no-such-program-12345")
    assert not missing.success
    assert "no-such-program-12345" in missing.error_message


@pytest.mark.parametrize("start_menu", [True, False])
def test_installed_applications(routed: Session, start_menu: bool) -> None:
    result = routed.computer.app.list_installed(start_menu=start_menu, ignore_system_apps=False)

    assert result.success, result.error_message
    assert all(app.name and app.start_cmd for app in result.data)
    assert result.data or not start_menu


def test_size(routed: Session) -> None:
    result = routed.computer.screen.get_size()

    assert result.success, result.error_message
    assert result.data is not None
    assert result.data["width"] > 0
    assert result.data["height"] > 0
    assert result.data.get("dpiScalingFactor", 0) > 0


def screen_size(session: Session) -> tuple[int, int]:
    size = session.computer.screen.get_size().data
    assert size is not None
    return size["width"], size["height"]


def png_size(data: bytes) -> tuple[int, int]:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


@pytest.mark.parametrize("format", ["png", "jpeg", "JPG"])
def test_picture_of_a_session_with_a_link(desktop: Session, format: str) -> None:
    result = desktop.computer.screen.beta_take_screenshot(format)

    assert (result.success, result.type) == (True, "screenshot")
    assert (result.width, result.height) == screen_size(desktop)
    assert result.data is not None
    if format == "png":
        assert png_size(result.data) == (result.width, result.height)
    refused = desktop.computer.screen.capture()
    assert not refused.success
    assert "beta_take_screenshot()" in refused.error_message


def test_picture_of_a_session_without_a_link(sessions: Sessions, desktop: Session) -> None:
    from agb.exceptions import ScreenError

    session = sessions.create(image=PLAIN_DESKTOP_IMAGE)
    assert not session.link_url
    result = session.computer.screen.capture()

    assert result.success, result.error_message
    assert result.data is not None
    assert result.data.startswith("http")
    status, data = fetch_bytes(result.data)
    assert status == 200
    assert png_size(data) == screen_size(session)
    with pytest.raises(ScreenError, match=r"use `capture\(\)` instead"):
        session.computer.screen.beta_take_screenshot()


def test_session_without_a_desktop(session: Session) -> None:
    result = session.computer.mouse.click(1, 1)

    assert not result.success
    assert "click_mouse" in result.error_message


VERBS = ("activate", "maximize", "minimize", "restore", "fullscreen")


def test_deprecated_names(routed: Session) -> None:
    computer = routed.computer
    with terminal(routed, "old") as window:
        calls: list[Callable[[], Any]] = [
            lambda: computer.click_mouse(*middle(window)),
            lambda: computer.move_mouse(1, 2),
            lambda: computer.drag_mouse(1, 2, 3, 4),
            lambda: computer.scroll(1, 2, "up", 1),
            computer.get_cursor_position,
            lambda: computer.input_text("x"),
            lambda: computer.press_keys(["Shift"], True),
            lambda: computer.release_keys(["Shift"]),
            computer.list_root_windows,
            computer.get_active_window,
            *(partial(getattr(computer, f"{verb}_window"), window.window_id) for verb in VERBS),
            lambda: computer.resize_window(window.window_id, 300, 200),
            lambda: computer.focus_mode(False),
            computer.get_installed_apps,
            computer.list_visible_apps,
            computer.get_screen_size,
            lambda: computer.start_app("xterm -T older"),
            lambda: computer.stop_app_by_cmd("true"),
            lambda: computer.close_window(window.window_id),
        ]
        for call in calls:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result = call()
            assert result.success, result.error_message
            assert [one.category for one in caught] == [DeprecationWarning]
    with pytest.deprecated_call():
        assert computer.stop_app_by_pname("xterm").success
    process = computer.app.start("xterm").data[0]
    with pytest.deprecated_call():
        assert computer.stop_app_by_pid(process.pid).success
    with pytest.deprecated_call():
        assert "use `beta_take_screenshot()`" in computer.screenshot().error_message


def middle(window: Any) -> tuple[int, int]:
    return (
        window.absolute_upper_left_x + window.width // 2,
        window.absolute_upper_left_y + window.height // 2,
    )
