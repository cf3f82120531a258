"""Pictures of the screen."""

from __future__ import annotations

import base64
import io

from PIL import Image
from Xlib import X

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .display import Screen

_ALL_PLANES = 0xFFFF_FFFF
_STRIP = 16
"""Rows asked for at a time: python-xlib copies a reply for each part of it that arrives."""
_SETTINGS: dict[str, dict[str, Any]] = {"png": {"compress_level": 1}, "jpeg": {"quality": 90}}
"""Of a picture of 1920x1080, a higher level saves a tenth of the size and takes twice the time."""


class Pictures:
    """Takes pictures of the whole screen, without the mouse pointer.

    Both methods take the picture and return a function that encodes it, which takes longer and needs no screen.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def file(self) -> Callable[[], bytes]:
        """Return what returns a picture as a PNG file."""
        picture = self._take()
        return lambda: _encode(picture, "png")

    def screenshot(self, format: str) -> Callable[[], dict[str, Any]]:
        """Return what returns a picture in base64 and its properties; the format is ``png`` or ``jpeg``."""
        picture = self._take()

        def result() -> dict[str, Any]:
            data = base64.b64encode(_encode(picture, format)).decode()
            size = {"width": picture.width, "height": picture.height}
            return {"type": "screenshot", "mime_type": f"image/{format}", "data": data, **size}

        return result

    def _take(self) -> Image.Image:
        width, height = self._screen.width, self._screen.height
        strips = (
            self._screen.root.get_image(0, top, width, min(_STRIP, height - top), X.ZPixmap, _ALL_PLANES).data
            for top in range(0, height, _STRIP)
        )
        return Image.frombytes("RGB", (width, height), b"".join(strips), "raw", "BGRX")


def _encode(picture: Image.Image, format: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **_SETTINGS[format])
    return file.getvalue()
