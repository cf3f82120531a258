"""Replies: the envelope around every answer of the API, read by the client and written by the local runtime."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..exceptions import AGBError, ErrorKind, Sent
from .hints import FOREIGN
from .retry import may_try_again

if TYPE_CHECKING:
    from .call import Call

# --- error codes known -------------------------------------------------------------------------------------------

SESSION_NOT_FOUND = "InvalidMcpSession.NotFound"
"""A session operation named a session that does not exist (any more)."""
TOOL_SESSION_NOT_FOUND = "InvalidSession.NotFound"
"""A tool call named a session that does not exist (any more)."""
ACCESS_DENIED = "AccessDenied"
INVALID_REQUEST = "InvalidRequest"

# Codes of the local runtime, where the service has published none.
UNAUTHORIZED = "Unauthorized"
"""The API key, or a session's token, is missing or wrong."""
NOT_OFFERED = "NotOffered"
"""The operation exists in the API, but this runtime does not have it."""
NO_SUCH_OPERATION = "NoSuchOperation"
"""No operation of the API has that method and path."""
INTERNAL_ERROR = "InternalError"
"""An error of the server, not of the caller."""
CONTEXT_NOT_FOUND = "InvalidContext.NotFound"
"""There is no context of that id or name (any more)."""
CONTEXT_NAME_TAKEN = "InvalidContext.NameTaken"
"""Another context has that name."""
CONTEXT_CLEARING = "InvalidContext.Clearing"
"""The context is being cleared."""
CONTEXT_IN_USE = "InvalidContext.InUse"
"""The context is mounted in a session."""
FILE_NOT_FOUND = "InvalidFile.NotFound"
"""No file is stored under that path."""
FILE_CONFLICT = "InvalidFile.Conflict"
"""Something else is stored where the file, or a directory above it, would be."""
FILE_CHANGED = "InvalidFile.Changed"
"""Another version of the file is stored than the one named."""
FILE_TOO_LARGE = "FileTooLarge"
RANGE_NOT_SATISFIABLE = "InvalidRange"
DISK_FULL = "InsufficientStorage"
STOPPING = "Stopping"
"""The server is stopping."""
URL_NOT_VALID = "InvalidUrl"
"""A pre-signed URL was altered, or is not one."""
URL_EXPIRED = "ExpiredUrl"
"""A pre-signed URL has expired."""

# --- the server's half -------------------------------------------------------------------------------------------


def envelope(
    data: Any = None,
    *,
    request_id: str,
    success: bool = True,
    code: str = "ok",
    message: str = "",
    http_status: int = 200,
    **more: Any,
) -> dict[str, Any]:
    """Return the JSON object that wraps an answer; ``more`` is added at its top level (``nextToken``, ``count``)."""
    return {
        "requestId": request_id,
        "success": success,
        "code": code,
        "message": message,
        "httpStatusCode": http_status,
        "data": data,
        **more,
    }


# --- the client's half -------------------------------------------------------------------------------------------

Headers = Iterable[tuple[bytes, bytes]]


PLAIN_HEADERS = ((b"Accept", b"*/*"), (b"User-Agent", f"agb-python/{__version__}".encode("ascii")))
"""Headers of every request."""


