# Generated from src/agb/_async/pool.py by tools/unasync.py. Do not edit.
"""Connections: kept per origin and used again, over httpcore's HTTP/1.1 connection.

The list of idle connections is a stack, so the one used last is taken first, and taking one costs the same however
many there are. A connection is looked at when it is taken, and kept only if its answer was read to the last byte
and nothing came after it.
"""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
from httpcore import SyncBackend

from .._wire.deadline import Deadline
from ..config import Endpoint
from ._compat import shielded

KEPT_SECONDS = 60.0
"""How long an idle connection is kept."""
KEPT_CONNECTIONS = 1000
"""How many idle connections to one origin are kept."""

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]
"""Status, headers and the whole body."""


class Pool:
    """Connections to any number of origins, for one event loop."""

    def __init__(self) -> None:
        self._backend = SyncBackend()
        self._idle: dict[Endpoint, list[_Connection]] = {}
        self._proxied: Any = None
        self.opened = 0
        """How many connections were opened so far."""

    def __repr__(self) -> str:
        idle = sum(map(len, self._idle.values()))
        return f"<{type(self).__name__}: {self.opened} connections opened, {idle} idle>"

    def exchange(
        self, endpoint: Endpoint, method: str, target: str, headers: Headers, body: bytes | None, deadline: Deadline
    ) -> Answer:
        """Send a request and return the answer; errors are httpcore's (or httpx's, behind a proxy)."""
        if _has_proxy(endpoint.scheme, endpoint.host):
            return self._exchange_by_proxy(endpoint, method, target, headers, body, deadline)
        connection = self._take(endpoint) or self._connect(endpoint, deadline)
        connection.stream.deadline = deadline
        url = httpcore.URL(
            scheme=endpoint.scheme.encode(), host=endpoint.host.encode(), port=endpoint.port, target=target.encode()
        )
        try:
            response = connection.http.handle_request(httpcore.Request(method, url, headers=headers, content=body))
            content = response.read()
            response.close()
            self._keep(endpoint, connection)
        except BaseException:
            shielded(connection.http.close)
            raise
        return response.status, response.headers, content

    def _take(self, endpoint: Endpoint) -> _Connection | None:
        """Return the connection used last that is still good."""
        idle = self._idle.get(endpoint)
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was faster
                return None
            if not connection.http.has_expired():
                return connection
            connection.http.close()
        return None

    def _connect(self, endpoint: Endpoint, deadline: Deadline) -> _Connection:
        """Open a connection; the origin it is made for is the one it is used for."""
        stream = self._backend.connect_tcp(endpoint.host, endpoint.port, timeout=_left(deadline, "Connect"))
        if endpoint.scheme == "https":
            try:
                stream = stream.start_tls(
                    tls_context(), server_hostname=endpoint.host, timeout=_left(deadline, "Connect")
                )
            except BaseException:
                shielded(stream.close)
                raise
        self.opened += 1
        origin = httpcore.Origin(endpoint.scheme.encode(), endpoint.host.encode(), endpoint.port)
        timed = _TimedStream(stream)
        return _Connection(httpcore.HTTP11Connection(origin, timed, keepalive_expiry=KEPT_SECONDS), timed)

    def _keep(self, endpoint: Endpoint, connection: _Connection) -> None:
        """Put a connection back, unless it is closed or holds bytes that would become the next answer."""
        idle = self._idle.setdefault(endpoint, [])
        # httpcore has no public word for "bytes after the answer"; a test holds us to this one
        surplus = connection.http._h11_state.trailing_data[0]
        if connection.http.is_idle() and not surplus and len(idle) < KEPT_CONNECTIONS:
            connection.stream.deadline = None
            idle.append(connection)
        else:
            connection.http.close()

    def _exchange_by_proxy(
        self, endpoint: Endpoint, method: str, target: str, headers: Headers, body: bytes | None, deadline: Deadline
    ) -> Answer:
        """Send through the proxy that the environment names, by httpx, which knows them all."""
        import httpx

        if self._proxied is None:
            self._proxied = httpx.Client(verify=tls_context())
        return exchange_by_client(self._proxied, endpoint, method, target, headers, body, deadline)

    def close(self) -> None:
        """Close all idle connections; those in use are closed when their answer is there."""
        idle, self._idle = self._idle, {}
        proxied, self._proxied = self._proxied, None
        for connections in idle.values():
            for connection in connections:
                connection.http.close()
        if proxied is not None:
            proxied.close()


def exchange_by_client(
    client: Any,
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Headers,
    body: bytes | None,
    deadline: Deadline,
) -> Answer:
    """Send a request by a client with httpx's interface, and return the answer; redirects are not followed."""
    origin = f"{endpoint.scheme}://{endpoint.netloc}"
    request = client.build_request(method, origin + target, headers=headers, content=body, timeout=deadline.left())
    response = client.send(request, stream=True, follow_redirects=False)
    parts = []
    try:
        for part in response.iter_bytes():
            parts.append(part)
            if deadline.left() <= 0:
                response.close()  # the read that follows fails, and so every generator comes to its end
        _left(deadline, "Read")
    except Exception as error:
        if deadline.left() <= 0:
            raise httpcore.ReadTimeout from error
        raise
    finally:
        response.close()
    # the body is decoded by now
    kept = [(key, value) for key, value in response.headers.raw if key.lower() != b"content-encoding"]
    return response.status_code, kept, b"".join(parts)


class _Connection:
    """A connection and the stream beneath it, whose deadline changes with every request."""

    __slots__ = ("http", "stream")

    def __init__(self, http: httpcore.HTTP11Connection, stream: _TimedStream) -> None:
        self.http = http
        self.stream = stream


class _TimedStream(httpcore.NetworkStream):
    """A stream on which each read and write takes what one deadline leaves, so that a trickle ends in time."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self.deadline: Deadline | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.deadline is not None:
            timeout = _left(self.deadline, "Read")
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self.deadline is not None:
            timeout = _left(self.deadline, "Write")
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


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


@cache
def tls_context() -> ssl.SSLContext:
    """Return the process's one TLS context; making one takes some 20 ms."""
    import httpx

    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@cache
def _has_proxy(scheme: str, host: str) -> bool:
    """Return whether the environment names a proxy for this host."""
    proxies = getproxies()
    return bool(proxies.get(scheme) or proxies.get("all")) and not proxy_bypass(host)
