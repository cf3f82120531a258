"""The tools of a desktop: the arguments of each, and the request to the session's desktop."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from .arguments import Arguments, Text
from .session import LocalSession
from .tools import NoArguments, Tool, ToolReply

_SERVER: Final = "wuying_ui"
_CAPTURE_SERVER: Final = "wuying_capture"
_MOST_NOTCHES: Final = 1000

X = Annotated[int, Meta(description="Pixels from the left edge of the screen.")]
Y = Annotated[int, Meta(description="Pixels from the upper edge of the screen.")]
Button = Literal["left", "right", "middle"]
Keys = Annotated[
    list[Annotated[Text, Meta(min_length=1)]],
    Meta(description="Names of keys, or the characters they type; all are pressed together.", min_length=1),
]


class PointArguments(Arguments, frozen=True):
    """Arguments of ``move_mouse``."""

    x: X
    y: Y


class ClickArguments(Arguments, frozen=True):
    """Arguments of ``click_mouse``."""

    x: X
    y: Y
    button: Annotated[
        Literal["left", "right", "middle", "double_left"], Meta(description="The button; double_left clicks twice.")
    ] = "left"


class DragArguments(Arguments, frozen=True):
    """Arguments of ``drag_mouse``."""

    from_x: X
    from_y: Y
    to_x: X
    to_y: Y
    button: Annotated[Button, Meta(description="The button that is held.")] = "left"


class ScrollArguments(Arguments, frozen=True):
    """Arguments of ``scroll``."""

    x: X
    y: Y
    direction: Annotated[
        Literal["up", "down", "left", "right"], Meta(description="Where the view moves to, as a wheel moves it.")
    ] = "up"
    amount: Annotated[int, Meta(description="Notches of the wheel.", ge=0, le=_MOST_NOTCHES)] = 1


class TypeArguments(Arguments, frozen=True):
    """Arguments of ``input_text``."""

    text: Annotated[str, Meta(description="Text of any language; a line end presses Enter, a tab Tab.")]


class PressArguments(Arguments, frozen=True):
    """Arguments of ``press_keys``."""

    keys: Keys
    hold: Annotated[bool, Meta(description="Whether they stay down until release_keys.")] = False


class ReleaseArguments(Arguments, frozen=True):
    """Arguments of ``release_keys``."""

    keys: Keys


class ScreenshotArguments(Arguments, frozen=True):
    """Arguments of ``screenshot``."""

    format: Annotated[Literal["png", "jpeg"], Meta(description="The form of the picture.")] = "png"


def _tool(name: str, description: str, kind: type[Arguments] = NoArguments, server: str = _SERVER) -> Tool:
    async def function(session: LocalSession, given: Any) -> ToolReply:
        reply = await session.on_desktop(name, msgspec.to_builtins(given))
        return ToolReply(reply.text, is_error=not reply.ok)

    return Tool(name, server, description, kind, function)


DESKTOP_TOOLS: Final = (
    _tool("click_mouse", "Move the mouse to a point and click.", ClickArguments),
    _tool("move_mouse", "Move the mouse to a point.", PointArguments),
    _tool("drag_mouse", "Press a button at a point, move the mouse to another one, release.", DragArguments),
    _tool("scroll", "Move the mouse to a point and turn its wheel.", ScrollArguments),
    _tool("get_cursor_position", "Return where the mouse is, as JSON."),
    _tool("input_text", "Type a text.", TypeArguments),
    _tool("press_keys", "Press keys together and release them, or hold them.", PressArguments),
    _tool("release_keys", "Release keys that are held.", ReleaseArguments),
    _tool("get_screen_size", "Return the size of the screen in pixels, as JSON."),
    _tool("screenshot", "Return a picture of the screen in base64, as JSON.", ScreenshotArguments, _CAPTURE_SERVER),
)
