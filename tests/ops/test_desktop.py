"""The tools of a desktop: arguments that are refused before anything is sent, and answers in all their forms."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agb import AGBError, ApplicationError, CursorPosition, ErrorKind, MouseButton, ScreenError, Screenshot, Window
from agb._ops.tools.computer import apps, keyboard, mouse, screen, windows
from agb._wire.toolcall import ToolCall, ToolReply
from agb.desktop import LaunchedApp, Process
from agb.results import ScreenshotResult

ID = {"session_id": "s-1"}


def reply(text: str | None, *, is_error: bool = False) -> ToolReply:
    return ToolReply(text, is_error, "R-1")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 3, height: int = 2, shade: int = 7, text: bytes = b"") -> bytes:
    """Return a grey picture; ``text`` is a comment in the file."""
    rows = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    note = chunk(b"tEXt", b"Comment\0" + text) if text else b""
    return b"\x89PNG\r\n\x1a\n" + head + note + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xff\xc0\x00\x0b\x08\x00\x05\x00\x09\x01\x01\x11\x00"
    b"\xff\xd9"
)
"""The segments up to the size of a picture of 9 by 5 pixels, with a byte of padding before the last."""


# --- arguments ---------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], ToolCall[Any]], type[Exception], str]] = {
    "button": (
        lambda: mouse.click_mouse(1, 2, "LEFT", **ID),
        ValueError,
        r"Invalid button 'LEFT'. Must be one of \['left', 'right', 'middle', 'double_left'\]",
    ),
    "no button": (lambda: mouse.click_mouse(1, 2, None, **ID), ValueError, "Invalid button 'None'"),  # type: ignore[arg-type]
    "button before coordinates": (lambda: mouse.click_mouse(-1, 2, "x", **ID), ValueError, "Invalid button 'x'"),
    "double drag": (
        lambda: mouse.drag_mouse(1, 2, 3, 4, MouseButton.DOUBLE_LEFT, **ID),
        ValueError,
        r"Invalid button 'double_left'. Must be one of \['left', 'right', 'middle'\]",
    ),
    "direction": (
        lambda: mouse.scroll(1, 2, "away", 1, **ID),
        ValueError,
        r"Invalid direction 'away'. Must be one of \['up', 'down', 'left', 'right'\]",
    ),
    "negative": (lambda: mouse.move_mouse(-1, 2, **ID), ValueError, "x is a number of pixels from the left edge .* -1"),
    "a fraction": (lambda: mouse.move_mouse(1, 2.5, **ID), TypeError, "y is .* from the upper edge .* 2.5; round it"),  # type: ignore[arg-type]
    "a boolean": (lambda: mouse.move_mouse(True, 2, **ID), TypeError, "x is a number .* not True"),
    "a string": (lambda: mouse.drag_mouse(1, 2, "3", 4, "left", **ID), TypeError, "x2 is a number .* not '3'"),  # type: ignore[arg-type]
    "no notch": (
        lambda: mouse.scroll(1, 2, "up", 0, **ID),
        ValueError,
        "amount is how many notches .* 1 to 1,000, not 0",
    ),
    "too many notches": (lambda: mouse.scroll(1, 2, "up", 10**9, **ID), ValueError, "1 to 1,000, not 1000000000"),
    "text": (lambda: keyboard.check_typed(None), TypeError, "text is a string, not NoneType"),  # type: ignore[dict-item,return-value]
    "no keys": (lambda: keyboard.press_keys([], False, **ID), ValueError, r"keys is empty: .* \['Ctrl', 'c'\]"),
    "keys as a string": (lambda: keyboard.press_keys("ab", False, **ID), TypeError, "keys is a list of names .* 'ab'"),
    "a key that is no string": (lambda: keyboard.press_keys([1], False, **ID), TypeError, "a key is a name .* not 1"),  # type: ignore[list-item]
    "a blank key": (lambda: keyboard.release_keys(["Ctrl", ""], **ID), ValueError, "empty or blank.* 'space'"),
    "a control character": (lambda: keyboard.press_keys(["\n"], False, **ID), ValueError, "control character.*'Enter'"),
    "hold": (lambda: keyboard.press_keys(["a"], 1, **ID), TypeError, "hold is True or False, not 1"),  # type: ignore[arg-type]
    "window id": (lambda: windows.window_action("close_window", 0, **ID), ValueError, "window_id .* not 0"),
    "window id as text": (
        lambda: windows.window_action("close_window", "7", **ID),  # type: ignore[arg-type]
        TypeError,
        "window_id is the id of a window, .* not '7'",
    ),
    "size": (lambda: windows.resize_window(1, 300, 0, **ID), ValueError, "height is a number of pixels, .* not 0"),
    "focus": (lambda: windows.focus_mode("on", **ID), TypeError, "on is True or False, not 'on'"),  # type: ignore[arg-type]
    "milliseconds": (lambda: windows.list_root_windows(0, **ID), ValueError, "timeout_ms is a number of milliseconds"),
    "command": (lambda: apps.start_app(" ", "", "", **ID), ValueError, "start_cmd is empty; an example is 'gedit"),
    "command of two texts": (lambda: apps.start_app(["a"], "", "", **ID), TypeError, "start_cmd is a string .* list"),  # type: ignore[arg-type]
    "NUL": (lambda: apps.stop_app_by_cmd("kill\0", **ID), ValueError, "stop_cmd contains the character NUL"),
    "half a pair": (lambda: apps.stop_app_by_pname("\ud800", **ID), ValueError, "pname contains half a surrogate pair"),
    "directory": (lambda: apps.start_app("x", None, "", **ID), TypeError, "work_directory is a string .* NoneType"),  # type: ignore[arg-type]
    "process id": (lambda: apps.stop_app_by_pid(-9, **ID), ValueError, "pid is the id of a process, .* not -9"),
    "menu": (lambda: apps.get_installed_apps(1, False, True, **ID), TypeError, "start_menu is True or False, not 1"),  # type: ignore[arg-type]
    "format": (
        lambda: screen.check_format("gif"),  # type: ignore[dict-item,return-value]
        ValueError,
        "Invalid format: must be 'png', 'jpeg', or 'jpg'",
    ),
}


@pytest.mark.parametrize(("call", "error", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_wrong_arguments_are_refused(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("secret\x1b", r"U\+001B at place 6, .* press\(\['Escape'\]\)"),
        ("secret\r\n\b", r"U\+0008 at place 7, .* press\(\['Backspace'\]\)"),
        ("secret\0", r"U\+0000 at place 6, and only line feeds and tabs are typed$"),
        ("secret\x85", r"U\+0085 at place 6"),
        ("secret\ud83d", "half a surrogate pair"),
        ("secret" * 20_000, "text has 120,000 characters, and at most 100,000 are typed; session.file.write"),
    ],
)
def test_text_that_cannot_be_typed_is_not_quoted(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        keyboard.check_typed(text)
    assert "secret" not in str(caught.value)


def test_ends_of_lines_are_line_feeds() -> None:
    assert keyboard.check_typed("a\r\nb\rc\n\td") == "a\nb\nc\n\td"


class Whole:
    """A whole number that is no int, as those of numpy."""

    def __index__(self) -> int:
        return 7


def test_whole_numbers_of_other_packages() -> None:
    seven: Any = Whole()
    calls: list[ToolCall[Any]] = [
        mouse.scroll(seven, seven, "up", seven, **ID),
        windows.window_action("close_window", seven, **ID),
        windows.resize_window(seven, seven, seven, **ID),
        windows.list_root_windows(seven, **ID),
        apps.stop_app_by_pid(seven, **ID),
    ]
    sent = [value for call in calls for value in call.args.values() if value != "up"]
    assert len(sent) == 9
    assert all(type(value) is int and value == 7 for value in sent)


def test_what_is_sent() -> None:
    sent: list[ToolCall[Any]] = [
        mouse.click_mouse(1, 2, MouseButton.RIGHT, **ID),
        mouse.drag_mouse(1, 2, 3, 4, "left", **ID),
        mouse.scroll(1, 2, "down", 3, **ID),
        keyboard.press_keys(("Ctrl", "c"), False, **ID),
        windows.list_root_windows(3000, **ID),
        apps.start_app("gedit %U", "", "", **ID),
        apps.start_app("gedit", "/tmp", ".Main", **ID),
        apps.get_installed_apps(True, False, True, **ID),
        screen.screenshot("image/jpeg", **ID),
    ]
    assert [json.dumps({"tool": call.name, **call.args}) for call in sent] == [
        '{"tool": "click_mouse", "x": 1, "y": 2, "button": "right"}',
        '{"tool": "drag_mouse", "from_x": 1, "from_y": 2, "to_x": 3, "to_y": 4, "button": "left"}',
        '{"tool": "scroll", "x": 1, "y": 2, "direction": "down", "amount": 3}',
        '{"tool": "press_keys", "keys": ["Ctrl", "c"], "hold": false}',
        '{"tool": "list_root_windows", "timeout_ms": 3000}',
        '{"tool": "start_app", "start_cmd": "gedit %U"}',
        '{"tool": "start_app", "start_cmd": "gedit", "work_directory": "/tmp", "activity": ".Main"}',
        '{"tool": "get_installed_apps", "start_menu": true, "desktop": false, "ignore_system_apps": true}',
        '{"tool": "screenshot", "format": "jpeg"}',
    ]


# --- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["true", "", None, "clicked"])
def test_an_action_that_was_done(text: str | None) -> None:
    result = mouse.click_mouse(1, 2, "left", **ID).read(reply(text))
    assert (result.success, result.data, result.request_id) == (True, True, "R-1")


@pytest.mark.parametrize("text", ["false", " False\n"])
def test_an_action_that_was_not_done_is_no_success(text: str) -> None:
    """0.12 reports a success with ``data=True``."""
    result = windows.window_action("minimize_window", 7, **ID).read(reply(text))
    assert (result.success, result.data, bool(result)) == (False, False, False)
    assert result.error_message == "Could not minimize the window 7: the desktop did not do it, and gave no reason"
    with pytest.raises(ApplicationError) as caught:
        result.raise_for_error()
    assert caught.value.kind is ErrorKind.REFUSED
    stopped = apps.stop_app_by_pname("gedit", **ID).read(reply(text))
    assert (stopped.success, stopped.error_message[:38]) == (False, "Could not end the processes named 'gedit'"[:38])


def test_a_tool_that_failed_says_what_was_attempted() -> None:
    with pytest.raises(AGBError) as caught:
        mouse.click_mouse(5000, 2, "left", **ID).read(reply("click_mouse: off the screen", is_error=True))
    assert str(caught.value) == "Could not click the button 'left' at (5000, 2): off the screen"


def test_a_service_that_quotes_a_typed_text() -> None:
    call = keyboard.input_text("hunter2", 0, 7, **ID)
    with pytest.raises(AGBError) as caught:
        call.read(reply("cannot type 'hunter2'", is_error=True))
    assert str(caught.value) == "Could not type 7 characters: cannot type '[the text]'"
    assert "hunter2" not in call.description


def test_position_is_typed_and_is_the_text_of_0_12() -> None:
    data = mouse.get_cursor_position(**ID).read(reply('{"x":512,"y":384}')).raise_for_error().data
    assert (data.x, data.y, data.point) == (512, 384, (512, 384))
    assert data == '{"x":512,"y":384}'
    assert json.loads(data) == {"x": 512, "y": 384}
    for twin in (copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
        assert (type(twin), twin, twin.x, twin.y) == (CursorPosition, data, 512, 384)


@pytest.mark.parametrize("text", ["", "true", "{bad", "[1, 2]", '{"x": 1}', '{"x": 1.5, "y": 2}', "[" * 100_000])
def test_position_that_is_none(text: str) -> None:
    with pytest.raises(AGBError, match="Failed to parse the cursor position") as caught:
        mouse.get_cursor_position(**ID).read(reply(text))
    assert caught.value.kind is ErrorKind.INVALID_ANSWER


def test_windows() -> None:
    text = json.dumps(
        [
            {"window_id": 3, "title": "a", "absolute_upper_left_x": 10, "absolute_upper_left_y": 20, "width": 300}
            | {"height": 100, "pid": 9, "pname": "xterm", "child_windows": [{"window_id": 4}], "more": 1},
            {"title": None},
        ]
    )
    first, second = windows.list_root_windows(3000, **ID).read(reply(text)).windows
    assert first == Window(3, "a", 10, 20, 300, 100, 9, "xterm", [Window(4, "")])
    assert first.center == (160, 70)
    assert second == Window(0, "", child_windows=[])
    assert len({first, second}) == 2
    with pytest.raises(ValueError, match="the size of the window 0 are not known"):
        _ = second.center
    assert windows.list_root_windows(3000, **ID).read(reply("")).windows == []
    assert windows.get_active_window(**ID).read(reply("")).window is None
    assert windows.get_active_window(**ID).read(reply('{"window_id": 3}')).window == Window(3, "")


@pytest.mark.parametrize(
    ("call", "beginning"),
    [
        (windows.list_root_windows(3000, **ID), "Failed to parse windows JSON: "),
        (windows.get_active_window(**ID), "Failed to parse window JSON: "),
        (apps.start_app("x", "", "", **ID), "Failed to parse processes JSON: "),
        (apps.list_visible_apps(**ID), "Failed to parse processes JSON: "),
        (apps.get_installed_apps(True, False, True, **ID), "Failed to parse applications JSON: "),
        (screen.get_screen_size(**ID), "Failed to get screen size: "),
        (screen.get_screen_size_text(**ID), "Failed to get screen size: "),
    ],
)
@pytest.mark.parametrize(
    "text", ["{bad", "null", "true", "[1]", '[{"pid": "9", "name": 3, "title": []}]', "[" * 99_999]
)
def test_lists_that_are_none(call: ToolCall[Any], beginning: str, text: str) -> None:
    with pytest.raises(AGBError, match=re.escape(beginning)) as caught:
        call.read(reply(text))
    assert caught.value.kind is ErrorKind.INVALID_ANSWER


def test_size() -> None:
    text = '{"width": 1920, "height": 1080, "dpiScalingFactor": 1.5}'
    assert screen.get_screen_size(**ID).read(reply(text)).data == json.loads(text)
    assert screen.get_screen_size_text(**ID).read(reply(text)).data == text


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("http://127.0.0.1:1/sessions/s-1/screenshots/OifcnlXYSvnESDe4jpURzGkA.png", "OifcnlXYSvnESDe4jpURzGkA"),
        ("https://bucket.example/a.png?Expires=1&X-Signature=c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("http://[no-address", ""),
    ],
)
def test_address_of_a_picture_is_a_secret(address: str, secret: str) -> None:
    result = screen.system_screenshot(**ID).read(reply(address))
    assert result.data == address
    assert not secret or secret not in repr(result)


# --- pictures ----------------------------------------------------------------------------------------------------


def described(picture: bytes = b"", **more: Any) -> str:
    fields = {"type": "screenshot", "mime_type": "image/png", "data": base64.b64encode(picture or png()).decode()}
    return json.dumps({name: value for name, value in {**fields, **more}.items() if value is not ...})


DAMAGED = {
    "": "Screenshot tool returned empty data",
    "abc": "Screenshot tool returned non-JSON data",
    "[]": "Screenshot tool returned non-JSON data",
    "{bad": "Invalid screenshot JSON: Expecting property name",
    "{}": "Screenshot JSON missing base64 field",
    described(data=" "): "Screenshot JSON missing base64 field",
    described(type=...): "Invalid screenshot JSON: expected non-empty string 'type'",
    described(mime_type=3): "Invalid screenshot JSON: expected non-empty string 'mime_type'",
    described(width="3"): "Invalid screenshot JSON: expected integer 'width'",
    described(height=True): "Invalid screenshot JSON: expected integer 'height'",
    described(data="x"): "Failed to decode screenshot data: ",
    described(data="aGk=\n"): "Failed to decode screenshot data: ",
    described(b"GIF89a"): "Screenshot data does not match expected format 'png'",
    described(
        mime_type="image/jpeg"
    ): "mime_type does not match expected format: expected 'image/png', got 'image/jpeg'",
}


@pytest.mark.parametrize(("text", "why"), DAMAGED.items())
def test_pictures_that_are_none_have_the_texts_of_0_12(text: str, why: str) -> None:
    with pytest.raises(ScreenError, match=re.escape(why)) as caught:
        screen.screenshot("image/png", **ID).read(reply(text))
    assert caught.value.kind is ErrorKind.INVALID_ANSWER


def test_picture_that_the_tool_refuses() -> None:
    text = "Failed to take screenshot via MCP tool 'screenshot': no display"
    with pytest.raises(ScreenError, match=re.escape(text)) as caught:
        screen.screenshot("image/png", **ID).read(reply("screenshot: no display", is_error=True))
    assert caught.value.kind is ErrorKind.REFUSED


def test_picture_of_0_12() -> None:
    result = screen.screenshot("image/png", **ID).read(reply(described(width=3, height=None)))
    assert result == ScreenshotResult("R-1", True, "", "screenshot", png(), "image/png", 3, None)
    assert f"data=<{len(png())} bytes>" in repr(result)
    assert result._repr_png_() == png()


@pytest.mark.parametrize("text", [described(), base64.b64encode(png()).decode()])
def test_picture_is_read_in_both_forms(text: str) -> None:
    """The second is the form of a service that returns the tool's picture as an image."""
    shot = screen.picture("image/png", **ID).read(reply(text))
    assert (shot.data, shot.width, shot.height, shot.mime_type, shot.request_id) == (png(), 3, 2, "image/png", "R-1")


