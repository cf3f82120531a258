"""Connections: kept per origin and used again, HTTP/1.1 by h11 over httpcore's network streams.

The list of idle connections is a stack, so the one used last is taken first, and taking one costs the same however
many there are. A connection is looked at when it is taken, and kept only if its answer was read to the last byte
and nothing came after it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import h11  # httpx brings it
import httpcore

from .._wire.deadline import Deadline
from .._wire.secrets import masked
from ..config import Endpoint
from ._compat import finish, shielded
from ._network import open_stream, unread_tls_bytes, write_unless_answered

if TYPE_CHECKING:
    from .websocket import AsyncChannel

KEPT_SECONDS = 60.0
"""How long an idle connection is kept."""
KEPT_CONNECTIONS = 1000
"""How many idle connections to one origin are kept."""
_ORIGINS_A_TURN = 4

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]
"""Status, headers and the whole body."""
Origin = tuple[str, str, int]
"""Scheme, host and port: where a connection leads."""
IfCancelled = Callable[[Answer], Awaitable[object]]
Body = Callable[[], Awaitable[bytes]]
"""Gives the next piece of a body each time it is called, ``b""`` at its end."""


class AsyncPool:
    """Connections to any number of origins, for one event loop."""

    def __init__(self) -> None:
        self._lock = Lock()  # never held across a wait
        self._idle: dict[Origin, list[_Connection]] = {}
        self._turn = 0
        self._proxied: Any = None
        self._is_closed = False
        self.channels: dict[tuple[str, str, str], AsyncChannel] = {}
        """The WebSockets of sessions, by session id, address and token."""
        self.opened = 0
        """How many connections were opened so far."""

    def __repr__(self) -> str:
        with self._lock:
            idle = sum(map(len, self._idle.values()))
        return f"<{type(self).__name__}: {self.opened} connections opened, {idle} idle>"

    async def exchange(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | None,
        deadline: Deadline,
        if_cancelled: IfCancelled | None = None,
    ) -> Answer:
        """Send a request and return the answer; errors are httpcore's (or httpx's, behind a proxy).

        With ``if_cancelled`` a request that is on its way is not given up when the caller is cancelled: its answer is
        awaited and goes there.
        """

        async def talk() -> Answer:
            if proxy:
                return await self._talk_by_proxy(proxy, endpoint, method, target, headers, body, deadline)
            return await self._talk(connection, endpoint, method, target, headers, body, deadline)

        proxy = proxy_of(endpoint.scheme, endpoint.host)
        if not proxy:
            connection = await self._take(endpoint) or await self._connect(endpoint, deadline)
        return await (finish(talk, if_cancelled) if if_cancelled is not None else talk())

    async def _talk(
        self,
        connection: _Connection,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | None,
        deadline: Deadline,
    ) -> Answer:
        """Exchange on a connection and keep it for the next one, or close it if it cannot be kept."""
        try:
            answer = await connection.exchange(method, target, headers, body, deadline)
        except BaseException:
            await shielded(connection.aclose)
            raise
        if not self._kept(endpoint, connection):
            await shielded(connection.aclose)
        return answer

    @asynccontextmanager
    async def begin(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Headers,
        body: Body | None,
        deadline: Deadline,
    ) -> AsyncIterator[AsyncIncoming]:
        """Send a request of any size, and give its answer to be received piece by piece; errors as of `exchange`.

        The connection is kept if the answer was received to its end when the block is left.
        """
        if proxy := proxy_of(endpoint.scheme, endpoint.host):
            client = self._client_for(proxy)
            with _by_way_of(proxy):
                async with begin_by_client(client, endpoint, method, target, headers, body, deadline) as incoming:
                    yield incoming
            return
        connection = await self._take(endpoint) or await self._connect(endpoint, deadline)
        try:
            yield await connection.begin(method, target, headers, body, deadline)
        finally:
            if not self._kept(endpoint, connection):
                await shielded(connection.aclose)

    def _kept(self, endpoint: Endpoint, connection: _Connection) -> bool:
        """Keep a connection for the next caller if it is good for that."""
        if not connection.is_good():
            return False
        with self._lock:
            idle = self._idle.setdefault(endpoint.origin, [])
            if self._is_closed or len(idle) >= KEPT_CONNECTIONS:
                return False
            idle.append(connection)
            return True

    async def _take(self, endpoint: Endpoint) -> _Connection | None:
        """Return the connection used last that is still good."""
        while True:
            with self._lock:
                idle = self._idle.get(endpoint.origin)
                connection = idle.pop() if idle else None
            if connection is None or connection.is_good():
                return connection
            await shielded(connection.aclose)

    async def _drop_stale(self) -> None:
        """Close what nobody may ever ask for again: the oldest connections of a few origins, in turn, if they are dead.

        Called when a connection is opened, which costs so much more that this does not show.
        """
        stale = []
        with self._lock:
            origins = list(self._idle)
            for origin in [origins[(self._turn + n) % len(origins)] for n in range(min(_ORIGINS_A_TURN, len(origins)))]:
                idle = self._idle[origin]
                while idle and not idle[0].is_good():
                    stale.append(idle.pop(0))
                if not idle:
                    del self._idle[origin]
            self._turn += _ORIGINS_A_TURN
        for connection in stale:
            await shielded(connection.aclose)

    async def _connect(self, endpoint: Endpoint, deadline: Deadline) -> _Connection:
        """Open a connection."""
        await self._drop_stale()
        tls = tls_context() if endpoint.scheme == "https" else None
        stream = await open_stream(endpoint.host, endpoint.port, tls, deadline)
        self.opened += 1
        return _Connection(stream)

    async def _talk_by_proxy(
        self,
        proxy: str,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | None,
        deadline: Deadline,
    ) -> Answer:
        """Send through the proxy that the environment names, by httpx, which knows them all."""
        client = self._client_for(proxy)
        with _by_way_of(proxy):
            return await exchange_by_client(client, endpoint, method, target, headers, body, deadline)

    def _client_for(self, proxy: str) -> Any:
        import httpx

        if self._proxied is None:
            shown = _shown(proxy)
            try:
                self._proxied = httpx.AsyncClient(verify=tls_context())
            except ImportError as error:  # its text says what to install
                raise httpcore.ProxyError(f"{error} (for the proxy {shown})") from error
            except ValueError as error:
                raise httpcore.ProxyError(f"{shown}, which the environment names, is not a proxy's address") from error
        return self._proxied

    async def aclose(self) -> None:
        """Close all idle connections; those in use are closed when their answer is there."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, {}
            proxied, self._proxied = self._proxied, None
            channels, self.channels = self.channels, {}
        for channel in channels.values():
            await channel.aclose()
        for connections in idle.values():
            for connection in connections:
                await connection.aclose()
        if proxied is not None:
            await proxied.aclose()


