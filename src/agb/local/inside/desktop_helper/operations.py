"""The operations of the desktop: which function serves which tool."""

from __future__ import annotations

from . import processes
from .applications import installed
from .display import Screen
from .keyboard import Keyboard
from .picture import Pictures
from .pointer import Pointer
from .windows import Windows

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def operations(display: str, manage: Callable[[], None]) -> dict[str, Callable[..., Any]]:
    """Return the functions that serve the tools, by the tools' names; their parameters are the tools' arguments.

    A function returns None (done), a text, or a value that is sent as JSON. If it returns a function, that is called in
    a thread and returns the result. ``manage`` starts the window manager if it does not run.
    """
    screen = Screen(display)
    pointer, keyboard, pictures = Pointer(screen), Keyboard(screen), Pictures(screen)
    windows = Windows(screen, manage)
    return {
        "click_mouse": pointer.click,
        "move_mouse": pointer.move,
        "drag_mouse": pointer.drag,
        "scroll": pointer.scroll,
        "get_cursor_position": pointer.position,
        "input_text": keyboard.type,
        "press_keys": keyboard.press,
        "release_keys": keyboard.release,
        "list_root_windows": windows.all,
        "get_active_window": windows.active,
        "activate_window": windows.activate,
        "close_window": windows.close,
        "maximize_window": windows.maximize,
        "minimize_window": windows.minimize,
        "restore_window": windows.restore,
        "resize_window": windows.resize,
        "fullscreen_window": windows.fullscreen,
        "focus_mode": windows.focus_mode,
        "started_by": processes.started_by,
        "stop_app_by_pname": processes.stop_by_name,
        "stop_app_by_pid": processes.stop_by_pid,
        "get_installed_apps": installed,
        "list_visible_apps": windows.visible_applications,
        "get_screen_size": screen.size,
        "screenshot": pictures.screenshot,
        "system_screenshot": pictures.file,
    }
