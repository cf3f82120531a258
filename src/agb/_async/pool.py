"""Connections: kept per origin and used again, HTTP/1.1 by h11 over httpcore's network streams.

The list of idle connections is a stack, so the one used last is taken first, and taking one costs the same however
many there are. A connection is looked at when it is taken, and kept only if its answer was read to the last byte
and nothing came after it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import h11  # httpx brings it
import httpcore

from .._wire.deadline import Deadline
from .._wire.secrets import masked
from ..config import Endpoint
from ._compat import finish, shielded
from ._network import open_stream, unread_tls_bytes

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
        import httpx

        shown = masked(proxy if "://" in proxy else f"http://{proxy}")
        if self._proxied is None:
            try:
                self._proxied = httpx.AsyncClient(verify=tls_context())
            except ImportError as error:  # its text says what to install
                raise httpcore.ProxyError(f"{error} (for the proxy {shown})") from error
            except ValueError as error:
                raise httpcore.ProxyError(f"{shown}, which the environment names, is not a proxy's address") from error
        try:
            return await exchange_by_client(self._proxied, endpoint, method, target, headers, body, deadline)
        except httpx.TransportError as error:
            raise type(error)(f"{error} (by way of the proxy {shown})") from error

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


class _Connection:
    """One HTTP/1.1 connection: a request, its answer to the last byte, and the next.

    Each read and write takes what the deadline of its request leaves, so that a trickle ends in time too.
    """

    __slots__ = ("_expires", "_h11", "_is_idle", "_stream")

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024)
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
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE and not self._holds_more():
            self._h11.start_next_cycle()
            self._expires = time.monotonic() + KEPT_SECONDS
            self._is_idle = True
        return answer

    async def _answer(self, deadline: Deadline) -> Answer:
        status, headers, parts = 0, [], []
        while True:
            with _mapped(h11.RemoteProtocolError, httpcore.RemoteProtocolError):
                event = self._h11.next_event()
            if event is h11.NEED_DATA:
                data = await self._stream.read(_READ_BYTES, _left(deadline, "Read"))
                if not data and self._h11.their_state is h11.SEND_RESPONSE:
                    raise httpcore.RemoteProtocolError("closed without an answer")
                self._h11.receive_data(data)
            elif isinstance(event, h11.Response):
                status, headers = event.status_code, event.headers.raw_items()
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return status, headers, b"".join(parts)

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


_READ_BYTES = 64 * 1024

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