async def exchange_by_client(
    client: Any,
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Headers,
    body: bytes | None,
    deadline: Deadline,
) -> Answer:
    """Send a request by a client with httpx's interface, and return the answer; redirects are not followed."""
    url = f"{endpoint.scheme}://{endpoint.netloc}{target}"
    # A request made by hand takes nothing of the client's own headers, cookies and parameters.
    request = type(client.build_request(method, url))(
        method,
        url,
        headers=headers,
        content=body,
        extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _left(deadline, "Connect"))},
    )
    response = await client.send(request, stream=True, auth=None, follow_redirects=False)
    parts = []
    try:
        async for part in response.aiter_bytes():
            parts.append(part)
            if deadline.left() <= 0:
                await response.aclose()  # the read that follows fails, and so every generator comes to its end
        _left(deadline, "Read")
    except Exception as error:
        if deadline.left() <= 0:
            raise httpcore.ReadTimeout from error
        raise
    finally:
        await response.aclose()
    # the body is decoded by now
    kept = [(key, value) for key, value in response.headers.raw if key.lower() != b"content-encoding"]
    return response.status_code, kept, b"".join(parts)


class AsyncIncoming:
    """An answer whose body is received piece by piece."""

    __slots__ = ("headers", "receive", "status")

    def __init__(self, status: int, headers: Headers, receive: Body) -> None:
        self.status = status
        self.headers = headers
        self.receive = receive
        """Return the next bytes of the body, ``b""`` at its end."""


