"""What tools answer: text that is cut at a limit, with a note how to get the rest, and pictures of a bounded size."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from mcp_types import CallToolResult, ImageContent, TextContent

ItemT = TypeVar("ItemT")

LONGEST_REASON: Final = 4000
"""Characters of the reason of a failure; it may quote arguments."""
PICTURE_LIMIT: Final = 3_500_000
"""Bytes of the pictures of one answer; in base64 they are less than the 5 MB that models accept."""
_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def answer(text: str, pictures: Iterable[ImageContent] = (), values: dict[str, Any] | None = None) -> CallToolResult:
    """Return the answer of a tool: text, pictures behind it, and the same as values for programs."""
    return CallToolResult(content=[TextContent(type="text", text=text), *pictures], structured_content=values)


def failure(text: str) -> CallToolResult:
    """Return the answer of a tool that failed; the model reads why."""
    return CallToolResult(content=[TextContent(type="text", text=text[:LONGEST_REASON])], is_error=True)


# --- text ---------------------------------------------------------------------------------------------------------


def middle_left_out(text: str, limit: int, where: str) -> str:
    """Return a text that is at most about ``limit`` characters long: its beginning and its end, if it is longer.

    The end of an output has the error, and the beginning says of what; so the middle is left out.

    Args:
        text: the text.
        limit: characters without the note.
        where: a sentence that says where all of it is.
    """
    if len(text) <= limit:
        return text
    head = text[: limit // 2]
    tail = text[len(text) - (limit - limit // 2) :]
    return f"{head}\n[... {len(text) - limit} of {len(text)} characters are left out here. {where}]\n{tail}"


def shares(first: int, second: int, limit: int) -> tuple[int, int]:
    """Return how many characters of two texts fit into a limit: half each, or more if the other one is shorter."""
    half = limit // 2
    if first <= half:
        return first, limit - first
    return (limit - second, second) if second <= half else (half, half)


def whole_characters(data: bytes, *, is_all: bool) -> tuple[str, int]:
    """Return the text at the beginning of ``data``, and how many bytes of it that is.

    Args:
        data: bytes in UTF-8; the last character may be cut.
        is_all: whether nothing follows, so that no character may be cut.

    Raises:
        UnicodeDecodeError: it is no text in UTF-8.
    """
    try:
        return data.decode("utf-8"), len(data)
    except UnicodeDecodeError as error:
        if is_all or error.start < len(data) - 3 or error.reason != "unexpected end of data":
            raise
        return data[: error.start].decode("utf-8"), error.start


def page_of(
    items: Sequence[ItemT], offset: int, limit: int, value: Callable[[ItemT], Any]
) -> tuple[list[Any], int | None]:
    """Return the values of as many items, from the number ``offset`` on, as fit into an answer.

    Returns:
        The values, at least one if there is one, and the number of the first item that does not fit, None if all do.
    """
    values: list[Any] = []
    size = 0
    for number in range(offset, len(items)):
        values.append(value(items[number]))
        size += len(json.dumps(values[-1], ensure_ascii=False)) + 2
        if size > limit and len(values) > 1:
            values.pop()
            return values, number
    return values, None


def paged(lines: Sequence[str], offset: int, total: int, following: int | None, what: str) -> str:
    """Return the lines of a page as text, with a note if there are more."""
    if not total:
        return f"no {what}"
    text = "\n".join(lines)
    if following is not None:
        text += f"\n[{offset + 1} to {following} of {total} {what}; call again with offset={following} for more]"
    return text


# --- pictures -----------------------------------------------------------------------------------------------------


def picture_type(data: bytes) -> str:
    """Return the MIME type of a picture that models accept, ``""`` if it is none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), "")


def picture(data: bytes) -> ImageContent:
    """Return a picture as a part of an answer.

    Raises:
        ValueError: it is not a picture that models accept, or it is too large.
    """
    kind = picture_type(data)
    if not kind:
        raise ValueError("it is not a PNG, JPEG, GIF or WebP picture")
    if len(data) > PICTURE_LIMIT:
        raise ValueError(f"the picture has {len(data)} bytes, and an answer holds {PICTURE_LIMIT} at most")
    return ImageContent(type="image", data=base64.b64encode(data).decode(), mime_type=kind)


class Pictures:
    """The pictures of one answer, as many as fit into it, and notes about the others."""

    def __init__(self) -> None:
        self.parts: list[ImageContent] = []
        self.notes: list[str] = []
        self._left = PICTURE_LIMIT

    def add(self, data: bytes) -> None:
        """Add a picture, or a note why it is left out."""
        try:
            if len(data) > self._left:
                raise ValueError(f"it has {len(data)} bytes, and an answer holds {PICTURE_LIMIT} bytes of pictures")
            self.parts.append(picture(data))
            self._left -= len(data)
        except ValueError as error:
            self.notes.append(f"[a picture is left out: {error}; save it to a file, and read_file shows it]")
