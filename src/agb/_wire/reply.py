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
from ..limits import ANSWER_BYTES
from .hints import FOREIGN
from .retry import may_try_again
from .secrets import SHORT_LIMIT, ShownText, remember_answer, shown
from .shape import Shape, ShapeError

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
MISDIRECTED = "MisdirectedRequest"
"""The header ``Host`` of the request names another server."""
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

    __slots__ = ("_json", "_most", "body", "call", "headers", "status")

    def __init__(self, call: Call[Any], status: int, headers: Headers, body: bytes, most: int = ANSWER_BYTES) -> None:
        """Take an answer, whose body may have ``most`` bytes when it is decoded."""
        self._most = most
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
            value = self._parsed()
            if not isinstance(value, dict):  # raised here, so that no exception that holds the body is its context
                raise self._not_an_object()
            self._json = value
        return self._json

    def _parsed(self) -> Any:
        """Return the value of the JSON in the body, None if it is none."""
        try:
            return json.loads(decoded(self.body, self.header(b"content-encoding"), self._most))
        except OverflowError:
            raise self._error(too_large(self._most), ErrorKind.TOO_LARGE) from None
        except (ValueError, zlib.error, RecursionError):
            return None

    def data(self) -> Any:
        """Return ``data`` of a successful answer, or raise the error that the service reported."""
        body = self.json()
        if self.status < 400 and body.get("success") is True:
            data = body.get("data")
            remember_answer(data)
            return data
        raise self.refused()

    def content(self) -> Any:
        """Return a successful answer in the shape that its operation promises (`Call.shape`)."""
        self.data()
        assert self.call.shape is not None  # an operation whose answer is read has one
        return self.shaped(self.call.shape, self.json())

    def shaped(self, shape: Shape, value: Any, place: str = "") -> Any:
        """Return a value of the answer in a shape; raise the error for an invalid answer unless it has that shape."""
        try:
            return shape.read(value, place)
        except ShapeError as error:
            raise self.invalid(str(error)) from error

    def refused(self, message: str = "", code: str = "") -> AGBError:
        """Return the error for a refusal; for an object that is none, the error of an invalid answer."""
        body = self._json or {}
        is_foreign = body.keys().isdisjoint(_ENVELOPE)
        code = code or _text(body.get("code"))
        message = message or _text(body.get("message"))
        if not (code or message or isinstance(body.get("success"), bool)):
            return self._no_answer("an object without a success, a code or a message")
        message = message or f"HTTP {self.status}, and the service gave no reason"
        status = self.status if self.status >= 400 else _int(body.get("httpStatusCode")) or self.status
        return self._error(message, kind_of_refusal(status, code, message), code=code, is_foreign=is_foreign)

    def invalid(self, why: str) -> AGBError:
        """Return the error for an answer that does not follow the protocol."""
        return self._error(f"the answer is not valid: {why}", ErrorKind.INVALID_ANSWER)

    def _not_an_object(self) -> AGBError:
        """Return the error for a body that is not a JSON object."""
        begin = self.body[: _BEGINNING * 16].decode("utf-8", "replace").strip()
        begin = shown(begin)[:_BEGINNING]
        if begin.startswith(("{", "[")):  # damaged JSON of the service, which may contain a token
            begin = f"{begin[0]}..."
        if 300 <= self.status < 400:
            address = without_query(self.header(b"location")) or "the answer does not name it"
            return self._error(
                "the endpoint answered with a redirect, which is not followed; "
                f"set the endpoint to the final address ({address})",
                ErrorKind.INVALID_ANSWER,
            )
        type_ = shown(self.header(b"content-type").partition(";")[0], SHORT_LIMIT) or "no content type"
        return self._no_answer(f"{len(self.body)} bytes that are not the JSON object expected ({type_}: {begin!r})")

    def _no_answer(self, what: str) -> AGBError:
        """Return the error for a body that says nothing; its kind follows from the status where that does."""
        kind = _KINDS_BY_STATUS.get(self.status, ErrorKind.INVALID_ANSWER)
        if self._json is not None and self.status == 404:
            kind = ErrorKind.NOT_FOUND
        if self.status >= 500 and not (self.body and self._json != {}):
            kind = ErrorKind.UNAVAILABLE
        return self._error(
            f"HTTP {self.status} and {what}",
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
    details = [shown(str(known[name]), SHORT_LIMIT) for name in ("code",) if known.get(name)]
    if known.get("request_id"):
        details.append(f"request id {shown(known['request_id'], SHORT_LIMIT)}")
    text = f"{shown(f'Could not {call.description}')}: {shown(message)}"
    text = ShownText(text + (f" [{', '.join(details)}]" if details else ""))
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
}
_BEGINNING = 80
"""Characters that are shown of a body that is no answer."""


def kind_of_refusal(status: int, code: str, message: str) -> ErrorKind:
    """Return the kind of a refusal. The service's codes are not published, so status, code and text are all used."""
    if status in _KINDS_BY_STATUS:
        return _KINDS_BY_STATUS[status]
    if status == 503:  # of what it has not looked for, an overloaded service does not know whether it exists
        return ErrorKind.REFUSED
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


def decoded(body: bytes, encoding: str, most: int = ANSWER_BYTES) -> bytes:
    """Return the body without its content encoding (gzip).

    Raises:
        zlib.error: it is damaged.
        OverflowError: it has more than ``most`` bytes; no more than these were decoded.
    """
    if not body or encoding in ("", "identity"):
        return body
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 32)
    text = decompressor.decompress(body, most + 1)
    if len(text) > most:
        raise OverflowError(f"the answer has more than {most:,} bytes when it is decoded")
    if not decompressor.eof:
        raise zlib.error("the compressed body is incomplete")
    return text


CLIENT_CLOSED = "this client was closed; create another one for further calls"


def too_large(most: int) -> str:
    """Return why an answer was not received."""
    return f"the answer has more than the {most:,} bytes that are allowed (Limits.answer_bytes)"


def without_query(url: str) -> str:
    """Return a URL without its query and fragment, which may contain secrets."""
    return url.partition("#")[0].partition("?")[0]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
