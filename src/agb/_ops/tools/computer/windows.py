"""The windows of a desktop."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from ...._wire.shape import TEXT, WHOLE, Array, Object, Shape, maybe
from ...._wire.toolcall import ToolCall, ToolReply
from ....desktop import Window
from ....exceptions import ApplicationError
from ....results.base import BoolResult
from ....results.desktop import WindowInfoResult, WindowListResult
from . import action, check_flag, check_number, desktop_call, parsed


class _Children(Shape):
    """The windows inside a window, which may contain windows."""

    def read(self, value: Any, place: str) -> list[dict[str, Any]]:
        """Return the windows."""
        return WINDOWS.read(value, place)


WINDOW = Object(
    {
        "window_id": maybe(WHOLE),
        "title": maybe(TEXT),
        **dict.fromkeys(("absolute_upper_left_x", "absolute_upper_left_y", "width", "height", "pid"), maybe(WHOLE)),
        "pname": maybe(TEXT),
        "child_windows": maybe(_Children()),
    }
)
WINDOWS = Array(WINDOW)
ACTIONS = {
    "activate_window": "activate the window {}",
    "close_window": "close the window {}",
    "maximize_window": "maximize the window {}",
    "minimize_window": "minimize the window {}",
    "restore_window": "restore the window {}",
    "fullscreen_window": "show the window {} full screen",
}
"""The tools whose only argument is a window, and what each does, for errors."""
_LONGEST_LISTING = 86_400_000
_SHOWN_TITLES = 8
_ID = "the id of a window, as in window.window_id"


def list_root_windows(timeout_ms: int, *, session_id: str) -> ToolCall[WindowListResult]:
    """Return the call that lists the windows; an answer without text is an empty list, as in 0.12."""
    timeout_ms = check_number("timeout_ms", timeout_ms, "a number of milliseconds", most=_LONGEST_LISTING)

    def read(reply: ToolReply) -> WindowListResult:
        values = []
        if reply.text:
            values = parsed(reply, WINDOWS, session_id, "Failed to parse windows JSON", ApplicationError)
        return WindowListResult.of([_window(value) for value in values], reply.request_id)

    return desktop_call(
        "list_root_windows",
        {"timeout_ms": timeout_ms},
        read,
        session_id,
        "list the windows",
        error=ApplicationError,
        repeatable=True,
        seconds=timeout_ms / 1000,
        shape=WINDOWS,
    )


def get_active_window(*, session_id: str) -> ToolCall[WindowInfoResult]:
    """Return the call that returns the active window; an answer without text, or with ``{}``, is none."""

    def read(reply: ToolReply) -> WindowInfoResult:
        if not reply.text:
            return WindowInfoResult.of(None, reply.request_id)
        value = parsed(reply, WINDOW, session_id, "Failed to parse window JSON", ApplicationError)
        return WindowInfoResult.of(_window(value) if value else None, reply.request_id)

    description = "get the active window"
    return desktop_call(
        "get_active_window",
        {},
        read,
        session_id,
        description,
        error=ApplicationError,
        repeatable=True,
        shape=WINDOW,
    )


def window_action(name: str, window_id: int, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call of a tool of `ACTIONS`."""
    window_id = check_number("window_id", window_id, _ID)
    is_repeatable = name != "close_window"  # a repetition would not find the window that the first call has closed
    return _action(name, {"window_id": window_id}, session_id, ACTIONS[name].format(window_id), is_repeatable)


def resize_window(window_id: int, width: int, height: int, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that changes the size of a window."""
    args = {
        "window_id": check_number("window_id", window_id, _ID),
        "width": check_number("width", width, "a number of pixels"),
        "height": check_number("height", height, "a number of pixels"),
    }
    return _action("resize_window", args, session_id, f"resize the window {window_id} to {width}x{height}")


def focus_mode(on: bool, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that switches the focus mode."""
    args = {"on": check_flag("on", on)}
    return _action("focus_mode", args, session_id, f"switch the focus mode {'on' if on else 'off'}")


def _action(
    name: str, args: dict[str, Any], session_id: str, description: str, repeatable: bool = True
) -> ToolCall[BoolResult]:
    return action(name, args, session_id, description, error=ApplicationError, repeatable=repeatable)


def _window(value: dict[str, Any]) -> Window:
    children = [_window(child) for child in value.get("child_windows", [])]
    return Window(**{"window_id": 0, "title": "", **value, "child_windows": children})


# --- waiting for a window ----------------------------------------------------------------------------------------


@frozen
class WindowQuery:
    """Which window is waited for; a window must match all that are not None.

    Attributes:
        title: a part of its title, or a pattern that is found in it.
        pname: the exact name of its process.
        pid: the id of its process.
    """

    title: str | re.Pattern[str] | None = None
    pname: str | None = None
    pid: int | None = None

    def check(self, *, is_needed: bool) -> None:
        """Raise ``TypeError`` or ``ValueError`` if nothing can match; with ``is_needed`` also if everything does."""
        if self.title is not None and not isinstance(self.title, str | re.Pattern):
            raise TypeError(f"title is a string or a pattern of re.compile, not {type(self.title).__name__}")
        if isinstance(self.title, re.Pattern) and not isinstance(self.title.pattern, str):
            raise TypeError("title is a pattern for strings, not for bytes")
        if self.pname is not None and not isinstance(self.pname, str):
            raise TypeError(f"pname is the name of a process, not {type(self.pname).__name__}")
        if "" in (self.title, self.pname):
            raise ValueError("title and pname are not empty; None is for any")
        if self.pid is not None:
            check_number("pid", self.pid, "the id of a process")
        if is_needed and (self.title, self.pname, self.pid) == (None, None, None):
            raise ValueError("name the window to be waited for: by title, pname or pid")

    def first(self, windows: Iterable[Window]) -> Window | None:
        """Return the first window that matches."""
        return next((window for window in windows if self._matches(window)), None)

    def _matches(self, window: Window) -> bool:
        if isinstance(self.title, str) and self.title not in window.title:
            return False
        if isinstance(self.title, re.Pattern) and not self.title.search(window.title):
            return False
        return self.pname in (None, window.pname) and self.pid in (None, window.pid)

    def __str__(self) -> str:
        title = self.title.pattern if isinstance(self.title, re.Pattern) else self.title
        named = {"title": title, "pname": self.pname, "pid": self.pid}
        return " and ".join(f"the {name} {value!r}" for name, value in named.items() if value is not None)


def titles_of(windows: Iterable[Window]) -> str:
    """Return the titles of windows for an error text."""
    titles = [window.title for window in windows]
    more = f" and {len(titles) - _SHOWN_TITLES} more" if len(titles) > _SHOWN_TITLES else ""
    return ", ".join(repr(title[:80]) for title in titles[:_SHOWN_TITLES]) + more or "none"
