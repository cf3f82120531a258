# Generated from tests/_async/test_computer_answers.py by tools/unasync.py. Do not edit.
"""The desktop with scripted services: what they answer, how they fail, and what is sent to them and logged."""

from __future__ import annotations

import base64
import json
import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from agb import (
    AGB,
    AGBError,
    ApplicationError,
    BoolResult,
    Config,
    ErrorKind,
    McpTool,
    OperationResult,
    ScreenError,
    Session,
)
from tests.ops.test_desktop import JPEG, described, png
from tests.scripted_desktop import ANSWERS, OLD_NAMES, Desktop, serving
from tests.servers import Action, Conversation, Scripted, answer, silent

pytestmark = [pytest.mark.one_event_loop]

WINDOW = {"window_id": 7, "title": "Notes", "pid": 70, "pname": "gedit"}
OTHER = {"window_id": 8, "title": "Clock", "pid": 80, "pname": "clock"}
PICTURE = "/picture.png"


def attached(agb: AGB, *, linked: str = "") -> Session:
    """Return a session; with the endpoint of a link its tools are called there."""
    session = agb.attach("s-1")
    if linked:
        session.link_url, session.token = f"{linked}/link", "tok-of-the-session"
        session.tool_list = [McpTool(name, server="desktop") for name in ("screenshot", "system_screenshot")]
    return session


def client(server: Scripted, **more: Any) -> AGB:
    agb = AGB("ako-key", Config(server.endpoint, 20_000), **more)
    agb.client._random = lambda: 0.0  # back-off at its shortest
    return agb


def nowhere() -> Session:
    return AGB("ako-key", Config("http://127.0.0.1:9", 1000)).attach("s-1")


# --- typing ------------------------------------------------------------------------------------------------------


def test_long_text_is_typed_in_parts() -> None:
    text = "größe 日本語 😀\n" * 100
    desktop = Desktop(input_text="true")
    with serving(desktop) as server:
        with client(server) as agb:
            assert attached(agb).computer.keyboard.type(text).data is True
            assert attached(agb).computer.keyboard.type("").success
    parts = [args["text"] for _, args in desktop.calls]
    assert "".join(parts) == text
    assert [len(part) for part in parts] == [500, 500, len(text) - 1000, 0]


def test_typing_that_fails_says_how_far_it_was_and_hides_the_text(caplog: pytest.LogCaptureFixture) -> None:
    text = "hunter2 " * 100
    desktop = Desktop(input_text=["true", ValueError(f"no window for {text[500:]!r}")])
    with caplog.at_level(logging.DEBUG), serving(desktop) as server:
        with client(server) as agb:
            result = attached(agb).computer.keyboard.type(text)
    assert not result.success
    assert result.error is not None
    assert result.error.extra["typed"] == 500
    assert result.error_message == (
        "Could not type 800 characters, of which 500 were typed before: no window for '[the text]'"
    )
    assert "hunter2" not in caplog.text + repr(result) + repr(result.error)


def test_typing_that_the_desktop_does_not_do() -> None:
    desktop = Desktop(input_text=["true", "false", "true"])
    with serving(desktop) as server:
        with client(server) as agb:
            result = attached(agb).computer.keyboard.type("x" * 1500)
    assert (result.success, result.data) == (False, False)
    assert result.error is not None
    assert result.error.extra["typed"] == 500
    assert len(desktop.calls) == 2


def test_parts_of_a_text_share_the_deadline() -> None:
    desktop = Desktop(input_text=["true", silent])
    with serving(desktop) as server:
        with client(server) as agb:
            result = attached(agb).computer.keyboard.type("x" * 1500, timeout=1)
    assert result.error is not None
    assert result.error.kind is ErrorKind.TIMED_OUT
    assert "within 1 s" in str(result.error)