def test_jpeg() -> None:
    shot = screen.picture("image/jpeg", **ID).read(reply(described(JPEG, mime_type="image/jpeg")))
    assert (shot.width, shot.height, shot.mime_type) == (9, 5, "image/jpeg")
    assert (shot._repr_png_(), shot._repr_jpeg_()) == (None, JPEG)


def test_data_url() -> None:
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    assert screen.data_url_of(url, "R-1", "s-1") == png()
    for damaged in ("data:image/png,abc", "data:", "data:image/png;base64,%"):
        with pytest.raises(ScreenError, match="Failed to decode screenshot data"):
            screen.data_url_of(damaged, "R-1", "s-1")


@pytest.mark.parametrize("data", [b"", b"GIF89a", png()[:20], JPEG[:25], b"\xff\xd8\xff\xe0\xff\xff"])
def test_damaged_picture(data: bytes) -> None:
    with pytest.raises(ScreenError, match="Could not take a screenshot: "):
        screen.picture_of(data, "image/png", "R-1", "s-1")


def test_picture_in_another_format() -> None:
    with pytest.raises(
        ScreenError, match="as image/jpeg: the session returned image/png, and lets no format be chosen"
    ):
        screen.picture_of(png(), "image/jpeg", "R-1", "s-1")


def test_pictures_are_compared_by_what_they_show() -> None:
    at_noon, later = (Screenshot.from_bytes(png(text=text)) for text in (b"12:00", b"12:01"))
    assert at_noon != later
    assert at_noon.shows_same_as(later)
    assert not at_noon.shows_same_as(Screenshot.from_bytes(png(shade=8)))
    assert Screenshot.from_bytes(JPEG).shows_same_as(Screenshot.from_bytes(JPEG))
    assert not at_noon.shows_same_as(Screenshot.from_bytes(JPEG))


