"""The operations of the desktop: which function serves which tool."""

from __future__ import annotations

from .display import Screen
from .keyboard import Keyboard
from .picture import Pictures
from .pointer import Pointer

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def operations(display: str) -> dict[str, Callable[..., Any]]:
    """Return the functions that serve the tools, by the tools' names; their parameters are the tools' arguments.

    A function returns None (done), a text, or a value that is sent as JSON. If it returns a function, that is called in
    a thread and returns the result.
    """
    screen = Screen(display)
    pointer, keyboard, pictures = Pointer(screen), Keyboard(screen), Pictures(screen)
    return {
        "click_mouse": pointer.click,
        "move_mouse": pointer.move,
        "drag_mouse": pointer.drag,
        "scroll": pointer.scroll,
        "get_cursor_position": pointer.position,
        "input_text": keyboard.type,
        "press_keys": keyboard.press,
        "release_keys": keyboard.release,
        "get_screen_size": screen.size,
        "screenshot": pictures.screenshot,
        "system_screenshot": pictures.file,
    }
