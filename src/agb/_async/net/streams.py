"""How a connection is opened, in the asynchronous flavour; ``_sync/net/streams.py`` has the same names.

On asyncio the stream is asyncio's own. anyio's costs twice as much there, and its connecting loses a native
cancellation, or a socket, when the two meet in one turn of the loop. trio has anyio's.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from contextlib import suppress
from typing import Any, cast

import httpcore

from ..._wire.deadline import Deadline

_BUFFER_LIMIT = 256 * 1024
"""How many received bytes are buffered before reading from the network is paused."""
_SLICE = 64 * 1024
"""How many bytes are written between two looks at the other side."""
_LONG = 30 * 24 * 3600.0
ABORT = "agb.abort"
"""What a stream of asyncio returns by `get_extra_info`: its function `abort`."""
_CONNECTION_LOST = "_call_connection_lost"
"""The function of asyncio's transports that closes the socket; those of uvloop have none, and are closed with it."""
_EYEBALLS_DELAY = 0.25
"""Seconds after which a host's next address is tried beside the one before (RFC 8305)."""


async def open_stream(
    host: str, port: int, tls: ssl.SSLContext | None, deadline: Deadline
) -> httpcore.AsyncNetworkStream:
    """Return a stream to a host; raise httpcore's `ConnectError` or `ConnectTimeout`."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return await _open_with_anyio(host, port, tls, deadline)
    try:
        async with asyncio.timeout(deadline.left()):
            options: dict[str, Any] = {}
            if await _has_two_families(loop, host, port):
                options["happy_eyeballs_delay"] = _EYEBALLS_DELAY
            if tls is not None:
                options["ssl_handshake_timeout"] = _handshake_seconds(deadline)
            _, protocol = await loop.create_connection(lambda: _StreamProtocol(loop), host, port, ssl=tls, **options)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return _AsyncioStream(protocol)


def _handshake_seconds(deadline: Deadline) -> float:
    """Return a limit that is never reached, in place of asyncio's 60 seconds, whose end is no time-out but an abort."""
    return min(deadline.left(), _LONG) + 60


async def _has_two_families(loop: asyncio.AbstractEventLoop, host: str, port: int) -> bool:
    """Return whether a host has addresses of both families, so that it is worth trying them side by side.

    Not otherwise: asyncio's race can lose a socket when it is cancelled, and trying one after the other cannot.
    """
    if ":" in host or host.replace(".", "").isdigit() or not isinstance(loop, asyncio.BaseEventLoop):
        return False  # an address; or a loop of another make (uvloop), which has no such race
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return len({family for family, *_ in addresses}) > 1


async def _open_with_anyio(
    host: str, port: int, tls: ssl.SSLContext | None, deadline: Deadline
) -> httpcore.AsyncNetworkStream:
    from anyio import CancelScope

    backend = httpcore.AnyIOBackend()
    stream = await backend.connect_tcp(  # pyright: ignore[reportAttributeAccessIssue] - httpcore declares it twice
        host, port, timeout=deadline.left()
    )
    if tls is None:
        return stream
    try:
        return await stream.start_tls(tls, server_hostname=host, timeout=deadline.left())
    except BaseException:
        with CancelScope(shield=True):
            await stream.aclose()
        raise


async def start_tls(
    stream: httpcore.AsyncNetworkStream, tls: ssl.SSLContext, host: str, deadline: Deadline
) -> httpcore.AsyncNetworkStream:
    """Return the stream with TLS over it, TLS in TLS too; raise httpcore's `ConnectError` or `ConnectTimeout`."""
    if not isinstance(stream, _AsyncioStream):
        return await stream.start_tls(tls, server_hostname=host, timeout=deadline.left())
    try:
        async with asyncio.timeout(deadline.left()):
            await stream.start_tls_here(tls, host, _handshake_seconds(deadline))
    except TimeoutError as error:
        raise httpcore.ConnectTimeout from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return stream


async def address_of(host: str, port: int, deadline: Deadline) -> str:
    """Return an address of a host; raise httpcore's `ConnectError` or `ConnectTimeout`."""
    import anyio

    try:
        with anyio.fail_after(deadline.left()):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return str(found[0][4][0])


