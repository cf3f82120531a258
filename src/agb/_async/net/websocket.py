"""WebSockets: one per session, opened by the first stream, shared by all, opened anew after it broke.

The handshake is a request of the same httpx client as every other (`AsyncHTTP.upgrade`). websockets' Sans-IO core makes
its headers and checks the answer; then it gets the frames (`websocket_connection.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.uri import parse_uri

from ..._version import __version__
from ..._wire.deadline import Deadline
from ..._wire.exchange import Exchange
from ..._wire.reply import CLIENT_CLOSED
from ..._wire.secrets import remember
from ..._wire.signed import SignedUrl
from ..._wire.stream import frame_text, new_id
from ...config import is_header_value
from ...exceptions import ErrorKind, Sent, SessionError
from .._compat.cancellation import shielded
from .._compat.primitives import Lock
from .errors import described, failure_of, hide_secrets, is_permanent, is_protocol_error
from .http import AsyncHTTP, AsyncUpgrade
from .websocket_connection import AsyncStream as AsyncStream
from .websocket_connection import AsyncWebSocketConnection

_CLOSED = "the connection to the session was closed by this program"


class AsyncWebSockets:
    """The WebSockets of a client in one event loop, by session."""

    def __init__(self, http: AsyncHTTP, observed: Callable[[str], Exchange]) -> None:
        self._http = http
        self._observed = observed
        self._open: dict[tuple[str, str, str], AsyncWebSocket] = {}
        self._is_closed = False

    def get(self, session_id: str, url: str, token: str) -> AsyncWebSocket:
        """Return the WebSocket of a session; it is opened when a stream is started on it."""
        key = (session_id, url, token)
        websocket = self._open.get(key) or self._open.setdefault(
            key, AsyncWebSocket(self._http, url, token, session_id, self._observed)
        )
        if self._is_closed:
            websocket.closed_because = CLIENT_CLOSED
        return websocket

    async def hang_up(self, session_id: str) -> None:
        """Close the WebSocket of a session that is gone."""
        for key in [key for key in list(self._open) if key[0] == session_id]:
            websocket = self._open.pop(key, None)
            if websocket is not None:
                await websocket.aclose()

    async def aclose(self) -> None:
        """Close all of them, and open no more."""
        self._is_closed = True
        closing, self._open = self._open, {}
        for websocket in closing.values():
            await websocket.aclose(CLIENT_CLOSED)

    def abort(self) -> None:
        """Close all of them, where their event loop cannot do it, and open no more."""
        self._is_closed = True
        closing, self._open = self._open, {}
        for websocket in closing.values():
            websocket.abort(CLIENT_CLOSED)


class AsyncWebSocket:
    """The WebSocket of a session: opened by the first stream, shared by all, opened anew after it broke."""

    def __init__(
        self, http: AsyncHTTP, url: str, token: str, session_id: str, observed: Callable[[str], Exchange]
    ) -> None:
        self._http = http
        self._observed = observed
        self._url, self._token, self._session_id = url, token, session_id
        self._opening = Lock()
        self._connection: AsyncWebSocketConnection | None = None
        self.closed_because = ""
        """Why it is not opened any more."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self._session_id}, {'open' if self._connection else 'not open'}>"

    async def start(self, data: Mapping[str, Any], target: str, deadline: Deadline) -> AsyncStream:
        """Start a stream with its first frame.

        Raises:
            SessionError: it could not be opened, or broke.
            ValueError, TypeError: the data cannot be written as JSON.
        """
        invocation_id = new_id()
        text = frame_text(invocation_id, data, target=target)
        async with self._opening.within(deadline.left()) as held:
            if not held:
                raise self._error(f"no connection within {deadline.seconds:g} s", ErrorKind.TIMED_OUT)
            connection = await self._open(deadline)
            stream = connection.streams[invocation_id] = AsyncStream(connection, invocation_id, target)
        try:
            await connection.send(text, deadline)
        except BaseException:
            await shielded(stream.aclose)
            raise
        return stream

    async def _open(self, deadline: Deadline) -> AsyncWebSocketConnection:
        """Return the connection, a new one if there is none that can be used."""
        if self._connection is not None and not await self._connection.is_good():
            await shielded(self._connection.aclose)
            self._connection = None
        if self.closed_because:
            raise self._closed()
        if self._connection is None:
            connection = await self._connect(deadline)
            if self.closed_because:
                await shielded(connection.aclose)
                raise self._closed()
            self._connection = connection
        return self._connection

    async def _connect(self, deadline: Deadline) -> AsyncWebSocketConnection:
        with self._observed(self._session_id) as exchange:
            return await self._shake_hands(deadline, exchange)

    async def _shake_hands(self, deadline: Deadline, exchange: Exchange) -> AsyncWebSocketConnection:
        try:
            uri = parse_uri(self._url)
            url = SignedUrl.parse(f"http{self._url[2:]}")
        except (InvalidURI, ValueError):
            why = "the ws_url that the service returned is not the address of a WebSocket"
            raise self._error(why, ErrorKind.INVALID_ANSWER) from None  # its text shows the address
        if not is_header_value(self._token):
            raise self._error("the session's token is not one that a header can carry", ErrorKind.INVALID_ANSWER)
        remember(self._token)
        where = f"{'wss' if uri.secure else 'ws'}://{uri.host}:{uri.port}"
        protocol = ClientProtocol(uri, max_size=None, logger=_SILENT)
        request = protocol.connect()
        request.headers["X-Access-Token"] = self._token
        request.headers["User-Agent"] = f"agb-python/{__version__}"
        protocol.send_request(request)
        protocol.data_to_send()  # it is sent by httpx
        headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in request.headers.raw_items()]
        headers += exchange.headers
        try:
            upgrade = await self._http.upgrade(url, headers, deadline)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            hide_secrets(error)
            if is_protocol_error(error):
                why = f"{where} does not speak WebSocket"
                raise self._error(why, ErrorKind.INVALID_ANSWER, sent=Sent.YES) from error
            raise self._failed(error, failure, where, deadline) from error
        exchange.status = upgrade.status
        try:
            self._check(protocol, upgrade)
            return AsyncWebSocketConnection(protocol, upgrade, self._session_id, self._http.answer_bytes)
        except BaseException:
            await shielded(upgrade.aclose)
            raise

    def _failed(
        self, error: Exception, failure: tuple[ErrorKind, Sent], where: str, deadline: Deadline
    ) -> SessionError:
        """Return the error for a handshake without an answer."""
        kind, sent = failure
        if kind is ErrorKind.TIMED_OUT and sent is Sent.NO:
            why = f"no connection to {where} within {deadline.seconds:g} s" + (f": {error}" if str(error) else "")
        elif kind is ErrorKind.TIMED_OUT:
            why = f"no answer from {where} within {deadline.seconds:g} s"
        elif sent is Sent.NO:
            why = f"no connection to {where}: {described(error)}"
        else:
            why = f"{where} broke the connection"
        return self._error(why, kind, retryable=not is_permanent(error))

    def _check(self, protocol: ClientProtocol, upgrade: AsyncUpgrade) -> None:
        """Raise unless the answer to the handshake accepts it."""
        status = upgrade.status
        if status != 101:
            kind = _KINDS.get(status, ErrorKind.UNREACHABLE if status >= 500 else ErrorKind.INVALID_ANSWER)
            why = _REASONS.get(kind, "no WebSocket there")
            raise self._error(f"{why} (HTTP {status})", kind, http_status=status, sent=Sent.YES)
        if upgrade.stream is None:
            why = "the transport of the http_client hands over no connection for it (extension network_stream)"
            raise self._error(why, ErrorKind.INVALID_ANSWER, sent=Sent.YES)
        lines = b"".join(b"%s: %s\r\n" % header for header in upgrade.headers)
        protocol.receive_data(b"HTTP/1.1 101 Switching Protocols\r\n" + lines + b"\r\n")
        refusal = protocol.handshake_exc
        if refusal is not None:
            why = f"{refusal}" if isinstance(refusal, InvalidHandshake) else "the service does not speak WebSocket"
            raise self._error(why, ErrorKind.INVALID_ANSWER, sent=Sent.YES)

    def _error(self, why: str, kind: ErrorKind, **more: Any) -> SessionError:
        text = f"Could not open a stream to session {self._session_id}: {why}"
        return SessionError(text, kind=kind, session_id=self._session_id, **more)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed for good."""
        return bool(self.closed_because)

    def _closed(self) -> SessionError:
        return self._error(self.closed_because, ErrorKind.UNREACHABLE)

    async def aclose(self, why: str = _CLOSED) -> None:
        """Close it for good; streams that have not ended fail. May be called twice."""
        self.closed_because = why
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose(_CLOSED)

    def abort(self, why: str) -> None:
        """Close it for good, where its event loop cannot do it."""
        self.closed_because = why
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort(_CLOSED)


_KINDS = {
    401: ErrorKind.BAD_CREDENTIALS,
    403: ErrorKind.BAD_CREDENTIALS,
    404: ErrorKind.NOT_FOUND,
    429: ErrorKind.RATE_LIMITED,
}
_REASONS = {
    ErrorKind.BAD_CREDENTIALS: "the session's token is not accepted",
    ErrorKind.NOT_FOUND: "there is no such session (any more)",
}

# What websockets logs contains headers, and so the token; this logger belongs to no tree and writes nothing.
_SILENT = logging.Logger("agb.websocket", logging.CRITICAL + 1)
