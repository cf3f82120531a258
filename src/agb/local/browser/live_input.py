"""What a person does in the live view of a browser, and the DevTools' calls that do it in the page."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

_Part = Annotated[float, Meta(ge=0, le=1)]
_Modifiers = Annotated[int, Meta(ge=0, le=15)]
_Call = tuple[str, dict[str, Any]]
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"[a-z0-9.-]+:\d+(/.*)?", re.IGNORECASE)


class Mouse(msgspec.Struct, frozen=True, tag="mouse"):
    """A button of the mouse, or a movement; the place is in parts of the picture's width and height."""

    kind: Literal["mousePressed", "mouseReleased", "mouseMoved"]
    x: _Part
    y: _Part
    button: Literal["none", "left", "middle", "right"] = "none"
    buttons: Annotated[int, Meta(ge=0, le=31)] = 0
    clicks: Annotated[int, Meta(ge=0, le=3)] = 0
    modifiers: _Modifiers = 0

    def calls(self, width: float, height: float) -> Iterator[_Call]:
        """Return the calls for a page of a size."""
        yield (
            "Input.dispatchMouseEvent",
            {
                "type": self.kind,
                "x": self.x * width,
                "y": self.y * height,
                "button": self.button,
                "buttons": self.buttons,
                "clickCount": self.clicks,
                "modifiers": self.modifiers,
            },
        )


class Wheel(msgspec.Struct, frozen=True, tag="wheel"):
    """The wheel, in pixels of the page."""

    x: _Part
    y: _Part
    dx: float = 0
    dy: float = 0
    modifiers: _Modifiers = 0

    def calls(self, width: float, height: float) -> Iterator[_Call]:
        """Return the calls for a page of a size."""
        place = {"x": self.x * width, "y": self.y * height, "modifiers": self.modifiers}
        yield "Input.dispatchMouseEvent", {"type": "mouseWheel", **place, "deltaX": self.dx, "deltaY": self.dy}


class Key(msgspec.Struct, frozen=True, tag="key"):
    """A key; ``text`` is what it types, ``number`` is its ``keyCode``."""

    is_down: bool
    key: Annotated[str, Meta(max_length=30)]
    code: Annotated[str, Meta(max_length=30)] = ""
    number: Annotated[int, Meta(ge=0, le=255)] = 0
    text: Annotated[str, Meta(max_length=4)] = ""
    modifiers: _Modifiers = 0
    repeat: bool = False

    def calls(self, *_: float) -> Iterator[_Call]:
        """Return the calls for a page."""
        kind = "keyUp" if not self.is_down else "keyDown" if self.text else "rawKeyDown"
        params = {"type": kind, "key": self.key, "code": self.code, "windowsVirtualKeyCode": self.number}
        params |= {"modifiers": self.modifiers, "autoRepeat": self.repeat}
        yield "Input.dispatchKeyEvent", params | ({"text": self.text} if self.is_down else {})


class Typed(msgspec.Struct, frozen=True, tag="text"):
    """Text that no key types: of an input method, or pasted."""

    text: Annotated[str, Meta(max_length=100_000)]

    def calls(self, *_: float) -> Iterator[_Call]:
        """Return the calls for a page."""
        yield "Input.insertText", {"text": self.text}


Input = Mouse | Wheel | Key | Typed


def address(text: str) -> str:
    """Return the URL of what a person types into an address bar; the scheme may be left out."""
    text = text.strip()
    if _SCHEME.match(text) and not _HOST_AND_PORT.fullmatch(text):
        return text
    host = text.partition("/")[0].partition(":")[0].lower()
    is_local = host == "localhost" or host.endswith(".localhost")
    try:
        ipaddress.ip_address(host)
        is_local = True
    except ValueError:
        pass  # a name
    return f"{'http' if is_local else 'https'}://{text}"