def unread_tls_bytes(stream: httpcore.AsyncNetworkStream) -> bool:
    """Return whether TLS holds bytes that were received and not read, which the socket does not show."""
    tls = stream.get_extra_info("ssl_object")
    if tls is None:  # none, or asyncio's, which hands over all that it has
        return False
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return False
    return True


async def write_unless_answered(stream: httpcore.AsyncNetworkStream, data: bytes, timeout: float) -> bool:
    """Write; return True as soon as something comes from the other side, and what is left is not written.

    ``timeout`` is for each time that nothing moves. Over trio's TLS an answer is not seen before the other side closes.
    """
    if isinstance(stream, _AsyncioStream):
        return await stream.write_unless_answered(data, timeout)
    is_tls = stream.get_extra_info("ssl_object") is not None
    view = memoryview(data)
    for at in range(0, len(view), _SLICE):
        if not is_tls and stream.get_extra_info("is_readable"):
            return True
        await stream.write(cast("bytes", view[at : at + _SLICE]), timeout)
    return False


def abort(stream: httpcore.AsyncNetworkStream) -> None:
    """Close a stream whose event loop ends, has ended, or does not run; no task uses it any more."""
    close = stream.get_extra_info(ABORT)
    sock = stream.get_extra_info("socket")
    if close is not None:
        close()
    elif isinstance(sock, socket.socket):  # trio's
        sock.close()


def hang_up(stream: httpcore.AsyncNetworkStream) -> None:
    """Do nothing: closing a stream wakes its reader."""
    del stream