def test_a_notebook_shows_pictures() -> None:
    shown = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    for value, kind in (
        (Screenshot.from_bytes(png()), "image/png"),
        (Screenshot.from_bytes(JPEG), "image/jpeg"),
        (ScreenshotResult("R-1", True, data=png()), "image/png"),
    ):
        formats, _ = shown.format(value)
        assert formats.keys() == {"text/plain", kind}
    assert shown.format(ScreenshotResult())[0].keys() == {"text/plain"}


def test_saving_a_picture(tmp_path: Path) -> None:
    shot = Screenshot.from_bytes(png())
    assert shot.save(tmp_path / "a.PNG").read_bytes() == png()
    assert Screenshot.from_bytes(JPEG).save(str(tmp_path / "a.jpeg")).read_bytes() == JPEG
    for name in ("a.jpg", "a", "a.gif"):
        with pytest.raises(ValueError, match=r"the picture is saved with the suffix \.png"):
            shot.save(tmp_path / name)
    with pytest.raises(ValueError, match=r"b\.png: there is no picture to save"):
        ScreenshotResult().save(tmp_path / "b.png")
    assert {path.name for path in tmp_path.iterdir()} == {"a.PNG", "a.jpeg"}


@pytest.mark.parametrize(
    "value",
    [
        Window(3, "a", 10, 20, 300, 100, 9, "xterm", [Window(4, "b")]),
        Screenshot.from_bytes(png(), "R-1"),
        LaunchedApp(Window(3, "a"), [Process("xterm", 9)], "R-1"),
        ScreenshotResult("R-1", True, "", "screenshot", png(), "image/png", 3, 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_copies_are_equal(value: Any) -> None:
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert (twin, type(twin), repr(twin)) == (value, type(value), repr(value))
        assert len(repr(value)) < 400


# --- which window ------------------------------------------------------------------------------------------------


def test_window_query() -> None:
    there = [Window(1, "Notes - Editor", pname="gedit", pid=5), Window(2, "notes", pname="xterm", pid=6)]
    found = [
        windows.WindowQuery(title="notes"),
        windows.WindowQuery(title=re.compile("^notes", re.IGNORECASE)),
        windows.WindowQuery(pname="xterm"),
        windows.WindowQuery(pid=5),
        windows.WindowQuery(title="Notes", pid=6),
        windows.WindowQuery(),
    ]
    assert [getattr(query.first(there), "window_id", None) for query in found] == [2, 1, 2, 1, None, 1]
    assert str(windows.WindowQuery("a", "b", 3)) == "the title 'a' and the pname 'b' and the pid 3"
    assert windows.titles_of([]) == "none"
    assert windows.titles_of([Window(n, "x" * 99) for n in range(10)]).endswith(" and 2 more")


@pytest.mark.parametrize(
    ("query", "error", "text"),
    [
        (windows.WindowQuery(), ValueError, "name the window to be waited for: by title, pname or pid"),
        (windows.WindowQuery(title=""), ValueError, "title and pname are not empty"),
        (windows.WindowQuery(title=3), TypeError, "title is a string or a pattern"),  # type: ignore[arg-type]
        (windows.WindowQuery(title=re.compile(b"x")), TypeError, "a pattern for strings, not for bytes"),  # type: ignore[arg-type]
        (windows.WindowQuery(pname=3), TypeError, "pname is the name of a process, not int"),  # type: ignore[arg-type]
        (windows.WindowQuery(pid=True), TypeError, "pid is the id of a process"),
    ],
)
def test_window_query_that_cannot_match(query: windows.WindowQuery, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        query.check(is_needed=True)