@asynccontextmanager
async def begin_by_client(
    client: Any,
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Headers,
    body: Body | None,
    deadline: Deadline,
) -> AsyncIterator[AsyncIncoming]:
    """Send a request of any size by a client with httpx's interface, as `AsyncPool.begin` does."""
    url = f"{endpoint.scheme}://{endpoint.netloc}{target}"
    request = type(client.build_request(method, url))(
        method,
        url,
        headers=headers,
        content=None if body is None else _Pieces(body),
        extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _left(deadline, "Connect"))},
    )
    response = await client.send(request, stream=True, auth=None, follow_redirects=False)
    pieces = response.aiter_raw(READ_BYTES)

    async def receive() -> bytes:
        _left(deadline, "Read")
        try:
            piece: bytes = await pieces.__anext__()
        except StopAsyncIteration:
            return b""
        return piece

    try:
        yield AsyncIncoming(response.status_code, response.headers.raw, receive)
    finally:
        await pieces.aclose()
        await response.aclose()


class _Pieces:
    """A body as httpx takes it."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._body()
        if not piece:
            raise StopAsyncIteration
        return piece


class _Connection:
    """One HTTP/1.1 connection: a request, its answer to the last byte, and the next.

    Each read and write takes what the deadline of its request leaves, so that a trickle ends in time too.
    """

    __slots__ = ("_expires", "_h11", "_is_idle", "_stream")

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._h11 = _http()
        self._is_idle = False
        self._expires = 0.0

    async def exchange(
        self, method: str, target: str, headers: Headers, body: bytes | None, deadline: Deadline
    ) -> Answer:
        self._is_idle = False
        with _mapped(h11.LocalProtocolError, httpcore.LocalProtocolError):
            request = self._h11.send(h11.Request(method=method, target=target, headers=headers)) or b""
            if body:
                request += self._h11.send(h11.Data(data=body)) or b""
            request += self._h11.send(h11.EndOfMessage()) or b""
        with suppress(httpcore.WriteError):  # a server may answer before it has read everything, and close
            await self._stream.write(request, _left(deadline, "Write"))
        answer = await self._answer(deadline)
        self._is_over()
        return answer

    def _is_over(self) -> None:
        """Be ready for the next exchange if this one went to its end."""
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE and not self._holds_more():
            self._h11.start_next_cycle()
            self._rest()

    def _rest(self) -> None:
        self._expires = time.monotonic() + KEPT_SECONDS
        self._is_idle = True

    async def _answer(self, deadline: Deadline) -> Answer:
        status, headers, parts = 0, [], []
        while True:
            event = await self._event(deadline)
            if isinstance(event, h11.Response):
                status, headers = event.status_code, event.headers.raw_items()
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return status, headers, b"".join(parts)

    async def _event(self, deadline: Deadline) -> Any:
        """Return what h11 finds next in what is received."""
        while True:
            with _mapped(h11.RemoteProtocolError, httpcore.RemoteProtocolError):
                event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = await self._stream.read(_READ_BYTES, _left(deadline, "Read"))
            if not data and self._h11.their_state is h11.SEND_RESPONSE:
                raise httpcore.RemoteProtocolError("closed without an answer")
            self._h11.receive_data(data)

    async def begin(
        self, method: str, target: str, headers: Headers, body: Body | None, deadline: Deadline
    ) -> AsyncIncoming:
        """Send a request of any size and receive the head of its answer.

        An answer that comes before all is sent is heard at once, and the rest is not sent.
        """
        self._is_idle = False
        with _mapped(h11.LocalProtocolError, httpcore.LocalProtocolError):
            head = self._h11.send(h11.Request(method=method, target=target, headers=headers)) or b""
            if body is None:
                head += self._h11.send(h11.EndOfMessage()) or b""
        with suppress(httpcore.WriteError):
            await self._stream.write(head, _left(deadline, "Write"))
            if body is not None:
                await self._pour(body, deadline)
        response = await self._head(deadline)
        length = _length(response)
        receive = partial(self._by_h11, deadline) if length is None else self._past_h11(response, length, deadline)
        return AsyncIncoming(response.status_code, response.headers.raw_items(), receive)

    async def _pour(self, body: Body, deadline: Deadline) -> None:
        """Send a body to its end, or until it is answered."""
        while piece := await body():
            with _mapped(h11.LocalProtocolError, httpcore.LocalProtocolError):
                parts = self._h11.send_with_data_passthrough(h11.Data(data=piece)) or []  # no copy is made
            for part in parts:
                try:
                    if await write_unless_answered(self._stream, part, _left(deadline, "Write")):
                        return
                except httpcore.WriteTimeout:
                    if self._stream.get_extra_info("is_readable"):
                        return
                    raise
        with _mapped(h11.LocalProtocolError, httpcore.LocalProtocolError):
            self._h11.send(h11.EndOfMessage())

    async def _head(self, deadline: Deadline) -> h11.Response:
        while True:
            event = await self._event(deadline)
            if isinstance(event, h11.Response):
                return event

    async def _by_h11(self, deadline: Deadline) -> bytes:
        """Return the next bytes of a body whose end h11 tells."""
        while True:
            event = await self._event(deadline)
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                self._is_over()
                return b""

    def _past_h11(self, response: h11.Response, length: int, deadline: Deadline) -> Body:
        """Return what receives a body of known length straight from the stream: h11 copies each byte several times."""
        held, _ = self._h11.trailing_data
        is_last = self._h11.our_state is not h11.DONE or len(held) > length or not _keeps(response)
        left = length

        def is_received() -> None:
            if not (is_last or unread_tls_bytes(self._stream)):
                self._h11 = _http()
                self._rest()

        async def receive() -> bytes:
            nonlocal held, left
            if not left:
                return b""
            if held:
                piece, held = held[:left], b""
            elif not (piece := await self._stream.read(min(left, READ_BYTES), _left(deadline, "Read"))):
                raise httpcore.RemoteProtocolError(f"closed after {length - left:,} of {length:,} bytes")
            left -= len(piece)
            if not left:
                is_received()
            return piece

        if not length:
            is_received()
        return receive

    def _holds_more(self) -> bool:
        """Return whether bytes came after the answer; they would be read as the next one, perhaps another caller's."""
        if self._h11.trailing_data[0]:
            return True
        return unread_tls_bytes(self._stream)

    def is_good(self) -> bool:
        """Return whether it can be used again: not for too long idle, and neither bytes nor an end have come."""
        return self._is_idle and time.monotonic() < self._expires and not self._stream.get_extra_info("is_readable")

    async def aclose(self) -> None:
        self._is_idle = False
        await self._stream.aclose()


