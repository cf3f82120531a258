# Generated from src/agb/_async/net/tunnel.py by tools/unasync.py. Do not edit.
"""How an endpoint is reached: straight, or through a proxy (HTTP CONNECT, SOCKS5), with TLS at the end of it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
import httpcore

from ..._version import __version__
from ..._wire.deadline import Deadline
from ..._wire.proxy import Proxy, Route
from .._compat.cancellation import shielded
from .connection import time_left
from .errors import described
from .streams import address_of, open_stream, start_tls

_READ_BYTES = 4096
_REASON_LENGTH = 100


class ProxyRefusal(httpcore.ProxyError):
    """A proxy has said no.

    Attributes:
        permanent: whether it will say so again.
        is_timeout: whether it could not connect in its own time.
    """

    def __init__(self, text: str, *, permanent: bool, is_timeout: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.is_timeout = is_timeout


class _ProxyConnectError(httpcore.ConnectError):
    """The proxy took no connection; the text names it."""

    is_of_proxy = True


def open_route(route: Route, tls: ssl.SSLContext | None, deadline: Deadline) -> httpcore.NetworkStream:
    """Return a stream to the end of a route, or to its proxy if that forwards; ``tls`` is for all that need it.

    Raises:
        httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError: it could not be had; the text names the
            proxy if there is one.
    """
    wants_tls = tls if route.scheme == "https" else None
    proxy = route.proxy
    if proxy is None:
        return open_stream(route.host, route.port, wants_tls, deadline)
    proxy.remember_secrets()
    try:
        stream = open_stream(proxy.host, proxy.port, tls if proxy.scheme == "https" else None, deadline)
    except httpcore.ConnectError as error:
        raise _ProxyConnectError(f"{described(error)} (that is the proxy {proxy})") from error
    except httpcore.ConnectTimeout as error:
        raise httpcore.ConnectTimeout(f"the proxy {proxy} did not take the connection") from error
    if route.is_forwarded:
        return stream
    try:
        if proxy.is_socks:
            _ask_socks(stream, proxy, route, deadline)
        else:
            _ask_http(stream, proxy, route, deadline)
        if wants_tls is None:
            return stream
        return start_tls(stream, wants_tls, route.host, deadline)
    except BaseException:
        shielded(stream.close)
        raise


def refusal(proxy: Proxy, what: str, status: int, reason: bytes = b"") -> ProxyRefusal:
    """Return the error of an HTTP proxy that answers with a status."""
    words = "".join(map(chr, reason[:_REASON_LENGTH]))
    said = f"{status} {words}" if words and words.isascii() and words.isprintable() else f"{status}"
    if status == 407:
        given = "its user name or password is wrong" if proxy.authorization else "it wants a user name and a password"
        said = f"{said}: {given}"
    return ProxyRefusal(
        f"the proxy {proxy} refused {what} ({said})",
        permanent=status < 500 and status != 429,
        is_timeout=status == 504,
    )


# --- HTTP --------------------------------------------------------------------------------------------------------


def _ask_http(stream: httpcore.NetworkStream, proxy: Proxy, route: Route, deadline: Deadline) -> None:
    """Ask for a tunnel by CONNECT."""
    http = h11.Connection(h11.CLIENT)
    address = route.address.encode("ascii")
    headers = [(b"Host", address), (b"User-Agent", f"agb-python/{__version__}".encode()), *proxy.authorization]
    request = http.send(h11.Request(method="CONNECT", target=address, headers=headers)) or b""
    _write(stream, request + (http.send(h11.EndOfMessage()) or b""), proxy, deadline)
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as error:
            raise ProxyRefusal(f"the proxy {proxy} answers, but not in HTTP", permanent=True) from error
        if event is h11.NEED_DATA:
            http.receive_data(_read(stream, proxy, deadline))
        elif isinstance(event, h11.Response):
            if not 200 <= event.status_code < 300:
                raise refusal(proxy, f"a tunnel to {route.address}", event.status_code, event.reason)
            if http.trailing_data[0]:
                raise ProxyRefusal(f"the proxy {proxy} sends more than its answer", permanent=True)
            return


# --- SOCKS5 ------------------------------------------------------------------------------------------------------


def _ask_socks(stream: httpcore.NetworkStream, proxy: Proxy, route: Route, deadline: Deadline) -> None:
    """Ask for a connection by SOCKS5; the proxy looks the host up for socks5h, this machine for socks5."""
    from socksio import ProtocolError, socks5

    def said(length: int) -> Any:
        """Return what the proxy says, of which so many bytes are known to come."""
        _write(stream, socks.data_to_send(), proxy, deadline)
        data = _exactly(stream, length, proxy, deadline)
        if length == _SOCKS_REPLY:  # its length depends on the kind of address that it names, and is known by then
            data += _exactly(stream, _ADDRESS_LENGTHS.get(data[3], data[4] + 1) + 1, proxy, deadline)
        return socks.receive_data(data)

    host = address_of(route.host, route.port, deadline) if proxy.scheme == "socks5" else route.host
    is_named = bool(proxy.user or proxy.password)
    method = socks5.SOCKS5AuthMethod.USERNAME_PASSWORD if is_named else socks5.SOCKS5AuthMethod.NO_AUTH_REQUIRED
    socks: Any = socks5.SOCKS5Connection()  # which gets its methods from a class that names no types
    try:
        socks.send(socks5.SOCKS5AuthMethodsRequest([method]))
        if said(2).method != method:
            wants = "takes no user name and password" if is_named else "wants a user name and a password"
            raise ProxyRefusal(f"the proxy {proxy} {wants}", permanent=True)
        if is_named:
            socks.send(socks5.SOCKS5UsernamePasswordRequest(proxy.user.encode(), proxy.password.encode()))
            if not said(2).success:
                raise ProxyRefusal(f"the proxy {proxy} does not accept its user name and password", permanent=True)
        socks.send(socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, (host, route.port)))
        code = said(_SOCKS_REPLY).reply_code
    except ProtocolError as error:
        raise ProxyRefusal(f"the proxy {proxy} answers, but not in SOCKS5", permanent=True) from error
    if code is not socks5.SOCKS5ReplyCode.SUCCEEDED:
        why = code.name.lower().replace("_", " ")
        text = f"the proxy {proxy} refused a connection to {route.address} ({why})"
        raise ProxyRefusal(
            text,
            permanent=code is socks5.SOCKS5ReplyCode.CONNECTION_NOT_ALLOWED_BY_RULESET,
            is_timeout=code is socks5.SOCKS5ReplyCode.TTL_EXPIRED,
        )


_SOCKS_REPLY = 5
"""Bytes of a reply to the first of its address."""
_ADDRESS_LENGTHS = {1: 4, 4: 16}
"""Bytes of an address by its kind; a name, the only other kind, begins with its length."""


def _exactly(stream: httpcore.NetworkStream, length: int, proxy: Proxy, deadline: Deadline) -> bytes:
    data = b""
    while len(data) < length:
        data += _read(stream, proxy, deadline, length - len(data))
    return data


# --- both --------------------------------------------------------------------------------------------------------


def _write(stream: httpcore.NetworkStream, data: bytes, proxy: Proxy, deadline: Deadline) -> None:
    with _naming(proxy):
        stream.write(data, time_left(deadline, "connect"))


def _read(stream: httpcore.NetworkStream, proxy: Proxy, deadline: Deadline, most: int = _READ_BYTES) -> bytes:
    with _naming(proxy):
        data = stream.read(most, time_left(deadline, "connect"))
    if not data:
        raise ProxyRefusal(f"the proxy {proxy} closed the connection", permanent=False)
    return data


@contextmanager
def _naming(proxy: Proxy) -> Iterator[None]:
    """Say in errors of the network that it is the proxy."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpcore.ConnectTimeout(f"the proxy {proxy} did not answer") from error
    except httpcore.NetworkError as error:
        raise ProxyRefusal(f"the proxy {proxy} broke the connection: {error}", permanent=False) from error
