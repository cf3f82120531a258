"""Pictures of the screen."""

from __future__ import annotations

import base64
import io
import struct
import zlib

from PIL import Image
from Xlib import X

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .display import Screen

_ALL_PLANES = 0xFFFF_FFFF
_STRIP = 135
"""Rows asked for at a time. With more, python-xlib copies much of a reply again for each part of it that arrives; with
fewer, there are more round trips."""
_JPEG_QUALITY = 90
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")


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
    return _png(picture) if format == "png" else _jpeg(picture)


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "jpeg", quality=_JPEG_QUALITY)
    return file.getvalue()


def _png(picture: Image.Image) -> bytes:
    """Return a PNG file in half the time that Pillow takes for a screen full of text, and of the same size.

    Pillow tries five filters for each row, which helps with photographs. Here no row has a filter, and the compression
    is the fastest one.
    """
    pixels, row = picture.tobytes(), 3 * picture.width
    rows = b"".join([b"\0" + pixels[start : start + row] for start in range(0, len(pixels), row)])
    header = _HEADER.pack(picture.width, picture.height, 8, 2, 0, 0, 0)  # 8 bits each of red, green and blue
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
