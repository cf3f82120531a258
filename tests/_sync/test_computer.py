# Generated from tests/_async/test_computer.py by tools/unasync.py. Do not edit.
"""The desktop of a session on the local runtime: what was done is seen on its screen and by its programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agb import (
    AGB,
    ApplicationError,
    Config,
    CreateSessionParams,
    ErrorKind,
    LaunchedApp,
    MouseButton,
    ScreenError,
    Screenshot,
    ScrollDirection,
    Session,
    Window,
)
from agb._sync._compat.loop import sleep
from agb.local import LocalServer
from tests.desktops import PLAIN_IMAGE, empty_desktop, needs_desktop, pixel, shared_desktop

pytestmark = [pytest.mark.one_event_loop, needs_desktop]

LIMIT = 60.0
"""Seconds for a program to start, on a loaded machine."""


@pytest.fixture(scope="module")
def desktop_id(runtime: LocalServer) -> Iterator[str]:
    with shared_desktop(runtime) as session_id:
        yield session_id


@pytest.fixture
def session_id(desktop_id: str, runtime: LocalServer) -> Iterator[str]:
    """A session whose desktop all tests of this module use one after the other."""
    with empty_desktop(runtime, desktop_id) as session_id:
        yield session_id


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 60_000))


@contextmanager
def desk(runtime: LocalServer, session_id: str) -> Iterator[Session]:
    with client(runtime) as agb:
        yield agb.get(session_id).raise_for_error().session


def by_api(session: Session) -> Session:
    """Return the same session with its tools called through the API."""
    agb = session.agb
    assert isinstance(agb, AGB)
    return agb.attach(session.ref)


@contextmanager
def terminal(session: Session, name: str, colour: str = "white") -> Iterator[LaunchedApp]:
    """Open a terminal that has the keyboard and writes what is typed, with Enter at the end, to ``/tmp/<name>``."""
    script = f"stty -echo\n: > /tmp/{name}\nexec cat > /tmp/{name}\n"
    session.file.write(f"/tmp/{name}.sh", script).raise_for_error()
    command = f"xterm -T {name} -bg {colour} -geometry 60x12+200+150 -e sh /tmp/{name}.sh"
    app = session.computer.app.launch(command, title=name, timeout=LIMIT)
    activate(session, app.window.window_id)
    until(session, f"test -e /tmp/{name}")
    try:
        yield app
    finally:
        until(session, f"! pkill -f 'xter[m] -T {name} '")


def until(session: Session, condition: str) -> str:
    """Return the output of a shell command once it succeeds."""
    command = f"until {condition}; do sleep 0.02; done"
    return session.command.execute(command, timeout_ms=60_000, check=True).stdout


def window_of(session: Session, window_id: int) -> Window | None:
    listed = session.computer.window.list_root_windows().raise_for_error().windows
    return next((window for window in listed if window.window_id == window_id), None)


def window_when(session: Session, window_id: int, condition: Callable[[Window | None], bool]) -> None:
    """Return once the condition is true of a window, or of None if there is no such window."""
    end = time.monotonic() + LIMIT
    while not condition(window := window_of(session, window_id)):
        assert time.monotonic() < end, window
        sleep(0.02)  # waits on purpose: nothing announces a change of windows


def screen_when(session: Session, condition: Callable[[Screenshot], bool]) -> Screenshot:
    """Return a picture once the condition is true of it."""
    shot = session.computer.screen.screenshot()
    while not condition(shot):
        shot = session.computer.screen.wait_for_change(shot, timeout=LIMIT)
    return shot


def activate(session: Session, window_id: int) -> None:
    """Give a window the keyboard, and return once it has it."""
    session.computer.window.activate(window_id).raise_for_error()
    end = time.monotonic() + LIMIT
    while getattr(session.computer.window.get_active_window().window, "window_id", None) != window_id:
        assert time.monotonic() < end


# --- mouse and keyboard ------------------------------------------------------------------------------------------


@pytest.mark.one_flavour
def test_pointer_is_where_it_was_moved(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session:
        for one in (session, by_api(session)):
            mouse = one.computer.mouse
            assert mouse.move(300, 200).data is True
            data = mouse.get_position().raise_for_error().data
            assert (data.point, json.loads(data)) == ((300, 200), {"x": 300, "y": 200})
            assert mouse.click(40, 50, MouseButton.MIDDLE).success
            assert mouse.get_position().raise_for_error().data.point == (40, 50)
            assert mouse.drag(60, 70, 500, 400).success
            assert mouse.get_position().raise_for_error().data.point == (500, 400)
            assert mouse.scroll(80, 90, ScrollDirection.DOWN, 3).success
            assert mouse.get_position().raise_for_error().data.point == (80, 90)


@pytest.mark.one_flavour
def test_terminal_receives_what_was_typed(runtime: LocalServer, session_id: str) -> None:
    text = "größer 日本語 😀 'quoted' \"$HOME\" \\ ~\n\tindented\n" + "0123456789" * 60 + "\n"
    with desk(runtime, session_id) as session, terminal(session, "typed"):
        session.computer.keyboard.type(text).raise_for_error()
        until(session, f"test $(stat -c %s /tmp/typed) -ge {len(text.encode())}")
        assert session.file.read("/tmp/typed").content == text


@pytest.mark.one_flavour
def test_keys_are_pressed_together_and_held(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session, terminal(session, "keys"):
        keyboard = session.computer.keyboard
        keyboard.press(["a"]).raise_for_error()
        keyboard.press(["Shift", "b"]).raise_for_error()
        keyboard.press(["Shift"], hold=True).raise_for_error()
        keyboard.press(["c"]).raise_for_error()
        keyboard.release(["Shift"]).raise_for_error()
        keyboard.press(["d"]).raise_for_error()
        keyboard.press(["Enter"]).raise_for_error()
        until(session, "test -s /tmp/keys")
        assert session.file.read("/tmp/keys").content == "aBCd\n"


@pytest.mark.one_flavour
def test_click_gives_a_window_the_keyboard(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session, terminal(session, "below") as app, terminal(session, "above"):
        activate(session, app.window.window_id)
        session.computer.mouse.click(*app.window.center).raise_for_error()
        session.computer.keyboard.type("here\n").raise_for_error()
        until(session, "test -s /tmp/below")
        assert session.file.read("/tmp/above").content == ""


# --- windows and applications ------------------------------------------------------------------------------------


BLUE = (0x20, 0x40, 0x60)


def is_about(window: Window, width: int, height: int) -> bool:
    """Return whether a window has a size, rounded to whole characters."""
    return abs((window.width or 0) - width) < 30 and abs((window.height or 0) - height) < 30


@pytest.mark.one_flavour
def test_life_of_a_window(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session, terminal(session, "window", "#204060") as app:
        windows, window_id = session.computer.window, app.window.window_id
        assert (app.window.title, app.window.pname) == ("window", "xterm")
        assert app.window.pid == app.processes[0].pid
        x, y = app.window.center
        size = session.computer.screen.get_size().raise_for_error().data
        screen_when(session, lambda shot: pixel(shot, x, y) == BLUE)

        assert windows.minimize(window_id).data is True
        screen_when(session, lambda shot: pixel(shot, x, y) != BLUE)
        assert window_of(session, window_id) is not None
        assert windows.restore(window_id).data is True
        screen_when(session, lambda shot: pixel(shot, x, y) == BLUE)

        assert windows.maximize(window_id).data is True
        window_when(session, window_id, lambda one: one is not None and (one.width or 0) > size["width"] - 50)
        assert windows.restore(window_id).data is True
        assert windows.resize(window_id, 400, 300).data is True
        window_when(session, window_id, lambda one: one is not None and is_about(one, 400, 300))
        assert windows.fullscreen(window_id).data is True
        screen_when(session, lambda shot: pixel(shot, size["width"] - 40, 40) == BLUE)
        assert windows.focus_mode(True).data is True
        assert windows.focus_mode(False).data is True

        assert windows.close(window_id).data is True
        window_when(session, window_id, lambda one: one is None)
        gone = windows.activate(window_id)
        assert (gone.success, gone.data) == (False, None)
        assert f"Could not activate the window {window_id}" in gone.error_message


@pytest.mark.one_flavour
def test_applications_start_and_end(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session:
        for one in (session, by_api(session)):
            apps = one.computer.app
            started = apps.start("xterm -T by-name").raise_for_error().data
            assert started[0].pname == "xterm"
            window = one.computer.window.wait(title="by-name", pname="xterm", timeout=LIMIT)
            assert window.pid == started[0].pid
            visible = apps.get_visible().raise_for_error().data
            assert (started[0].pid, "xterm") in [(process.pid, process.pname) for process in visible]
            assert apps.stop_by_pname("xterm").success
            until(session, "! pgrep -x xterm")
            app = apps.launch("xterm", "/tmp", timeout=LIMIT)
            assert apps.stop_by_cmd(f"kill {app.processes[0].pid}").success
            until(session, "! pgrep -x xterm")


def test_applications_that_do_not_start_or_are_not_there(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session:
        apps = session.computer.app
        missing = apps.start("no-such-program-12345 --option")
        assert isinstance(missing.error, ApplicationError)
        assert (missing.success, missing.data) == (False, [])
        assert "Could not start 'no-such-program-12345 --option'" in missing.error_message
        with pytest.raises(ApplicationError, match="Could not start 'no-such-program-12345'"):
            apps.launch("no-such-program-12345")
        assert not apps.stop_by_pname("no-such-program-12345").success
        assert not apps.stop_by_pid(2**22 + 1).success
        with pytest.raises(ApplicationError, match="No window with the title 'nowhere'") as caught:
            session.computer.window.wait(title="nowhere", timeout=0.2)
        assert caught.value.kind is ErrorKind.TIMED_OUT


@pytest.mark.one_flavour
def test_installed_applications(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session:
        apps = session.computer.app.list_installed(ignore_system_apps=False).raise_for_error().data
        assert apps
        assert all(app.name and app.start_cmd for app in apps)
        assert session.computer.app.list_installed(start_menu=False).success


# --- the screen --------------------------------------------------------------------------------------------------


@pytest.mark.one_flavour
def test_pictures_show_what_was_drawn(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session:
        before = session.computer.screen.screenshot()
        with terminal(session, "drawn", "#c04020") as app:
            x, y = app.window.center
            assert pixel(before, x, y) != (0xC0, 0x40, 0x20)
            shown = screen_when(session, lambda shot: pixel(shot, x, y) == (0xC0, 0x40, 0x20))
            assert not shown.shows_same_as(before)
            jpeg = session.computer.screen.screenshot("jpeg")
            red, green, blue = pixel(jpeg, x, y)
            assert max(abs(red - 0xC0), abs(green - 0x40), abs(blue - 0x20)) < 12
            size = session.computer.screen.get_size().raise_for_error().data
            assert (shown.width, shown.height) == (size["width"], size["height"])
            assert shown._repr_png_() == shown.data
            assert by_api(session).computer.screen.screenshot().mime_type == "image/png"


@pytest.mark.one_flavour
def test_session_without_a_link_returns_pictures_by_their_addresses(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(CreateSessionParams(image_id=PLAIN_IMAGE)) as session:
        screen = session.computer.screen
        assert not session.link_url
        shot = screen.screenshot()
        size = screen.get_size().raise_for_error().data
        assert (shot.width, shot.height) == (size["width"], size["height"])
        captured = screen.capture().raise_for_error()
        assert captured.data.startswith("http")
        assert captured.data.rpartition("/")[2] not in repr(captured)
        session.computer.app.start("xterm -bg #c04020 -geometry 80x24+0+0").raise_for_error()
        assert not screen.wait_for_change(shot, timeout=LIMIT).shows_same_as(shot)
        with pytest.raises(ScreenError, match=r"Please use `capture\(\)` instead"):
            screen.beta_take_screenshot()


def test_session_with_a_link_returns_pictures_by_the_tool(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session:
        result = session.computer.screen.beta_take_screenshot("jpg")
        assert (result.success, result.type, result.mime_type) == (True, "screenshot", "image/jpeg")
        assert result.width
        refused = session.computer.screen.capture()
        assert "Please use `beta_take_screenshot()` instead" in refused.error_message


@pytest.mark.one_flavour
def test_waiting_for_a_change_that_does_not_happen(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session:
        with pytest.raises(ScreenError, match="The screen did not change within") as caught:
            session.computer.screen.wait_for_change(timeout=1)
        assert caught.value.kind is ErrorKind.TIMED_OUT


# --- what the desktop refuses, and sessions without one ----------------------------------------------------------


def test_what_only_the_desktop_can_refuse(runtime: LocalServer, session_id: str) -> None:
    with desk(runtime, session_id) as session:
        computer = session.computer
        off = computer.mouse.click(100_000, 5)
        assert (off.success, off.data) == (False, None)
        assert "Could not click the button 'left' at (100000, 5)" in off.error_message
        assert "off the screen" in off.error_message
        unknown = computer.keyboard.press(["Ctrl", "Turbo"])
        assert not unknown.success
        assert "Could not press Ctrl+Turbo" in unknown.error_message
        assert "Turbo" in unknown.error_message.partition(": ")[2]
        gone = computer.window.minimize(999_999_999)
        assert not gone.success
        assert gone.error is not None
        assert gone.error.kind.is_refusal


def test_session_without_a_desktop_and_deleted_session(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            for one in (session, agb.attach(session.ref)):
                clicked = one.computer.mouse.click(1, 1)
                assert not clicked.success
                assert "click_mouse" in clicked.error_message
                assert "agb-code-space-1" in clicked.error_message
                with pytest.raises(ScreenError, match=r"Could not take a screenshot|Failed to take screenshot"):
                    one.computer.screen.screenshot()
                with pytest.raises(ApplicationError, match="Could not list the windows"):
                    one.computer.app.launch("xterm")
        clicked = agb.attach(session.ref).computer.mouse.click(1, 1)
        assert clicked.error is not None
        assert clicked.error.kind is ErrorKind.NOT_FOUND
        with pytest.raises(ScreenError) as caught:
            agb.attach(session.ref).computer.screen.screenshot()
        assert caught.value.kind is ErrorKind.NOT_FOUND
