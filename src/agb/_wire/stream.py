"""Streams over a WebSocket: the frames, for both ends, and what a frame means for its stream.

One socket carries any number of streams. The client generates an invocation id for each, and every frame contains it.

API: the session's WebSocket (``ws_url``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal
from uuid import uuid4

from attrs import frozen

SDK = "SDK"
"""The name of the client in frames."""
CODE_SERVER = "wuying_codespace"
"""The server for code, unless the tool list of the session names another one."""
CANCEL = "cancel"
"""The method by which this client requests the end of a stream; a service that does not know it ignores it."""


Loads = Callable[[bytes | bytearray], Any]
"""A JSON parser for bytes; raises ``ValueError``."""


class FrameError(ValueError):
    """A frame does not follow the protocol; ``invocation_id`` is ``""`` if that could not be read either."""

    def __init__(self, message: str, invocation_id: str = "") -> None:
        super().__init__(message)
        self.invocation_id = invocation_id


@frozen
class Frame:
    """One message, in either direction."""

    invocation_id: str
    data: Mapping[str, Any]
    source: str = ""
    target: str = ""


Phase = Literal["event", "end", "error"]
"""The role of a frame in its stream; plain strings, because the phase is compared for every frame."""


def new_id() -> str:
    """Return a new invocation id: 32 hexadecimal digits."""
    return uuid4().hex


def frame_text(invocation_id: str, data: Mapping[str, Any], *, source: str = SDK, target: str = CODE_SERVER) -> str:
    """Return the text of a frame; raise `TypeError` or `ValueError` if the data cannot be written as JSON."""
    return json.dumps(
        {"invocationId": invocation_id, "source": source, "target": target, "data": data},
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    )


def read_frame(message: str | bytes | bytearray) -> Frame:
    """Return the frame in a text or binary message; raise `FrameError` if there is none."""
    value, invocation_id, data = _read(message)
    return Frame(invocation_id, data, _text(value.get("source")), _text(value.get("target")))


def read_data(message: bytes | bytearray, loads: Loads | None = None) -> tuple[str, dict[str, Any]]:
    """Return the invocation id and the data of the frame in a message; raise `FrameError` if there is none.

    ``loads`` is a JSON parser faster than that of the standard library. A message that it rejects, or that does not
    have the usual shape, is parsed again by `read_frame`'s rules, which accept more and name what is wrong.
    """
    try:  # the fast path, for nearly every frame
        value = loads(message) if loads is not None else _whole(message.decode())
        invocation_id, data = value["invocationId"], value["data"]
        if invocation_id and type(invocation_id) is str and type(data) is dict:
            return invocation_id, data
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    return _read(message)[1:]


def _whole(text: str) -> Any:
    value, end = _raw_decode(text)
    if end != len(text):
        raise ValueError("more than one value, or white space after it")
    return value


def _read(message: str | bytes | bytearray) -> tuple[dict[str, Any], str, dict[str, Any]]:
    try:
        value = _json(message if isinstance(message, str) else message.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FrameError("a frame is not an object")
    invocation_id = value.get("invocationId") or value.get("requestId")
    if not isinstance(invocation_id, str) or not invocation_id:
        raise FrameError("a frame has no invocationId")
    data = value.get("data")
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise FrameError(f"the data of a frame is not JSON: {error}", invocation_id) from error
    if not isinstance(data, dict):
        raise FrameError("the data of a frame is not an object", invocation_id)
    return value, invocation_id, data


def _json(text: str) -> Any:
    """Return the value of JSON text; without white space around it, which is usual, that takes half the time."""
    if text.startswith("{"):
        value, end = _raw_decode(text)
        if end == len(text):
            return value
    return json.loads(text)


_raw_decode = json.JSONDecoder().raw_decode


def phase_of(data: Mapping[str, Any]) -> Phase:
    """Return the phase in the data of a frame; raise `FrameError` if there is none or it is unknown."""
    if data.get("phase") == "event" and not isinstance(data.get("error"), str):  # the common case
        return "event"
    if isinstance(error := data.get("error"), str) and error:
        return "error"
    phase = data.get("phase")
    if phase is None:
        raise FrameError("the data of a frame has no phase")
    if phase not in ("event", "end", "error"):
        raise FrameError(f"the data of a frame has an unknown phase: {str(phase)[:100]!r}")
    return phase  # type: ignore[no-any-return]


def error_text(data: Mapping[str, Any]) -> str:
    """Return the message of an error frame."""
    for key in ("error", "message", "executionError"):
        if isinstance(text := data.get(key), str) and text:
            return text
    fields = {key: value for key, value in data.items() if key != "phase"}
    return json.dumps(fields, ensure_ascii=False)[:2000] if fields else "the service gave no reason"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# --- the server's half -------------------------------------------------------------------------------------------

SERVICE = "WEBSOCKET_SERVER"
"""The source of frames that refuse a request."""


@frozen
class StreamRequest:
    """The request of a client: a method of the server ``target``, with the invocation id of the client."""

    invocation_id: str
    target: str
    method: str
    mode: str
    params: Mapping[str, Any]


def read_request(message: str | bytes) -> StreamRequest:
    """Return the request in a message of a client; raise `FrameError` if there is none. Unknown fields are ignored."""
    frame = read_frame(message)
    params = frame.data.get("params")
    if params is not None and not isinstance(params, dict):
        raise FrameError("data.params is not an object", frame.invocation_id)
    method, mode = _text(frame.data.get("method")), _text(frame.data.get("mode"))
    return StreamRequest(frame.invocation_id, frame.target, method, mode, params or {})


def event_text(request: StreamRequest, seq: int, kind: str, payload: Mapping[str, Any]) -> str:
    """Return the frame of one event (stdout, stderr, result, error); raise `ValueError` if the payload is not JSON."""
    return _reply_text(request, {"phase": "event", "seq": seq, "eventType": kind, **payload})


def end_text(request: StreamRequest, seq: int, payload: Mapping[str, Any]) -> str:
    """Return the frame that ends a stream."""
    return _reply_text(request, {"phase": "end", "seq": seq, **payload})


def refusal_text(invocation_id: str, why: str, code: str = "") -> str:
    """Return the frame that refuses a request, or ends a stream that cannot continue; ``code`` is as in an answer."""
    data = {"error": why, "code": code} if code else {"error": why}
    return sendable(frame_text(invocation_id, data, source=SERVICE, target=SDK))


def sendable(text: str) -> str:
    """Return a text with lone surrogates replaced: programs can print them, and no frame can contain them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _reply_text(request: StreamRequest, data: Mapping[str, Any]) -> str:
    data = {"method": request.method, "mode": request.mode, **data}
    return sendable(frame_text(request.invocation_id, data, source=request.target or CODE_SERVER, target=SDK))
