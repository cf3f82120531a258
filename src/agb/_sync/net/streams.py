"""How a connection is opened, in the synchronous flavour; ``_async/net/streams.py`` has the same names."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress

import httpcore

from ..._wire.deadline import Deadline


def open_stream(host: str, port: int, tls: ssl.SSLContext | None, deadline: Deadline) -> httpcore.NetworkStream:
    """Return a stream to a host; raise httpcore's `ConnectError` or `ConnectTimeout`."""
    stream = _connected(host, port, deadline)
    if tls is None:
        return stream
    try:
        return stream.start_tls(tls, server_hostname=host, timeout=_left(deadline))
    except BaseException:
        stream.close()
        raise


def _connected(host: str, port: int, deadline: Deadline) -> httpcore.NetworkStream:
    """Try the addresses of a host one after the other, all within one deadline."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    failure: Exception = httpcore.ConnectError(f"{host} has no address")
    for _, _, _, _, (address, *_) in addresses:
        try:
            return httpcore.SyncBackend().connect_tcp(str(address), port, timeout=_left(deadline))
        except httpcore.ConnectError as error:
            failure = error
    raise failure


def _left(deadline: Deadline) -> float:
    left = deadline.left()
    if left <= 0:
        raise httpcore.ConnectTimeout
    return left


def start_tls(
    stream: httpcore.NetworkStream, tls: ssl.SSLContext, host: str, deadline: Deadline
) -> httpcore.NetworkStream:
    """Return the stream with TLS over it, TLS in TLS too; raise httpcore's `ConnectError` or `ConnectTimeout`."""
    return stream.start_tls(tls, server_hostname=host, timeout=_left(deadline))


def address_of(host: str, port: int, deadline: Deadline) -> str:
    """Return an address of a host; raise httpcore's `ConnectError`."""
    _left(deadline)
    try:
        return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error


def unread_tls_bytes(stream: httpcore.NetworkStream) -> bool:
    """Return whether TLS holds bytes that were received and not read, which the socket does not show."""
    tls = stream.get_extra_info("ssl_object")
    if isinstance(tls, ssl.SSLObject):  # TLS in TLS
        try:
            tls.read(1)
        except ssl.SSLWantReadError:
            return _pending(stream)
        return True
    return _pending(stream)


def _pending(stream: httpcore.NetworkStream) -> bool:
    sock = stream.get_extra_info("socket")
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def write_unless_answered(stream: httpcore.NetworkStream, data: bytes, timeout: float) -> bool:
    """Write; return True as soon as something comes from the other side, and what is left is not written.

    ``timeout`` is for each time that nothing moves. Over TLS an answer is not seen before the other side closes.
    """
    sock = stream.get_extra_info("socket")
    if not isinstance(sock, socket.socket) or isinstance(sock, ssl.SSLSocket):
        stream.write(data, timeout)
        return False
    view = memoryview(data)
    sock.settimeout(timeout)
    try:
        while view:
            readable, writable = _ready(sock, timeout)
            if readable:
                return True
            if not writable:
                raise httpcore.WriteTimeout
            view = view[sock.send(view) :]
    except TimeoutError as error:
        raise httpcore.WriteTimeout from error
    except OSError as error:
        raise httpcore.WriteError(str(error)) from error
    return False


def _ready(sock: socket.socket, timeout: float) -> tuple[bool, bool]:
    """Wait until a socket can be read or written; return which of them."""
    if not hasattr(select, "poll"):  # Windows
        readable, writable, _ = select.select([sock], [sock], [], timeout)
        return bool(readable), bool(writable)
    poller = select.poll()
    poller.register(sock, select.POLLIN | select.POLLOUT)
    for _, event in poller.poll(timeout * 1000):
        return bool(event & ~select.POLLOUT), bool(event & select.POLLOUT)
    return False, False


def abort(stream: httpcore.NetworkStream) -> None:
    """Close a stream."""
    stream.close()


def hang_up(stream: httpcore.NetworkStream) -> None:
    """Wake a thread that reads the stream: closing alone would leave it waiting."""
    sock = stream.get_extra_info("socket")
    if isinstance(sock, socket.socket):
        with suppress(OSError):  # closed already
            sock.shutdown(socket.SHUT_RDWR)
