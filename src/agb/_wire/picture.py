"""Pictures: the format, the size and the content of a PNG or JPEG, read from its bytes."""

from __future__ import annotations

PNG, JPEG = "image/png", "image/jpeg"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"tRNS"})
"""The chunks of a PNG that its pixels depend on; others hold texts and times."""
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of a JPEG that no length follows."""
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of a JPEG that the size follows."""


def format_of(data: bytes) -> str:
    """Return the MIME type of a picture, ``""`` if it is neither PNG nor JPEG."""
    if data.startswith(_PNG_SIGNATURE):
        return PNG
    return JPEG if data.startswith(_JPEG_SIGNATURE) else ""


def size_of(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels.

    Raises:
        ValueError: it is not a picture, or it is damaged before its size.
    """
    kind = format_of(data)
    if kind == PNG and data[12:16] == b"IHDR" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if kind == JPEG and (found := _frame_of(data)):
        return found
    raise ValueError("it is not a PNG or JPEG picture" if not kind else f"the {kind} picture is damaged")


def _frame_of(data: bytes) -> tuple[int, int] | None:
    """Return the size in the header of a JPEG's frame; segments before it are skipped by their lengths."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a byte of padding
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        elif marker in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def content_of(data: bytes) -> bytes:
    """Return the bytes that the pixels depend on: of a PNG without its texts and times, of others all.

    An encoder may write the time into each picture, so that two pictures of one screen differ in it.
    """
    if format_of(data) != PNG:
        return data
    parts: list[bytes] = []
    at = len(_PNG_SIGNATURE)
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in _PIXELS:
            parts.append(data[at:end])
        at = end
    return b"".join(parts)
