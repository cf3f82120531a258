"""The mouse: moving, clicking, dragging, scrolling."""

from __future__ import annotations

from Xlib import X
from Xlib.ext import xtest

from .errors import DesktopError

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from .display import Screen

_BUTTONS = {"left": 1, "middle": 2, "right": 3}
_WHEEL = {"up": 4, "down": 5, "left": 6, "right": 7}
_DRAG_STEPS = 12
"""Positions between the ends of a drag: applications begin to drag only after the mouse has moved a little."""


class Pointer:
    """The mouse of the screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def position(self) -> dict[str, int]:
        """Return where it is, in pixels from the upper left corner."""
        found = self._screen.root.query_pointer()
        return {"x": found.root_x, "y": found.root_y}

    def move(self, x: int, y: int) -> None:
        """Move it. Raises `DesktopError` for a point off the screen."""
        self._check(x, y)
        self._move(x, y)
        self._screen.sync()

    def click(self, x: int, y: int, button: str) -> None:
        """Move it and click, with ``double_left`` twice."""
        self._check(x, y)
        self._move(x, y)
        is_double = button == "double_left"
        for _ in range(2 if is_double else 1):
            self._click(_BUTTONS["left" if is_double else button])
        self._screen.sync()

    def drag(self, from_x: int, from_y: int, to_x: int, to_y: int, button: str) -> None:
        """Press a button at the start, move the mouse to the end and release it there."""
        start, end = (from_x, from_y), (to_x, to_y)
        self._check(*start)
        self._check(*end)
        self._move(*start)
        self._send(X.ButtonPress, _BUTTONS[button])
        for step in range(1, _DRAG_STEPS + 1):
            part = step / _DRAG_STEPS
            self._move(*(round(a + (b - a) * part) for a, b in zip(start, end, strict=True)))
        self._send(X.ButtonRelease, _BUTTONS[button])
        self._screen.sync()

    def scroll(self, x: int, y: int, direction: str, amount: int) -> None:
        """Move it and turn the wheel by some notches."""
        self._check(x, y)
        self._move(x, y)
        for _ in range(amount):
            self._click(_WHEEL[direction])
        self._screen.sync()

    def _check(self, x: int, y: int) -> None:
        width, height = self._screen.width, self._screen.height
        if not (0 <= x < width and 0 <= y < height):
            raise DesktopError(
                f"({x}, {y}) is off the screen, which has {width}x{height} pixels: "
                f"x is from 0 to {width - 1}, y from 0 to {height - 1}"
            )

    def _move(self, x: int, y: int) -> None:
        xtest.fake_input(self._screen.display, X.MotionNotify, x=x, y=y)

    def _click(self, button: int) -> None:
        self._send(X.ButtonPress, button)
        self._send(X.ButtonRelease, button)

    def _send(self, event: int, button: int) -> None:
        xtest.fake_input(self._screen.display, event, button)
