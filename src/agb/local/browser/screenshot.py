"""Pictures of the page that is active in a browser."""

from __future__ import annotations

import base64
import struct
from typing import Literal

from attrs import frozen

from .cdp import CdpError
from .devtools import NoAnswer
from .process import Browser

_JPEG_QUALITY = 90


@frozen
class Screenshot:
    """A picture: its bytes in base64, and its size in pixels."""

    data: str
    width: int
    height: int


async def take(browser: Browser, kind: Literal["png", "jpeg"]) -> Screenshot:
    """Return a picture of what the active page shows. Raises ``CdpError``, also when no page is open."""
    try:
        pages = await browser.pages()
    except NoAnswer as error:
        raise CdpError(str(error)) from error
    if not pages:
        raise CdpError("no page is open")
    cdp = await browser.open_cdp(f"/devtools/page/{pages[0]['id']}")
    try:
        options = {"format": kind} | ({"quality": _JPEG_QUALITY} if kind == "jpeg" else {})
        data = str((await cdp.call("Page.captureScreenshot", options))["data"])
    finally:
        await cdp.close()
    width, height = _size(base64.b64decode(data))
    return Screenshot(data, width, height)


def _size(image: bytes) -> tuple[int, int]:
    """Return the width and the height that a PNG or JPEG image says it has."""
    if image.startswith(b"\x89PNG"):
        width, height = struct.unpack_from(">II", image, 16)
        return width, height
    at = 2
    while at + 9 <= len(image):
        marker, length = struct.unpack_from(">HH", image, at)
        if 0xFFC0 <= marker <= 0xFFC2:  # start of frame: precision, height, width
            height, width = struct.unpack_from(">HH", image, at + 5)
            return width, height
        at += 2 + length
    raise CdpError("the browser sent no valid image")
