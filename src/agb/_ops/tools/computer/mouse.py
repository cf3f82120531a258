"""The mouse: clicks, moves, drags, the wheel, and where the pointer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...._wire.shape import WHOLE, Object, needed
from ...._wire.toolcall import ToolCall, ToolReply
from ....desktop import CursorPosition, MouseButton, ScrollDirection
from ....results.base import BoolResult, OperationResult
from . import action, check_number, desktop_call, invalid_answer

if TYPE_CHECKING:
    from ....results.narrowed import OperationFailure, OperationSuccess

BUTTONS = tuple(button.value for button in MouseButton)
DRAG_BUTTONS = tuple(button for button in BUTTONS if button != MouseButton.DOUBLE_LEFT)
DIRECTIONS = tuple(direction.value for direction in ScrollDirection)
MOST_NOTCHES = 1000
"""By how many notches one call can turn the wheel."""
_NOTCH_SECONDS = 0.02
"""How long a notch may take; a program that scrolls smoothly handles them one after the other."""

POSITION = Object({"x": needed(WHOLE), "y": needed(WHOLE)})


def click_mouse(x: int, y: int, button: MouseButton | str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that clicks at a point."""
    name = _one_of("button", button, BUTTONS)
    args = {**_point(x, y), "button": name}
    return action("click_mouse", args, session_id, f"click the button {name!r} at ({x}, {y})")


def move_mouse(x: int, y: int, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that moves the pointer."""
    return action("move_mouse", _point(x, y), session_id, f"move the pointer to ({x}, {y})", repeatable=True)


def drag_mouse(
    x1: int, y1: int, x2: int, y2: int, button: MouseButton | str, *, session_id: str
) -> ToolCall[BoolResult]:
    """Return the call that presses a button at a point and releases it at another."""
    name = _one_of("button", button, DRAG_BUTTONS)
    args = {
        "from_x": _coordinate("x1", x1),
        "from_y": _coordinate("y1", y1),
        "to_x": _coordinate("x2", x2),
        "to_y": _coordinate("y2", y2),
        "button": name,
    }
    return action("drag_mouse", args, session_id, f"drag from ({x1}, {y1}) to ({x2}, {y2})")


def scroll(x: int, y: int, direction: ScrollDirection | str, amount: int, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that turns the wheel at a point."""
    name = _one_of("direction", direction, DIRECTIONS)
    amount = check_number("amount", amount, "how many notches the wheel is turned by", most=MOST_NOTCHES)
    args = {**_point(x, y), "direction": name, "amount": amount}
    description = f"scroll {name} by {amount} at ({x}, {y})"
    return action("scroll", args, session_id, description, seconds=amount * _NOTCH_SECONDS)


def get_cursor_position(*, session_id: str) -> ToolCall[OperationSuccess[CursorPosition] | OperationFailure]:
    """Return the call that returns where the pointer is."""

    def read(reply: ToolReply) -> OperationSuccess[CursorPosition] | OperationFailure:
        try:
            position = CursorPosition(reply.text or "")
        except (ValueError, RecursionError) as error:
            raise invalid_answer(f"Failed to parse the cursor position: {error}", reply, session_id) from error
        return OperationResult.of(position, reply.request_id)

    description = "get the position of the pointer"
    return desktop_call("get_cursor_position", {}, read, session_id, description, repeatable=True, shape=POSITION)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return the text of a button or direction; the error for another one is that of 0.12."""
    text = str(value)
    if text not in allowed:
        raise ValueError(f"Invalid {name} '{text}'. Must be one of {list(allowed)}")
    return text


def _point(x: int, y: int) -> dict[str, int]:
    return {"x": _coordinate("x", x), "y": _coordinate("y", y)}


def _coordinate(name: str, value: int) -> int:
    edge = "left" if name.startswith("x") else "upper"
    return check_number(name, value, f"a number of pixels from the {edge} edge of the screen", least=0)