def _http() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024)


def _length(response: h11.Response) -> int | None:
    """Return the length of a body if it is told, and told by nothing else."""
    told = {name: value for name, value in response.headers if name in (b"content-length", b"transfer-encoding")}
    if b"transfer-encoding" in told or b"content-length" not in told or response.status_code in (204, 304):
        return None
    return int(told[b"content-length"])  # h11 has looked at it


def _keeps(response: h11.Response) -> bool:
    """Return whether the other side takes more requests after this answer."""
    said = b",".join(value for name, value in response.headers if name == b"connection").lower()
    return response.http_version == b"1.1" and b"close" not in said


_READ_BYTES = 64 * 1024
READ_BYTES = 1 << 20
"""How many bytes of a large body are taken at once; as many as have come."""

_TIMEOUTS = {
    "Connect": httpcore.ConnectTimeout,
    "Read": httpcore.ReadTimeout,
    "Write": httpcore.WriteTimeout,
}


def _left(deadline: Deadline, phase: str) -> float:
    """Return the seconds left, or raise what httpcore raises when a phase takes too long."""
    left = deadline.left()
    if left <= 0:
        raise _TIMEOUTS[phase]
    return left


def _shown(proxy: str) -> str:
    return str(masked(proxy if "://" in proxy else f"http://{proxy}"))


@contextmanager
def _by_way_of(proxy: str) -> Iterator[None]:
    """Say in httpx's errors that there is a proxy, and which."""
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        raise type(error)(f"{error} (by way of the proxy {_shown(proxy)})") from error


@contextmanager
def _mapped(theirs: type[Exception], ours: type[Exception]) -> Iterator[None]:
    """Raise h11's error as httpcore's of the same name."""
    try:
        yield
    except theirs as error:
        raise ours(str(error)) from error


@cache
def tls_context() -> ssl.SSLContext:
    """Return the process's one TLS context; making one takes some 20 ms."""
    import httpx

    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@cache
def proxy_of(scheme: str, host: str) -> str:
    """Return the proxy that the environment names for a host, ``""`` if none; asked for once in a process."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all") or ""
    return "" if proxy_bypass(host) else proxy