class _StreamProtocol(asyncio.Protocol):
    """What asyncio reports of a connection: received bytes, its end, and whether it takes more."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.received = bytearray()
        self.is_over = False
        self.error: Exception | None = None
        self.lost = loop.create_future()
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._is_paused = False
        self._stops_at_answer = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) > _BUFFER_LIMIT and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        _wake(self._reader)
        if self._stops_at_answer:
            _wake(self._writer)

    def eof_received(self) -> bool:
        self.is_over = True
        _wake(self._reader)
        return False  # and so the transport closes

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.received += _unread(self.transport)
        self.is_over = True
        self.error = exc
        for waiting in (self._reader, self._writer, self.lost):
            _wake(waiting)

    def pause_writing(self) -> None:
        self._writer = self._loop.create_future()

    def resume_writing(self) -> None:
        _wake(self._writer)
        self._writer = None

    async def readable(self, timeout: float | None) -> None:
        """Return when there are bytes, or an end."""
        if self.received or self.is_over:
            return
        reader = self._reader = self._loop.create_future()
        # asyncio.timeout would do, but each object that lives while a call is under way is one more for Python's
        # collector to look at, which is what thousands of calls at a time cost more than one
        late = None if timeout is None else self._loop.call_later(timeout, _too_late, reader)
        try:
            await reader
        finally:
            self._reader = None
            if late is not None:
                late.cancel()

    async def drained(self, timeout: float | None) -> None:
        """Return when the transport takes more."""
        if self._writer is not None and not self.is_over:
            async with asyncio.timeout(timeout):
                await self._writer

    async def drained_or_answered(self, timeout: float) -> None:
        """Return when the transport takes more, or bytes were received, or the connection has ended."""
        self._stops_at_answer = True
        try:
            while self._writer is not None and not (self.received or self.is_over):
                waiting = self.transport.get_write_buffer_size()
                try:
                    async with asyncio.timeout(timeout):
                        await asyncio.shield(self._writer)  # it is waited for again
                except TimeoutError:
                    if self.transport.get_write_buffer_size() == waiting:
                        raise
        finally:
            self._stops_at_answer = False

    def take(self, max_bytes: int) -> bytes:
        data = bytes(self.received if len(self.received) <= max_bytes else self.received[:max_bytes])
        del self.received[:max_bytes]
        if self._is_paused and len(self.received) < _BUFFER_LIMIT:
            self._is_paused = False
            self.transport.resume_reading()
        return data


class _LossNotifier(asyncio.Protocol):
    """Notifies several protocols that their connection is lost."""

    def __init__(self, *protocols: asyncio.BaseProtocol) -> None:
        self._protocols = protocols

    def connection_lost(self, exc: Exception | None) -> None:
        for protocol in self._protocols:
            protocol.connection_lost(exc)


def _too_late(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


class _AsyncioStream(httpcore.AsyncNetworkStream):
    """httpcore's interface of a stream over a `_StreamProtocol`."""

    def __init__(self, protocol: _StreamProtocol) -> None:
        self._protocol = protocol

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            await self._protocol.readable(timeout)
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        if not self._protocol.received and self._protocol.error is not None:
            raise httpcore.ReadError(str(self._protocol.error)) from self._protocol.error
        return self._protocol.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._protocol.is_over:
            raise httpcore.WriteError("the connection was closed by the other side")
        self._protocol.transport.write(buffer)
        try:
            await self._protocol.drained(timeout)
        except TimeoutError as error:
            raise httpcore.WriteTimeout from error
        if self._protocol.error is not None:
            raise httpcore.WriteError(str(self._protocol.error)) from self._protocol.error

    async def write_unless_answered(self, data: bytes, timeout: float) -> bool:
        protocol = self._protocol
        sock = protocol.transport.get_extra_info("socket")
        while not (protocol.received or protocol.is_over) and _is_readable(sock):
            # The loop reads what has come, but not always in its next turn: this task may be first in that.
            await asyncio.sleep(0)
        if protocol.received or protocol.is_over:
            return True
        protocol.transport.write(data)
        try:
            await protocol.drained_or_answered(timeout)
        except TimeoutError as error:
            raise httpcore.WriteTimeout from error
        return bool(protocol.received) or protocol.is_over

    async def start_tls_here(self, tls: ssl.SSLContext, host: str, seconds: float) -> None:
        protocol = self._protocol
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                protocol.transport, protocol, tls, server_hostname=host, ssl_handshake_timeout=seconds
            )
        except BaseException:
            # TLS that is cut off while it shakes hands does not tell that the connection is lost
            protocol.transport.set_protocol(_LossNotifier(protocol.transport.get_protocol(), protocol))
            protocol.transport.abort()
            raise
        protocol.transport = cast("asyncio.Transport", transport)

    async def aclose(self) -> None:
        """Close at once: what is still to be sent is of no use any more."""
        self._protocol.transport.abort()
        await asyncio.wait([self._protocol.lost])

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            if self._protocol.received or self._protocol.is_over:
                return True
            return _is_readable(self._protocol.transport.get_extra_info("socket"))
        return self.abort if info == ABORT else None

    def abort(self) -> None:
        """Close what the event loop would close in its next turn, which it may not have."""
        transport: Any = self._protocol.transport
        sock = transport.get_extra_info("socket")
        try:
            transport.abort()
        except RuntimeError:  # the loop has ended. There is no public way to close what it has left open
            while (tls := getattr(transport, "_ssl_protocol", None)) is not None:
                transport = tls._transport
            with suppress(RuntimeError):
                getattr(transport, _CONNECTION_LOST, _nothing)(None)
        else:
            with suppress(OSError, TypeError, AttributeError):  # closed already; uvloop's sockets cannot
                sock.shutdown(socket.SHUT_RDWR)


def _nothing(error: None) -> None:
    del error


def _unread(transport: asyncio.Transport) -> bytearray:
    """Return what came before a connection broke, and was not read.

    A server that refuses a body may close while it is sent. If the answer comes after the loop has looked and before it
    writes, writing fails first, and asyncio closes a socket that holds the answer. TLS cannot be read any more then.
    Nothing more arrives on a broken connection, so this is at most what the socket's buffer holds.
    """
    sock = transport.get_extra_info("socket")
    unread = bytearray()
    if sock is None or sock.fileno() < 0 or transport.get_extra_info("ssl_object") is not None:
        return unread
    with suppress(OSError, TypeError), sock.dup() as copy:  # there is no more; uvloop's sockets cannot
        copy.setblocking(False)
        while data := copy.recv(_BUFFER_LIMIT):
            unread += data
    return unread


def _is_readable(sock: Any) -> bool:
    """Return whether the socket has bytes that the event loop has not read yet."""
    number = -1 if sock is None else sock.fileno()
    if number < 0:
        return True  # closed
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([number], [], [], 0)[0])
    poller = select.poll()
    poller.register(number, select.POLLIN)
    return bool(poller.poll(0))
