# Generated from src/agb/_async/net/pool.py by tools/unasync.py. Do not edit.
"""The connection pool: httpcore's interface of one, with a cost per request that does not grow with the connections.

Connections are kept per destination and used again, no more than allowed, first come, first served (`slots.py`). A
connection is checked when it is taken, and kept only if its answer was read to the last byte and nothing came after it.

The path of a request, and who cleans up after it. `handle_request` makes a `PoolRequest`, gets a slot for it,
opens a connection in the slot if there is no good one, sends, and receives the head of the answer. Whatever goes wrong
on the way, cancellation and Ctrl-C included, ends in `_abandon`, which asks the request what it holds: a connection in
the middle of an exchange is closed, and the slot goes to the next request. When the head is there, the body becomes the
owner of the request (`ResponseBody`): read to its end it returns the connection, closed earlier it drops it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import httpcore

from ..._wire.deadline import Deadline, PhaseTimeouts
from ..._wire.proxy import Proxy, Route
from ..._wire.reply import too_large
from ...limits import ANSWER_BYTES, Limits, PoolStats
from .._compat.cancellation import run_to_completion, shielded
from .._compat.iteration import each
from .connection import Body, Connection, Headers, Incoming
from .errors import AnswerTooLarge
from .extensions import DEADLINE, FINISH, MOST_BYTES, READ_WHOLE, REPEATABLE, TRANSFER, Answer
from .routes import Routes, Verify
from .slots import ConnectionSlots, PoolRequest
from .tunnel import open_route, refusal

T = TypeVar("T")

_STALE_AT_A_TIME = 4
_BROKEN = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
_SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Methods of requests that may be sent twice."""
_SMALL_BODY = 64 * 1024
"""Bytes of a body that is sent in one write with the head of its request."""
_NOWHERE = Route("", "", 0)