class Reply:
    """The HTTP response to a call: status, headers and the whole body, and the ways to read them."""

    __slots__ = ("_json", "body", "call", "headers", "status")

    def __init__(self, call: Call[Any], status: int, headers: Headers, body: bytes) -> None:
        self.call = call
        self.status = status
        self.headers = headers
        self.body = body
        self._json: dict[str, Any] | None = None

    def header(self, name: bytes) -> str:
        """Return the first header with that (lower-case) name, ``""`` if there is none."""
        for key, value in self.headers:
            if key.lower() == name:
                return value.decode("latin-1")
        return ""

    @property
    def request_id(self) -> str:
        """The request id in the body, else in the header, else ``""``."""
        found = (self._json or {}).get("requestId")
        return found if isinstance(found, str) else self.header(b"x-request-id")

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the body; raise `AGBError` if the body is not one."""
        if self._json is None:
            try:
                value = json.loads(decoded(self.body, self.header(b"content-encoding")))
            except (ValueError, zlib.error, RecursionError) as error:
                raise self._not_an_object() from error
            if not isinstance(value, dict):
                raise self._not_an_object()
            self._json = value
        return self._json

    def data(self) -> Any:
        """Return ``data`` of a successful answer, or raise the error that the service reported."""
        body = self.json()
        if self.status < 400 and body.get("success") is True:
            return body.get("data")
        raise self.refused()

    def object(self, *, inside: str = "data") -> dict[str, Any]:
        """Return ``data`` of a successful answer, which must be an object."""
        data = self.data()
        if not isinstance(data, dict):
            raise self.invalid(f"{inside} is {_kind_of_json(data)}, not an object")
        return data

    def refused(self, message: str = "", code: str = "") -> AGBError:
        """Return the error for a refusal."""
        body = self._json or {}
        is_foreign = body.keys().isdisjoint(_ENVELOPE)
        code = code or _text(body.get("code"))
        message = message or _text(body.get("message")) or f"HTTP {self.status}, and the service gave no reason"
        status = self.status if self.status >= 400 else _int(body.get("httpStatusCode")) or self.status
        return self._error(message, kind_of_refusal(status, code, message), code=code, is_foreign=is_foreign)

    def invalid(self, why: str) -> AGBError:
        """Return the error for an answer that does not follow the protocol."""
        return self._error(f"the answer is not valid: {why}", ErrorKind.INVALID_ANSWER)

    def _not_an_object(self) -> AGBError:
        """Return the error for a body that is not a JSON object; its kind follows from the status where possible."""
        shown = self.body[:80].decode("utf-8", "replace").strip()
        if shown.startswith(("{", "[")):  # damaged JSON of the service, which may contain a token
            shown = f"{shown[0]}..."
        kind = _KINDS_BY_STATUS.get(self.status, ErrorKind.INVALID_ANSWER)
        if 300 <= self.status < 400:
            address = without_query(self.header(b"location")) or "the answer does not name it"
            return self._error(
                "the endpoint answered with a redirect, which is not followed; "
                f"set the endpoint to the final address ({address})",
                ErrorKind.INVALID_ANSWER,
            )
        type_ = self.header(b"content-type").partition(";")[0] or "no content type"
        return self._error(
            f"HTTP {self.status} and {len(self.body)} bytes that are not the JSON object expected ({type_}: {shown!r})",
            kind,
            sent=Sent.MAYBE if self.status in _GATEWAY_STATUSES else Sent.YES,
            is_foreign=True,
        )

    def _error(
        self, message: str, kind: ErrorKind, code: str = "", sent: Sent = Sent.YES, is_foreign: bool = False
    ) -> AGBError:
        error = error_for(
            self.call,
            message,
            kind,
            code=code,
            http_status=self.status,
            request_id=self.request_id,
            retry_after=retry_after(self.header(b"retry-after")),
            sent=sent,
        )
        if is_foreign and self.status not in _GATEWAY_STATUSES:
            error.extra[FOREIGN] = True
        return error


def error_for(call: Call[Any], message: str, kind: ErrorKind, **known: Any) -> AGBError:
    """Return the error of a call: its text contains what was attempted, what happened, and the request id if any."""
    details = [str(known[name]) for name in ("code",) if known.get(name)]
    if known.get("request_id"):
        details.append(f"request id {known['request_id']}")
    text = f"Could not {call.description}: {message}" + (f" [{', '.join(details)}]" if details else "")
    error = call.error(text, kind=kind, session_id=call.session_id, **known)
    error.retryable = may_try_again(call.repeatable, error)
    return error


_ENVELOPE = frozenset(("success", "code", "message", "requestId"))
"""Keys of which each answer of the API has some."""
_GATEWAY_STATUSES = frozenset({502, 503, 504})
"""Statuses by which a proxy reports a failure without knowing whether the service received the request."""
_KINDS_BY_STATUS = {
    401: ErrorKind.BAD_CREDENTIALS,
    403: ErrorKind.BAD_CREDENTIALS,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.REFUSED,
}


def kind_of_refusal(status: int, code: str, message: str) -> ErrorKind:
    """Return the kind of a refusal. The service's codes are not published, so status, code and text are all used."""
    if status in _KINDS_BY_STATUS:
        return _KINDS_BY_STATUS[status]
    if status == 404 or code.lower().endswith("notfound") or (not code and "not found" in message.lower()):
        return ErrorKind.NOT_FOUND
    if code == ACCESS_DENIED or code.startswith((UNAUTHORIZED, "InvalidApiKey")):
        return ErrorKind.BAD_CREDENTIALS
    return ErrorKind.REFUSED


def retry_after(value: str) -> float | None:
    """Return the seconds in a Retry-After header (a number or an HTTP date), None if it is neither."""
    try:
        seconds = float(int(value)) if value.strip().isdecimal() else _seconds_until(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds)


def _seconds_until(date: str) -> float:
    when = parsedate_to_datetime(date)
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - datetime.now(UTC)).total_seconds()


def decoded(body: bytes, encoding: str) -> bytes:
    """Return the body without its content encoding (gzip); raise `zlib.error` if it is damaged."""
    if not body or encoding in ("", "identity"):
        return body
    return zlib.decompress(body, zlib.MAX_WBITS | 32)


def without_query(url: str) -> str:
    """Return a URL without its query and fragment, which may contain secrets."""
    return url.partition("#")[0].partition("?")[0]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _kind_of_json(value: Any) -> str:
    names: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