def test_wrong_arguments_are_raised_before_anything_is_sent() -> None:
    computer = nowhere().computer
    calls: list[Callable[[], object]] = [
        lambda: computer.mouse.click(-1, 1),
        lambda: computer.mouse.scroll(1, 1, "away"),
        lambda: computer.keyboard.press([]),
        lambda: computer.keyboard.type("\x1b"),
        lambda: computer.window.activate(0),
        lambda: computer.window.wait(),
        lambda: computer.app.launch(""),
        lambda: computer.app.launch("x", title=""),
        lambda: computer.app.stop_by_pid(0),
        lambda: computer.screen.screenshot("gif"),
        lambda: computer.mouse.get_position(timeout=0),
        lambda: computer.window.wait("x", timeout=-1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"\w"):
            call()
    with pytest.raises(TypeError, match="since is a picture"):
        computer.screen.wait_for_change(b"")  # type: ignore[arg-type]


# --- windows and applications ------------------------------------------------------------------------------------


def test_waiting_for_a_window() -> None:
    desktop = Desktop(list_root_windows=["", json.dumps([OTHER]), json.dumps([OTHER, WINDOW])])
    with serving(desktop) as server:
        with client(server) as agb:
            window = attached(agb).computer.window.wait(title="Notes")
    assert (window.window_id, window.pname) == (7, "gedit")
    assert len(desktop.calls) == 3


def test_window_that_does_not_appear() -> None:
    desktop = Desktop(list_root_windows=json.dumps([OTHER]))
    with serving(desktop) as server:
        with client(server) as agb:
            with pytest.raises(ApplicationError) as caught:
                attached(agb).computer.window.wait(title="Notes", pid=70, timeout=1)
    assert caught.value.kind is ErrorKind.TIMED_OUT
    assert caught.value.retryable
    text = "No window with the title 'Notes' and the pid 70 appeared within 1 s"
    assert str(caught.value).startswith(text)
    assert str(caught.value).endswith("the windows there are: 'Clock'")
    assert all(args["timeout_ms"] <= 1000 for _, args in desktop.calls)


def test_waiting_ends_at_the_deadline_when_the_service_falls_silent() -> None:
    for texts, beginning in ((["[]", silent], "No window with the title"), ([silent], "Could not list the windows")):
        desktop = Desktop(list_root_windows=texts)
        with serving(desktop) as server:
            with client(server) as agb:
                with pytest.raises(ApplicationError, match=f"^{beginning}.*within 1 s") as caught:
                    attached(agb).computer.window.wait(title="Notes", timeout=1)
        assert caught.value.kind is ErrorKind.TIMED_OUT


def test_waiting_ends_with_a_refusal() -> None:
    with serving(Desktop(list_root_windows=["[]", ValueError("no display")])) as server:
        with client(server) as agb:
            with pytest.raises(ApplicationError, match=r"^Could not list the windows: no display"):
                attached(agb).computer.window.wait(title="Notes")


STARTED = json.dumps([{"pname": "gedit", "pid": 70, "cmdline": "gedit"}])


def test_launch_prefers_the_window_of_the_process() -> None:
    old = {"window_id": 1, "title": "Notes", "pid": 70}
    listed = [json.dumps([old]), json.dumps([old]), json.dumps([OTHER, old, WINDOW])]
    desktop = Desktop(list_root_windows=listed, start_app=STARTED)
    with serving(desktop) as server:
        with client(server) as agb:
            app = attached(agb).computer.app.launch("gedit", "/tmp")
    assert (app.window.window_id, app.processes[0].pid, app.request_id) == (7, 70, "R-1")
    assert desktop.names() == ["list_root_windows", "start_app", "list_root_windows", "list_root_windows"]
    assert desktop.calls[1][1] == {"start_cmd": "gedit", "work_directory": "/tmp"}


def test_launch_takes_the_window_of_another_process_or_of_a_title() -> None:
    for title, found in ((None, 8), ("Notes", 9)):
        listed = ["[]", json.dumps([OTHER]), json.dumps([OTHER, {**WINDOW, "window_id": 9, "pid": 90}])]
        with serving(Desktop(list_root_windows=listed, start_app=STARTED)) as server:
            with client(server) as agb:
                app = attached(agb).computer.app.launch("gedit", title=title)
        assert app.window.window_id == found


def test_launch_without_a_window() -> None:
    with serving(Desktop(list_root_windows=json.dumps([OTHER]), start_app=STARTED)) as server:
        with client(server) as agb:
            with pytest.raises(ApplicationError) as caught:
                attached(agb).computer.app.launch("gedit", title="Notes", timeout=1)
    assert caught.value.kind is ErrorKind.TIMED_OUT
    assert str(caught.value).startswith(
        "Started 'gedit' as gedit (70), but no new window with the title 'Notes' appeared within 1 s"
    )


def test_launch_that_does_not_start() -> None:
    desktop = Desktop(list_root_windows="[]", start_app=ValueError("no such program"))
    with serving(desktop) as server:
        with client(server) as agb:
            with pytest.raises(ApplicationError, match=r"^Could not start 'gedit': no such program"):
                attached(agb).computer.app.launch("gedit")
    assert desktop.names() == ["list_root_windows", "start_app"]


def test_a_start_is_not_repeated_when_its_answer_is_lost() -> None:
    def close(talk: Conversation) -> None:
        talk.keep = False

    desktop = Desktop(start_app=close, list_root_windows=[close, "[]"])
    with serving(desktop) as server:
        with client(server) as agb:
            result = attached(agb).computer.app.start("gedit")
            assert attached(agb).computer.window.list_root_windows().success
    assert isinstance(result.error, ApplicationError)
    assert result.error.kind is ErrorKind.UNREACHABLE
    assert desktop.names() == ["start_app", "list_root_windows", "list_root_windows"]


# --- pictures ----------------------------------------------------------------------------------------------------

ADDRESS = f"ENDPOINT{PICTURE}?X-Amz-Signature=geheim-geheim"


def file(data: bytes) -> Action:
    return answer(data, headers={"Content-Type": "image/png"})


def test_screenshot_by_its_address(caplog: pytest.LogCaptureFixture) -> None:
    desktop = Desktop(system_screenshot=ADDRESS)
    desktop.files = [answer(b"", 503), file(png())]
    with caplog.at_level(logging.DEBUG), serving(desktop) as server:
        with client(server) as agb:
            screen = attached(agb).computer.screen
            shot = screen.screenshot()
            address = screen.capture().raise_for_error()
        fetched = [request for request in server.requests if request.method == "GET"]
    assert (shot.data, shot.width, shot.height, shot.mime_type) == (png(), 3, 2, "image/png")
    assert len(fetched) == 2
    assert all(b"ako-key" not in repr(request.headers).encode() for request in fetched)
    assert "geheim" in address.data
    assert "geheim" not in caplog.text + repr(address) + repr(shot)


def test_screenshot_by_the_link() -> None:
    desktop = Desktop(screenshot=described())
    with serving(desktop) as server:
        with client(server) as agb:
            computer = attached(agb, linked=server.endpoint).computer
            assert computer.screen.screenshot().data == png()
            result = computer.screen.beta_take_screenshot(" PNG ")
            assert (result.success, result.data, result.type, result.mime_type) == (
                *(True, png(), "screenshot", "image/png"),
            )
    assert desktop.calls == [("screenshot", {"format": "png"})] * 2


def test_screenshot_takes_the_other_way_if_one_is_refused() -> None:
    unknown = ValueError("this tool is not offered")
    data_url = "data:image/png;base64," + base64.b64encode(png()).decode()
    with serving(Desktop(screenshot=unknown, system_screenshot=data_url)) as server:
        with client(server) as agb:
            assert attached(agb, linked=server.endpoint).computer.screen.screenshot().data == png()
    with serving(Desktop(screenshot=described(), system_screenshot=unknown)) as server:
        with client(server) as agb:
            assert attached(agb).computer.screen.screenshot().data == png()
    with serving(Desktop(screenshot=unknown, system_screenshot=ValueError("no display"))) as server:
        with client(server) as agb:
            with pytest.raises(ScreenError, match=r"^Could not take a screenshot: no display"):
                attached(agb).computer.screen.screenshot()


def test_jpeg_is_taken_by_the_tool_that_has_formats() -> None:
    desktop = Desktop(screenshot=described(JPEG, mime_type="image/jpeg"))
    with serving(desktop) as server:
        with client(server) as agb:
            assert attached(agb).computer.screen.screenshot("jpg").data == JPEG
    desktop = Desktop(screenshot=ValueError("this tool is not offered"), system_screenshot=ADDRESS)
    desktop.files = [file(png())]
    with serving(desktop) as server:
        with client(server) as agb:
            with pytest.raises(ScreenError, match="the session returned image/png, and lets no format be chosen"):
                attached(agb).computer.screen.screenshot("jpeg")


def test_picture_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agb._sync.modules.computer.screen.LARGEST_PICTURE", 20)
    for stored, text, kind in (
        (answer(b"", 404), "the store answered with HTTP 404", ErrorKind.NOT_FOUND),
        (file(png()), "it has more than 20 bytes", ErrorKind.TOO_LARGE),
        (file(b"GIF89a"), "it is not a PNG or JPEG picture", ErrorKind.INVALID_ANSWER),
        (silent, "within 1 s", ErrorKind.TIMED_OUT),
    ):
        desktop = Desktop(system_screenshot=ADDRESS)
        desktop.files = [stored]
        with serving(desktop) as server:
            with client(server) as agb:
                with pytest.raises(ScreenError, match=text) as caught:
                    attached(agb).computer.screen.screenshot(timeout=1 if stored is silent else 20)
        assert caught.value.kind is kind
        assert "geheim" not in str(caught.value)


def test_an_address_that_is_none() -> None:
    for text, why in (("", "the answer has no address"), ("nowhere", "the pre-signed URL cannot be used")):
        with serving(Desktop(system_screenshot=text)) as server:
            with client(server) as agb:
                with pytest.raises(ScreenError, match=why):
                    attached(agb).computer.screen.screenshot()


def test_waiting_for_a_change() -> None:
    pictures = [described(png(text=b"12:00")), described(png(text=b"12:01")), described(png(shade=8))]
    with serving(Desktop(screenshot=pictures)) as server:
        with client(server) as agb:
            screen = attached(agb, linked=server.endpoint).computer.screen
            changed = screen.wait_for_change()
            assert changed.data == png(shade=8)
            with pytest.raises(ScreenError, match=r"The screen did not change within 1 s") as caught:
                screen.wait_for_change(changed, timeout=1)
    assert caught.value.kind is ErrorKind.TIMED_OUT


def test_each_method_of_0_12_needs_its_kind_of_session() -> None:
    computer = nowhere().computer
    with pytest.raises(ScreenError) as caught:  # before the format is looked at, as in 0.12
        computer.screen.beta_take_screenshot("gif")
    assert str(caught.value) == (
        "This cloud environment does not support `beta_take_screenshot()`. Please use `capture()` instead."
    )
    session = nowhere()
    session.link_url = "http://127.0.0.1:9/link"
    with pytest.raises(ValueError, match="Invalid format: must be 'png', 'jpeg', or 'jpg'"):
        session.computer.screen.beta_take_screenshot("gif")
    result = session.computer.screen.capture()
    assert (result.success, result.data) == (False, None)
    assert result.error_message == (
        "This cloud environment does not support `screen.capture()`. Please use `beta_take_screenshot()` instead."
    )
    with pytest.deprecated_call():
        result = session.computer.screenshot()
    assert result.error_message == (
        "This cloud environment does not support `screenshot()`. Please use `beta_take_screenshot()` instead."
    )


# --- the names of before -----------------------------------------------------------------------------------------


def test_old_names_warn_and_do_the_same() -> None:
    desktop = Desktop(**ANSWERS)
    with serving(desktop) as server:
        with client(server) as agb:
            computer = attached(agb).computer
            for name, (args, new, tool, sent) in OLD_NAMES.items():
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    result = getattr(computer, name)(*args, some_keyword=1, timeout=20)
                assert result.success, name
                assert desktop.calls[-1] == (tool, sent)
                (warning,) = [one for one in caught if one.category is DeprecationWarning]
                assert str(warning.message) == f"computer.{name}() is deprecated. Use computer.{new}() instead."
                assert warning.filename == __file__
                assert new in (getattr(type(computer), name).__doc__ or "")
            with pytest.deprecated_call():
                assert computer.get_screen_size().data == ANSWERS["get_screen_size"]
    assert len(OLD_NAMES) == 26


def test_old_names_check_their_arguments() -> None:
    computer = nowhere().computer
    with pytest.deprecated_call(), pytest.raises(ValueError, match="Invalid button 'x'"):
        computer.click_mouse(1, 2, "x")
    with pytest.deprecated_call(), pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
        computer.move_mouse(1)  # type: ignore[call-arg]


def test_types_of_results() -> None:
    """What type checkers see of an old name is what they see of the new one."""
    with serving(Desktop(move_mouse="true", get_cursor_position=ANSWERS["get_cursor_position"])) as server:
        with client(server) as agb:
            computer = attached(agb).computer
            with pytest.deprecated_call():
                moved: BoolResult = computer.move_mouse(1, 2)
                position = computer.get_cursor_position().raise_for_error().data
            assert (moved.data, position.x + position.y) == (True, 3)
            failed: OperationResult[Any] = OperationResult.failed(AGBError("x"))
            assert not failed