class ConnectionPool:
    """Connections to any number of destinations, for one event loop; HTTP/1.1.

    `PoolTransport` passes it to httpx in place of httpcore's pool, and it has the same interface.
    """

    def __init__(self, limits: Limits | None = None, proxy: str | None = None, verify: Verify = True) -> None:
        self._limits = limits or Limits()
        self._slots = ConnectionSlots(self._limits)
        self._routes = Routes(proxy, verify)
        self._is_closed = False
        self.opened = 0
        """How many connections were opened so far."""

    def __repr__(self) -> str:
        now = self.stats()
        state = f"{now.open} of {self._limits.connections} open" + (" and the pool closed" if self._is_closed else "")
        counts = f"{state}, {now.in_use} in use, {now.waiting} waiting, {now.idle} idle"
        return f"<{type(self).__name__}: {now.opened} connections opened, {counts}>"

    def stats(self) -> PoolStats:
        """Return how many connections there are, and how many requests wait."""
        return self._slots.stats(self.opened)

    # --- requests ------------------------------------------------------------------------------------------------

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and return its answer when the head is there, or the whole body if it is small.

        Raises:
            httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError: there was no
                valid answer in time. Connect, pool, proxy and local protocol errors mean that nothing was sent.
        """
        extensions = request.extensions
        deadline = extensions.get(DEADLINE) or PhaseTimeouts(extensions.get("timeout") or {})
        url, headers = request.url, request.headers
        is_upgrade = _has(headers, b"upgrade")
        route = self._routes.find(url.scheme, url.host, url.port, is_upgrade=is_upgrade)
        pool_request = PoolRequest(route, is_transfer=TRANSFER in extensions)
        outgoing = _Outgoing(request, route)
        try:
            self._acquire(pool_request, deadline, outgoing.trace)
            finish = extensions.get(FINISH)
            if finish is None:
                return self._exchange(pool_request, outgoing, deadline, extensions.get(READ_WHOLE, 0))
            most = extensions.get(MOST_BYTES, ANSWER_BYTES)
            protected = partial(self._protected, pool_request, outgoing, deadline, most)
            answer = run_to_completion(protected, finish)
            return httpcore.Response(answer[0], headers=answer[1], content=answer[2], extensions=_HTTP_1_1)
        except _BROKEN as error:
            self._abandon(pool_request)
            _name_proxy(route.proxy, error)
            raise
        except BaseException:
            self._abandon(pool_request)
            raise
        finally:
            outgoing.close()

    def _exchange(
        self, pool_request: PoolRequest, outgoing: _Outgoing, deadline: Deadline, read_whole: int
    ) -> httpcore.Response:
        incoming = self._begin(pool_request, outgoing, deadline)
        extensions: dict[str, Any] = {"http_version": b"HTTP/1.1", "reason_phrase": incoming.reason}
        if incoming.status == 101:
            extensions["network_stream"] = pool_request.held.detach()
            self._slots.release(pool_request)
            return httpcore.Response(101, headers=incoming.headers, content=b"", extensions=extensions)
        received: list[bytes] = []
        if read_whole and _received_whole(incoming, received, read_whole):
            self._give_back(pool_request)
            return httpcore.Response(
                incoming.status, headers=incoming.headers, content=b"".join(received), extensions=extensions
            )
        extensions["network_stream"] = pool_request.held.stream
        body = ResponseBody(self, pool_request, received, incoming.receive)
        return httpcore.Response(incoming.status, headers=incoming.headers, content=body, extensions=extensions)

    def _protected(self, pool_request: PoolRequest, outgoing: _Outgoing, deadline: Deadline, most: int) -> Answer:
        """Exchange to the end of the answer, and give the connection back."""
        incoming = self._begin(pool_request, outgoing, deadline)
        received: list[bytes] = []
        if not _received_whole(incoming, received, most):
            raise AnswerTooLarge(too_large(most))
        self._give_back(pool_request)
        return incoming.status, incoming.headers, b"".join(received)

    def _begin(self, pool_request: PoolRequest, outgoing: _Outgoing, deadline: Deadline) -> Incoming:
        """Send the request, once more on a new connection if the first proves to be dead; receive the answer's head."""
        connection = pool_request.held
        try:
            incoming = self._send(connection, outgoing, deadline)
        except _BROKEN:
            if not (outgoing.is_whole and connection.is_dead(outgoing.repeatable)):
                raise
            self._reopen(connection, pool_request.route, deadline, outgoing.trace)
            incoming = self._send(connection, outgoing, deadline)
        route = pool_request.route
        if incoming.status == 407 and route.is_forwarded and route.proxy is not None:
            raise refusal(route.proxy, f"a request to {route.address}", 407)
        return incoming

    def _send(self, connection: Connection, outgoing: _Outgoing, deadline: Deadline) -> Incoming:
        if not outgoing.is_read:
            outgoing.read_small_body()
        if outgoing.trace is None:
            connection.send(outgoing.method, outgoing.target, outgoing.headers, outgoing.body, deadline)
            return connection.receive(outgoing.method, deadline)
        send = partial(connection.send, outgoing.method, outgoing.target, outgoing.headers, outgoing.body, deadline)
        _traced(outgoing.trace, "http11.send_request_headers", send)
        receive = partial(connection.receive, outgoing.method, deadline)
        return _traced(outgoing.trace, "http11.receive_response_headers", receive)

    # --- taking a connection -------------------------------------------------------------------------------------

    def _acquire(self, pool_request: PoolRequest, deadline: Deadline, trace: Trace | None) -> None:
        """Get a slot, with a connection in it that is good."""
        self._slots.acquire(pool_request, deadline)
        connection = pool_request.held
        route = pool_request.route
        if not (connection.key == route.key and connection.is_open and connection.is_good()):
            self._reopen(connection, route, deadline, trace)

    def _reopen(self, connection: Connection, route: Route, deadline: Deadline, trace: Trace | None) -> None:
        """Open a new connection in a slot."""
        if connection.is_open:
            shielded(connection.close)
        self._close_stale()
        connect = partial(open_route, route, self._routes.tls(route), deadline.phase("connect"))
        try:
            stream = connect() if trace is None else _traced(trace, "connection.connect_tcp", connect)
        except httpcore.ConnectError as error:
            if not _is_out_of_files(error):
                raise
            raise httpcore.ConnectError(self._out_of_files()) from error
        connection.open(stream, route.key)
        self.opened += 1

    def _out_of_files(self) -> str:
        return (
            f"this process may open no more files; {self._slots.count:,} are connections of this client. "
            "Let it have fewer, by Limits(connections=...), or raise the limit (ulimit -n)"
        )

    def _close_stale(self) -> None:
        """Close a few of the connections unused for longest, if they are dead: perhaps no request leads there again.

        Called when a connection is opened, which costs so much more that this does not show.
        """
        stale = [PoolRequest(_NOWHERE) for _ in range(_STALE_AT_A_TIME)]
        try:
            for pool_request in stale:
                if not self._slots.take_stale(pool_request):
                    break
        finally:
            for pool_request in stale:
                if pool_request.connection is not None:
                    self._abandon(pool_request)

    # --- giving it back ------------------------------------------------------------------------------------------

    def _give_back(self, pool_request: PoolRequest) -> None:
        """Let the next request have the slot, with its connection if that is good for another request."""
        connection = pool_request.held
        if connection.is_open and not connection.is_good():
            shielded(connection.close)
        self._slots.release(pool_request)
        if self._is_closed:
            self._close_idle()

    def _abandon(self, pool_request: PoolRequest, *, may_keep: bool = False) -> None:
        """Release all that a request holds, in any state; it may hold nothing any more."""
        connection = pool_request.connection
        try:
            is_ours = connection is not None and self._slots.owns(pool_request) and connection.is_open
            if connection is not None and is_ours and not (may_keep and connection.is_good()):
                shielded(connection.close)
        finally:
            self._slots.release(pool_request)
            if self._is_closed:
                self._close_idle()

    def close(self) -> None:
        """Close all idle connections; those in use are closed when their answer was read."""
        self._is_closed = True
        self._close_idle()

    def abort(self) -> None:
        """Close all idle connections, whose event loop cannot do it, and keep none from now on."""
        self._is_closed = True
        for connection in self._slots.take_idle():
            connection.abort()

    def _close_idle(self) -> None:
        for connection in self._slots.take_idle():
            shielded(connection.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class ResponseBody:
    """The body of an answer, which owns its connection until it was read to the end or is closed."""

    _is_over = True  # until it is made

    def __init__(self, pool: ConnectionPool, pool_request: PoolRequest, received: list[bytes], receive: Body) -> None:
        self._pool = pool
        self._pool_request = pool_request
        self._received = received
        self._receive = receive
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._received:
                yield piece
            while not self._is_over and (piece := self._receive()):
                yield piece
            if not self._is_over:
                self._pool._give_back(self._pool_request)
                self._is_over = True
        except _BROKEN as error:
            self.close()
            _name_proxy(self._pool_request.route.proxy, error)
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection; it is kept only if the body was read to its end. May be called twice."""
        if not self._is_over:  # and still so while it is abandoned: an interruption there leaves the rest to `__del__`
            self._pool._abandon(self._pool_request, may_keep=True)
            self._is_over = True

    def __del__(self) -> None:
        if not self._is_over:
            self._pool._slots.drop(self._pool_request)


class _Outgoing:
    """A request as its connection takes it."""

    __slots__ = ("_pieces", "body", "headers", "is_read", "is_whole", "method", "repeatable", "target", "trace")

    def __init__(self, request: httpcore.Request, route: Route) -> None:
        extensions = request.extensions
        self.method = request.method
        self.headers: Headers = request.headers
        self.target = request.url.target
        self.trace: Trace | None = extensions.get("trace")
        self.repeatable: bool = extensions.get(REPEATABLE, self.method in _SAFE)
        if route.is_forwarded and route.proxy is not None:
            url = request.url
            port = b"" if url.port is None else b":%d" % url.port
            self.target = b"http://" + url.host + port + self.target
            self.headers = [*self.headers, *route.proxy.authorization]
        length = _length(self.headers)
        self.is_read = length == 0
        self.is_whole = length is not None and length <= _SMALL_BODY
        """Whether the body can be sent again; one that is small is held in memory."""
        self.body: bytes | Body | None = None
        stream: Any = request.stream
        self._pieces: Any = None if self.is_read else each(stream)

    def read_small_body(self) -> None:
        """Read a small body from its caller; a large one is read while it is sent."""
        self.is_read = True
        if not self.is_whole:
            self.body = self._next_piece
            return
        parts = []
        while piece := self._next_piece():
            parts.append(piece)
        self.body = b"".join(parts)

    def _next_piece(self) -> bytes:
        for piece in self._pieces:
            if piece:
                return bytes(piece)
        return b""

    def close(self) -> None:
        """Close the caller's iterator, if it is one that can be."""
        if hasattr(self._pieces, "close"):
            self._pieces.close()


Trace = Callable[[str, dict[str, Any]], object]
"""httpcore's documented extension ``trace``, called with the name of an event and what is known of it."""

_HTTP_1_1 = {"http_version": b"HTTP/1.1"}


def _traced(trace: Trace, name: str, function: Callable[[], T]) -> T:
    """Call a function, and report its begin and its end, as httpcore does."""
    trace(f"{name}.started", {})
    try:
        value = function()
    except BaseException as error:
        trace(f"{name}.failed", {"exception": error})
        raise
    trace(f"{name}.complete", {"return_value": None})
    return value


def _received_whole(incoming: Incoming, received: list[bytes], most: int) -> bool:
    """Receive a body into a list; return whether that was all of it. ``most`` bytes or a little more are received."""
    size = 0
    while piece := incoming.receive():
        received.append(piece)
        size += len(piece)
        if size > most:
            return False
    return True


def _length(headers: Headers) -> int | None:
    """Return the length of a request's body, 0 if it has none, None if it is not known."""
    length: int | None = 0
    for name, value in headers:
        lower = name.lower()
        if lower == b"transfer-encoding":
            return None
        if lower == b"content-length":
            length = int(value) if value.isdigit() else None
    return length


def _has(headers: Headers, wanted: bytes) -> bool:
    return any(len(name) == len(wanted) and name.lower() == wanted for name, _ in headers)


def _name_proxy(proxy: Proxy | None, error: Exception) -> None:
    """Raise an error of the network as one that names the proxy on its way, if there is one."""
    if proxy is not None:
        raise type(error)(f"{error} (by way of the proxy {proxy})") from error


def _is_out_of_files(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OUT_OF_FILES:
            return True
        error = error.__cause__ or error.__context__
    return False


_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})
