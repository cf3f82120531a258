"""The screen: its size, and pictures of it, which a service returns as an address or as base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ...._wire.picture import JPEG, PNG, format_of
from ...._wire.shape import NUMBER, WHOLE, Object, maybe, needed
from ...._wire.signed import remember_signed
from ...._wire.toolcall import ToolCall, ToolReply
from ....desktop import Screenshot, ScreenSize
from ....exceptions import AGBError, ScreenError
from ....results.base import OperationResult
from ....results.desktop import ScreenshotResult
from .. import reason_of, tool_failure
from . import desktop_call, invalid_answer, parsed

if TYPE_CHECKING:
    from ....results.narrowed import OperationFailure, OperationSuccess

T = TypeVar("T")

SIZE = Object({"width": needed(WHOLE), "height": needed(WHOLE), "dpiScalingFactor": maybe(NUMBER)})
MIME_TYPES = {"png": PNG, "jpeg": JPEG, "jpg": JPEG}
_FORMATS = {PNG: "png", JPEG: "jpeg"}
NEEDS_OTHER = "This cloud environment does not support `{}()`. Please use `{}()` instead."
"""The text of 0.12 for a picture that is taken by the wrong method."""
TAKE = "take a screenshot"


def get_screen_size(*, session_id: str) -> ToolCall[OperationSuccess[ScreenSize] | OperationFailure]:
    """Return the call that returns the size of the screen."""

    def read(reply: ToolReply) -> OperationSuccess[ScreenSize] | OperationFailure:
        size: ScreenSize = parsed(reply, SIZE, session_id, "Failed to get screen size", ScreenError)
        return OperationResult.of(size, reply.request_id)

    return _size_call(session_id, read)


def get_screen_size_text(*, session_id: str) -> ToolCall[OperationSuccess[str] | OperationFailure]:
    """Return the call that returns the size of the screen as JSON text, for a deprecated method."""

    def read(reply: ToolReply) -> OperationSuccess[str] | OperationFailure:
        parsed(reply, SIZE, session_id, "Failed to get screen size", ScreenError)
        return OperationResult.of(reply.text or "", reply.request_id)

    return _size_call(session_id, read)


def _size_call(session_id: str, read: Callable[[ToolReply], T]) -> ToolCall[T]:
    return desktop_call(
        "get_screen_size",
        {},
        read,
        session_id,
        "get the size of the screen",
        error=ScreenError,
        repeatable=True,
        shape=SIZE,
    )


# --- pictures ----------------------------------------------------------------------------------------------------


def check_format(format: object) -> str:
    """Return the MIME type of a format of pictures; the error for another one is that of 0.12."""
    name = format.strip().lower() if isinstance(format, str) else ""
    if name not in MIME_TYPES:
        raise ValueError("Invalid format: must be 'png', 'jpeg', or 'jpg'")
    return MIME_TYPES[name]


def system_screenshot(*, session_id: str) -> ToolCall[OperationSuccess[str] | OperationFailure]:
    """Return the call that returns the address of a picture, or a data URL with it."""

    def read(reply: ToolReply) -> OperationSuccess[str] | OperationFailure:
        if not reply.text:
            raise invalid_answer(f"Could not {TAKE}: the answer has no address", reply, session_id, ScreenError)
        if not reply.text.startswith("data:"):
            remember_signed(reply.text)
        return OperationResult.of(reply.text, reply.request_id)

    return desktop_call("system_screenshot", {}, read, session_id, TAKE, error=ScreenError, repeatable=True)


def screenshot(mime_type: str, *, session_id: str) -> ToolCall[ScreenshotResult]:
    """Return the call that returns a picture as base64 in JSON; the texts of its errors are those of 0.12."""
    return _screenshot(mime_type, lambda reply: _result(reply, mime_type, session_id), session_id)


def picture(mime_type: str, *, session_id: str) -> ToolCall[Screenshot]:
    """Return the call that returns a picture; base64 without JSON around it, which 0.12 refuses, is read as well."""

    def read(reply: ToolReply) -> Screenshot:
        text = (reply.text or "").strip()
        if not text or text.startswith("{"):
            data = _result(reply, mime_type, session_id).data or b""
        else:
            data = _decoded(text, reply, session_id)
        return picture_of(data, mime_type, reply.request_id, session_id)

    return _screenshot(mime_type, read, session_id)


def _screenshot(mime_type: str, read: Callable[[ToolReply], T], session_id: str) -> ToolCall[T]:
    def checked(reply: ToolReply) -> T:
        if reply.is_error:
            text = f"Failed to take screenshot via MCP tool 'screenshot': {reason_of('screenshot', reply)}"
            raise tool_failure("screenshot", ToolReply(text, True, reply.request_id), session_id, ScreenError)
        return read(reply)

    return ToolCall("screenshot", {"format": _FORMATS[mime_type]}, checked, 0.0, True, ScreenError, TAKE)


def _result(reply: ToolReply, mime_type: str, session_id: str) -> ScreenshotResult:
    """Return the picture in the JSON of an answer, with its checks in the order of 0.12."""
    fields = _fields_of(reply, session_id)
    data = _decoded(fields["data"], reply, session_id)
    if format_of(data) != mime_type:
        text = f"Screenshot data does not match expected format '{_FORMATS[mime_type]}'"
        raise _invalid(text, reply, session_id)
    if fields["mime_type"] != mime_type:
        text = "Screenshot JSON mime_type does not match expected format"
        raise _invalid(f"{text}: expected {mime_type!r}, got {fields['mime_type']!r}", reply, session_id)
    return ScreenshotResult(
        reply.request_id, True, "", fields["type"], data, mime_type, fields.get("width"), fields.get("height")
    )


def _fields_of(reply: ToolReply, session_id: str) -> dict[str, Any]:
    text = (reply.text or "").strip()
    if not text:
        raise _invalid("Screenshot tool returned empty data", reply, session_id)
    if not text.startswith("{"):
        raise _invalid("Screenshot tool returned non-JSON data", reply, session_id)
    try:
        fields: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"Invalid screenshot JSON: {error}", reply, session_id) from error
    if not isinstance(fields.get("data"), str) or not fields["data"].strip():
        raise _invalid("Screenshot JSON missing base64 field", reply, session_id)
    for name in ("type", "mime_type"):
        if not isinstance(fields.get(name), str) or not fields[name].strip():
            raise _invalid(f"Invalid screenshot JSON: expected non-empty string '{name}'", reply, session_id)
    for name in ("width", "height"):
        if fields.get(name) is not None and type(fields[name]) is not int:
            raise _invalid(f"Invalid screenshot JSON: expected integer '{name}'", reply, session_id)
    return fields


def _decoded(text: str, reply: ToolReply, session_id: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _invalid(f"Failed to decode screenshot data: {error}", reply, session_id) from error


def _invalid(text: str, reply: ToolReply, session_id: str) -> AGBError:
    return invalid_answer(text, reply, session_id, ScreenError)


def data_url_of(url: str, request_id: str, session_id: str) -> bytes:
    """Return the bytes of a picture in a data URL."""
    head, _, content = url.partition(",")
    return _decoded(content if head.endswith(";base64") else "?", ToolReply(None, False, request_id), session_id)


def picture_of(data: bytes, mime_type: str, request_id: str, session_id: str) -> Screenshot:
    """Return the value for the bytes of a picture; raise `ScreenError` if they are not one of that format."""
    reply = ToolReply(None, False, request_id)
    try:
        shot = Screenshot.from_bytes(data, request_id)
    except ValueError as error:
        raise _invalid(f"Could not {TAKE}: {error}", reply, session_id) from error
    if shot.mime_type != mime_type:
        raise _invalid(
            f"Could not {TAKE} as {mime_type}: the session returned {shot.mime_type}, and lets no format be chosen",
            reply,
            session_id,
        )
    return shot
