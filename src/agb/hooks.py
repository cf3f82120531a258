"""Hooks of a client: functions that are called for each request, each answer and each further attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import field, frozen

from .exceptions import AGBError

RequestKind = Literal["api", "transfer", "stream"]
"""``api``: a call of the API or of a session's host; ``transfer``: a file at a pre-signed URL; ``stream``: the
handshake of live output."""


@frozen
class RequestEvent:
    """A request that is about to be sent; what ``on_request`` is called with.

    Attributes:
        kind: ``api``, ``transfer`` or ``stream``.
        description: what is attempted, as a verb phrase: ``get the labels of session s-1``.
        method: of HTTP.
        path: below the endpoint, without the query; ``""`` for transfers and streams, whose addresses are secrets.
        session_id: the session that is addressed, ``""`` if none.
        attempt: 1 for the first.
        headers: headers to add, an empty dict that a hook may fill; those that the client sets cannot be replaced.
            Those of a transfer are not sent, since the signature of its URL may cover the headers.
    """

    kind: RequestKind
    description: str
    method: str
    path: str
    session_id: str = ""
    attempt: int = 1
    headers: dict[str, str] = field(factory=dict, eq=False)


@frozen
class ResponseEvent:
    """The end of a request; what ``on_response`` is called with.

    Attributes:
        request: the request.
        seconds: from the beginning of the request to the end of its answer.
        status: of HTTP; None without an answer.
        request_id: the service's id of the request, ``""`` if there is none.
        bytes_sent: of the body, or of the file.
        bytes_received: of the body as it was transferred, or of the file.
        error: why the request failed or was refused; None for a success.
    """

    request: RequestEvent
    seconds: float
    status: int | None = None
    request_id: str = ""
    bytes_sent: int = 0
    bytes_received: int = 0
    error: AGBError | None = None


@frozen
class RetryEvent:
    """A further attempt that is decided upon; what ``on_retry`` is called with.

    Attributes:
        request: the request that failed.
        error: why it failed.
        delay: seconds until the next attempt.
    """

    request: RequestEvent
    error: AGBError
    delay: float


@frozen
class Hooks:
    """The functions that a client calls for its requests.

    They are called in the task or thread of the call, so they must be quick and must not block; a coroutine function
    cannot be one.
    """

    on_request: Callable[[RequestEvent], object] | None = None
    on_response: Callable[[ResponseEvent], object] | None = None
    on_retry: Callable[[RetryEvent], object] | None = None

    def __bool__(self) -> bool:
        return not (self.on_request is None and self.on_response is None and self.on_retry is None)
