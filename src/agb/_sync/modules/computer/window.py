# Generated from src/agb/_async/modules/computer/window.py by tools/unasync.py. Do not edit.
"""The windows of a session's desktop."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...._ops.tools.computer import windows as ops
from ....exceptions import ApplicationError, ErrorKind
from ....results.base import BoolResult
from ....results.desktop import WindowInfoResult, WindowListResult
from ..tools import tool_result
from .polling import DesktopCalls

if TYPE_CHECKING:
    from ....desktop import Window
    from ..protocols import SessionAccess

LISTING_MS = 3000
"""Milliseconds that the desktop may take for a list of windows, as by default in 0.12."""


class WindowManager:
    """The windows; available as ``session.computer.window``.

    A window is named by its ``window_id``; one that is gone is a failure. Every method but `wait` returns a result, and
    raises for wrong arguments only; ``timeout`` is the time for the whole call in seconds.
    """

    def __init__(self, session: SessionAccess) -> None:
        self.session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    def list_root_windows(self, timeout_ms: int = 3000, *, timeout: float | None = None) -> WindowListResult:
        """Return the windows of the desktop as ``windows``, minimized ones included.

        Args:
            timeout_ms: milliseconds that the desktop may take.
            timeout: seconds for the whole call; without it, the client's time-out on top of ``timeout_ms``.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     app = session.computer.app.launch("xterm -T notes")
            ...     listed = session.computer.window.list_root_windows()
            ...     print([window.title for window in listed.windows])
            ['notes']

        API: the tool ``list_root_windows``.
        """
        call = ops.list_root_windows(timeout_ms, session_id=self.session.session_id)
        return tool_result(self.session, call, WindowListResult, timeout=timeout)

    def get_active_window(self, *, timeout: float | None = None) -> WindowInfoResult:
        """Return the window that has the keyboard as ``window``, None if there is none.

        API: the tool ``get_active_window``.
        """
        call = ops.get_active_window(session_id=self.session.session_id)
        return tool_result(self.session, call, WindowInfoResult, timeout=timeout)

    def wait(
        self,
        title: str | re.Pattern[str] | None = None,
        *,
        pname: str | None = None,
        pid: int | None = None,
        timeout: float | None = None,
    ) -> Window:
        """Wait until there is a window, and return it; the list of windows is requested again and again.

        Args:
            title: a part of the title, or a pattern that is found in it.
            pname: the exact name of its process.
            pid: the id of its process.
            timeout: seconds; without it, the client's time-out.

        Returns:
            The first window that matches all of them.

        Raises:
            ApplicationError: there was none in time (its ``kind`` is ``TIMED_OUT``), or the windows cannot be listed.
            ValueError, TypeError: an argument is invalid, or no window is described; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     started = session.computer.app.start("xterm -T notes")
            ...     window = session.computer.window.wait(title="notes", timeout=30)
            ...     print(window.title)
            notes

        API: the tool ``list_root_windows``.
        """
        query = ops.WindowQuery(title, pname, pid)
        query.check(is_needed=True)
        calls = DesktopCalls(self.session, timeout)
        windows: list[Window] = []

        def find() -> Window | None:
            nonlocal windows
            windows = list_windows(calls)
            return query.first(windows)

        window = calls.poll(find)
        if window is None:
            text = f"No window with {query} appeared {calls.deadline.description}"
            raise no_window(text, windows, self.session.session_id)
        return window

    def activate(self, window_id: int, *, timeout: float | None = None) -> BoolResult:
        """Raise a window above the others and give it the keyboard; a minimized one is restored.

        Raises:
            ValueError, TypeError: the id is invalid; nothing was sent.

        API: the tool ``activate_window``.
        """
        return self._act("activate_window", window_id, timeout)

    def close(self, window_id: int, *, timeout: float | None = None) -> BoolResult:
        """Ask a window to close, as the button in its title bar does; the application may take a while, or ask back.

        Raises:
            ValueError, TypeError: the id is invalid; nothing was sent.

        API: the tool ``close_window``.
        """
        return self._act("close_window", window_id, timeout)

    def maximize(self, window_id: int, *, timeout: float | None = None) -> BoolResult:
        """Make a window as large as the screen allows.

        Raises:
            ValueError, TypeError: the id is invalid; nothing was sent.

        API: the tool ``maximize_window``.
        """
        return self._act("maximize_window", window_id, timeout)

    def minimize(self, window_id: int, *, timeout: float | None = None) -> BoolResult:
        """Take a window off the screen; it stays in the list of windows.

        Raises:
            ValueError, TypeError: the id is invalid; nothing was sent.

        API: the tool ``minimize_window``.
        """
        return self._act("minimize_window", window_id, timeout)

    def restore(self, window_id: int, *, timeout: float | None = None) -> BoolResult:
        """Show a window as it was before it was minimized, maximized or shown full screen.

        Raises:
            ValueError, TypeError: the id is invalid; nothing was sent.

        API: the tool ``restore_window``.
        """
        return self._act("restore_window", window_id, timeout)

    def fullscreen(self, window_id: int, *, timeout: float | None = None) -> BoolResult:
        """Show a window on the whole screen, without its title bar.

        Raises:
            ValueError, TypeError: the id is invalid; nothing was sent.

        API: the tool ``fullscreen_window``.
        """
        return self._act("fullscreen_window", window_id, timeout)

    def resize(self, window_id: int, width: int, height: int, *, timeout: float | None = None) -> BoolResult:
        """Change the size of a window, in pixels; an application may round it to whole characters.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        API: the tool ``resize_window``.
        """
        call = ops.resize_window(window_id, width, height, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)

    def focus_mode(self, on: bool, *, timeout: float | None = None) -> BoolResult:
        """Switch the focus mode of the desktop on or off; what it does depends on the service, and may be nothing.

        Raises:
            TypeError: ``on`` is not True or False; nothing was sent.

        API: the tool ``focus_mode``.
        """
        call = ops.focus_mode(on, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)

    def _act(self, tool: str, window_id: int, timeout: float | None) -> BoolResult:
        call = ops.window_action(tool, window_id, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)


def list_windows(calls: DesktopCalls) -> list[Window]:
    """Return the windows, within the time that is left; raise `ApplicationError` if they cannot be listed."""
    milliseconds = min(LISTING_MS, max(1, int(calls.deadline.left() * 1000)))
    return calls.run(ops.list_root_windows(milliseconds, session_id=calls.session_id)).windows


def no_window(text: str, windows: list[Window], session_id: str) -> ApplicationError:
    """Return the error of a window that did not appear; the text names those that there are."""
    there = ops.titles_of(windows)
    return ApplicationError(
        f"{text}; the windows there are: {there}", kind=ErrorKind.TIMED_OUT, session_id=session_id, retryable=True
    )
