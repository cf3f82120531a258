"""Windows of applications, through the window manager: what the standard EWMH offers to a task bar."""

from __future__ import annotations

from Xlib import X
from Xlib.error import XError

from . import processes
from .errors import DesktopError

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .display import Screen

_EFFECT_SECONDS = 3.0
"""How long the window manager, and the application that has to agree, may take."""
_PAGER = 2
"""The source of a request: not an application, but the user."""
_REMOVE, _ADD = 0, 1
_ICONIC = 3
_WITH_SIZE = 1 << 10 | 1 << 11 | _PAGER << 12


class Windows:
    """The windows of the screen, by their ids. Each change returns when it has happened.

    ``manage`` starts the window manager again if it was ended.
    """

    def __init__(self, screen: Screen, manage: Callable[[], None]) -> None:
        self._screen = screen
        self._manage = manage
        self._focused = 0
        """The window that focus mode keeps in front."""

    # --- looking ---

    def all(self) -> list[dict[str, Any]]:
        """Return the windows, the one that was opened first at the beginning."""
        found = (self._described(number) for number in self._ids())
        return [window for window in found if window is not None]

    def active(self) -> dict[str, Any] | str:
        """Return the window that has the focus, an empty text if none has."""
        number = self._active_id()
        return (self._described(number) if number else None) or ""

    def visible_applications(self) -> list[dict[str, Any]]:
        """Return the processes that have a window which is not minimised."""
        owners = (self._owner(number) for number in self._ids() if not self._has(number, "HIDDEN"))
        return [processes.described(pid) for pid in dict.fromkeys(owners) if pid is not None]

    # --- changing ---

    def activate(self, window_id: int) -> None:
        """Give a window the focus and show it in front; a minimised one is shown again."""
        self._check(window_id)
        self._show(window_id)

    def close(self, window_id: int) -> None:
        """Ask the application to close a window."""
        window = self._check(window_id)
        self._screen.send_to_manager(window, "_NET_CLOSE_WINDOW", X.CurrentTime, _PAGER)
        if not self._screen.wait(lambda: window_id not in self._ids(), _EFFECT_SECONDS):
            raise DesktopError(
                f"the window {window_id} is still open: its application may be asking what to do with unsaved data, "
                "or does not answer"
            )

    def minimize(self, window_id: int) -> None:
        """Minimise a window."""
        window = self._check(window_id)
        self._screen.send_to_manager(window, "WM_CHANGE_STATE", _ICONIC)
        self._wait(window_id, "minimised", lambda: self._has(window_id, "HIDDEN"))

    def maximize(self, window_id: int) -> None:
        """Let a window fill the screen; a minimised one is shown again."""
        self._check(window_id)
        self._show(window_id)
        self._set(window_id, _REMOVE, "FULLSCREEN")
        self._set(window_id, _ADD, "MAXIMIZED_VERT", "MAXIMIZED_HORZ")
        self._wait(window_id, "maximised", lambda: self._has(window_id, "MAXIMIZED_VERT", "MAXIMIZED_HORZ"))

    def restore(self, window_id: int) -> None:
        """Show a minimised window again as it was; give another one its normal size."""
        self._check(window_id)
        if self._has(window_id, "HIDDEN"):
            self._show(window_id)
        else:
            self._to_normal_size(window_id)

    def fullscreen(self, window_id: int) -> None:
        """Let a window cover the screen without a frame."""
        self._check(window_id)
        self._show(window_id)
        self._set(window_id, _ADD, "FULLSCREEN")
        self._wait(window_id, "shown on the full screen", lambda: self._has(window_id, "FULLSCREEN"))

    def resize(self, window_id: int, width: int, height: int) -> None:
        """Give a window another size; its application may round it, to whole characters for example."""
        window = self._check(window_id)
        self._to_normal_size(window_id)
        before = self._size(window)
        if before == (width, height):
            return
        self._screen.send_to_manager(window, "_NET_MOVERESIZE_WINDOW", _WITH_SIZE, 0, 0, width, height)
        if not self._screen.wait(lambda: self._size(window) != before, _EFFECT_SECONDS):
            raise DesktopError(f"the window {window_id} keeps its size of {before[0]}x{before[1]}")

    def focus_mode(self, on: bool) -> None:
        """Keep the window that has the focus in front of all others, or let them overlap again."""
        self._manage()
        if self._focused in self._ids():
            self._set(self._focused, _REMOVE, "ABOVE")
        self._focused = self._active_id() if on else 0
        if self._focused:
            self._set(self._focused, _ADD, "ABOVE")

    # --- one window ---

    def _window(self, number: int) -> Any:
        return self._screen.display.create_resource_object("window", number)

    def _check(self, window_id: int) -> Any:
        """Return a window. Raises `DesktopError` if there is none (any more)."""
        self._manage()
        if window_id not in self._ids():
            raise DesktopError(f"there is no window {window_id} (any more); list_root_windows returns those there are")
        return self._window(window_id)

    def _ids(self) -> list[int]:
        return self._screen.numbers(self._screen.root, "_NET_CLIENT_LIST")

    def _active_id(self) -> int:
        return next(iter(self._screen.numbers(self._screen.root, "_NET_ACTIVE_WINDOW")), 0)

    def _described(self, number: int) -> dict[str, Any] | None:
        """Return what is known of a window, None if it has been closed meanwhile."""
        window = self._window(number)
        try:
            geometry = window.get_geometry()
            corner = self._screen.root.translate_coords(window, 0, 0)
            title = window.get_full_text_property(self._screen.atom("_NET_WM_NAME")) or window.get_wm_name() or ""
        except XError:
            return None
        pid = self._owner(number)
        return {
            "window_id": number,
            "title": title if isinstance(title, str) else title.decode("utf-8", "replace"),
            "absolute_upper_left_x": corner.x,
            "absolute_upper_left_y": corner.y,
            "width": geometry.width,
            "height": geometry.height,
            "pid": pid,
            "pname": None if pid is None else processes.name(pid),
            "child_windows": [],
        }

    def _owner(self, number: int) -> int | None:
        """Return the process of a window, None if its application does not say it."""
        return next(iter(self._screen.numbers(self._window(number), "_NET_WM_PID")), None)

    def _size(self, window: Any) -> tuple[int, int]:
        try:
            geometry = window.get_geometry()
        except XError:
            return 0, 0
        return geometry.width, geometry.height

    def _has(self, number: int, *states: str) -> bool:
        found = self._screen.numbers(self._window(number), "_NET_WM_STATE")
        return all(self._screen.atom(f"_NET_WM_STATE_{state}") in found for state in states)

    def _show(self, number: int) -> None:
        """Give a window the focus and wait for it."""
        self._screen.send_to_manager(self._window(number), "_NET_ACTIVE_WINDOW", _PAGER)
        self._wait(number, "activated", lambda: self._active_id() == number and not self._has(number, "HIDDEN"))

    def _to_normal_size(self, number: int) -> None:
        self._set(number, _REMOVE, "FULLSCREEN")
        self._set(number, _REMOVE, "MAXIMIZED_VERT", "MAXIMIZED_HORZ")
        sizes = ("FULLSCREEN", "MAXIMIZED_VERT", "MAXIMIZED_HORZ")
        self._wait(number, "restored", lambda: not any(self._has(number, state) for state in sizes))

    def _set(self, number: int, action: int, *states: str) -> None:
        atoms = [self._screen.atom(f"_NET_WM_STATE_{state}") for state in states]
        second = atoms[1] if len(atoms) > 1 else 0
        self._screen.send_to_manager(self._window(number), "_NET_WM_STATE", action, atoms[0], second, _PAGER)

    def _wait(self, number: int, done: str, condition: Callable[[], bool]) -> None:
        if not self._screen.wait(condition, _EFFECT_SECONDS):
            why = "it refuses that" if number in self._ids() else "it has been closed"
            raise DesktopError(f"the window {number} was not {done}: {why}")
