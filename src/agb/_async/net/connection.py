"""One connection: a request, its answer to the last byte, and the next; HTTP/1.1 by h11 over a network stream."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import Any

import h11  # httpx brings it
import httpcore

from ..._wire.deadline import Deadline
from ..._wire.secrets import SHORT_LIMIT, shown
from .streams import abort, unread_tls_bytes, write_unless_answered

KEPT_SECONDS = 60.0
"""How long an idle connection is kept."""

Headers = list[tuple[bytes, bytes]]
Body = Callable[[], Awaitable[bytes]]
"""Returns the next piece of a body each time it is called, ``b""`` at its end."""


class AsyncIncoming:
    """An answer whose head was received; its body is received piece by piece."""

    __slots__ = ("headers", "reason", "receive", "status")

    def __init__(self, head: h11.Response | h11.InformationalResponse, receive: Body) -> None:
        self.status = head.status_code
        reason = bytes(head.reason)
        self.reason = reason if reason in _REASONS else _shown(reason)
        self.headers: Headers = head.headers.raw_items()
        self.receive = receive
        """Return the next bytes of the body, ``b""`` at its end."""


class AsyncConnection:
    """A connection slot, and the connection that is open in it: HTTP/1.1, one request at a time.

    Each read and write takes what the deadline of its request leaves, so that an answer that trickles ends in time too.
    """

    __slots__ = (
        *("_expires", "_h11", "_has_received", "_has_sent", "_is_idle", "_is_kept", "_stream"),
        *("key", "owner"),
    )

    def __init__(self) -> None:
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._h11 = _UNOPENED
        self._is_idle = False
        self._is_kept = False
        self._has_sent = False
        self._has_received = False
        self._expires = 0.0
        self.key: Hashable = None
        """Where it leads."""
        self.owner: object = None
        """Who uses it."""

    @property
    def stream(self) -> httpcore.AsyncNetworkStream:
        """The stream beneath."""
        assert self._stream is not None  # asked for an open one only
        return self._stream

    @property
    def is_open(self) -> bool:
        """Whether there is a stream, good or not."""
        return self._stream is not None

    def open(self, stream: httpcore.AsyncNetworkStream, key: Hashable) -> None:
        """Begin anew on a stream."""
        self._stream, self.key = stream, key
        self._h11 = _http()
        self._is_kept = False
        self._expires = 0.0

    # --- sending -------------------------------------------------------------------------------------------------

    async def send(
        self, method: bytes, target: bytes, headers: Headers, body: bytes | Body | None, deadline: Deadline
    ) -> None:
        """Send a request; a body that is given whole goes out with the head, in one write.

        An answer that arrives before a body was sent to its end stops the sending; the rest is not sent.
        """
        self._is_idle = self._has_sent = self._has_received = False
        try:
            head = self._h11.send(h11.Request(method=method, target=target, headers=headers)) or b""
            if isinstance(body, bytes):
                head += self._h11.send(h11.Data(data=body)) or b""
            if body is None or isinstance(body, bytes):
                head += self._h11.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        await self._write(head, deadline)
        if not (body is None or isinstance(body, bytes)):
            with suppress(httpcore.WriteError):  # its answer is read
                await self._send_body(body, deadline)

    async def _write(self, request: bytes, deadline: Deadline) -> None:
        """Write a request, or what there is of it before its body."""
        seconds = time_left(deadline, "write")
        try:
            await self.stream.write(request, seconds)
        except httpcore.WriteError:
            # A server may answer before it has read everything, and close: its answer is read. But what is small goes
            # out at once or not at all, so a server that closed a kept connection has not answered this request.
            if self._is_kept and len(request) <= _AT_ONCE:
                raise
        self._has_sent = True

    async def _send_body(self, body: Body, deadline: Deadline) -> None:
        """Send a body to its end, or until it is answered."""
        while piece := await body():
            try:
                parts = self._h11.send_with_data_passthrough(h11.Data(data=piece)) or []  # no copy is made
            except h11.LocalProtocolError as error:
                raise httpcore.LocalProtocolError(str(error)) from error
            for part in parts:
                try:
                    if await write_unless_answered(self.stream, part, time_left(deadline, "write")):
                        return
                except httpcore.WriteTimeout:
                    if self.stream.get_extra_info("is_readable"):
                        return
                    raise
        try:
            end = self._h11.send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        if end:  # of a body in chunks
            await self.stream.write(end, time_left(deadline, "write"))

    def is_dead(self, repeatable: bool) -> bool:
        """Return whether a kept connection failed before its request was answered, and the request may be sent again.

        A request that was not written, or is ``repeatable``, may be.
        """
        return self._is_kept and not self._has_received and (repeatable or not self._has_sent)

    # --- receiving -----------------------------------------------------------------------------------------------

    async def receive(self, method: bytes, deadline: Deadline) -> AsyncIncoming:
        """Receive the head of the answer; its body is received from what is returned."""
        head = await self._head(deadline)
        length = None if method == b"HEAD" or head.status_code == 101 else _length(head)
        if length is None or length <= _SMALL_BODY:
            return AsyncIncoming(head, partial(self._by_h11, deadline))
        return AsyncIncoming(head, self._past_h11(head, length, deadline))

    async def _head(self, deadline: Deadline) -> h11.Response | h11.InformationalResponse:
        while True:
            event = await self._event(deadline)
            is_upgrade = isinstance(event, h11.InformationalResponse) and event.status_code == 101
            if isinstance(event, h11.Response) or is_upgrade:
                return event  # type: ignore[no-any-return]

    async def _event(self, deadline: Deadline) -> Any:
        """Return what h11 finds next in what is received."""
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise httpcore.RemoteProtocolError(str(error)) from error
            if event is not h11.NEED_DATA:
                return event
            data = await self.stream.read(_READ_BYTES, time_left(deadline, "read"))
            self._has_received = self._has_received or bool(data)
            if not data and self._h11.their_state is h11.SEND_RESPONSE:
                raise httpcore.RemoteProtocolError("closed without an answer")
            self._h11.receive_data(data)

    async def _by_h11(self, deadline: Deadline) -> bytes:
        """Return the next bytes of a body, as h11 cuts them out."""
        while True:
            event = await self._event(deadline)
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                self._is_over()
                return b""

    def _past_h11(self, response: h11.Response | h11.InformationalResponse, length: int, deadline: Deadline) -> Body:
        """Return what receives a body of known length straight from the stream: h11 copies each byte several times."""
        held, _ = self._h11.trailing_data
        is_last = self._h11.our_state is not h11.DONE or len(held) > length or not _keeps(response)
        left = length

        async def receive() -> bytes:
            nonlocal held, left
            if not left:
                return b""
            if held:
                piece, held = held[:left], b""
            elif not (piece := await self.stream.read(min(left, READ_BYTES), time_left(deadline, "read"))):
                raise httpcore.RemoteProtocolError(f"closed after {length - left:,} of {length:,} bytes")
            left -= len(piece)
            if not left and not (is_last or unread_tls_bytes(self.stream)):
                self._h11 = _http()
                self._rest()
            return piece

        return receive

    def _is_over(self) -> None:
        """Be ready for the next request if this one was answered to its end."""
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE and not self._holds_more():
            self._h11.start_next_cycle()
            self._rest()

    def _rest(self) -> None:
        self._is_kept = True
        self._expires = time.monotonic() + KEPT_SECONDS
        self._is_idle = True

    def _holds_more(self) -> bool:
        """Return whether bytes came after the answer; they would be read as the next one, perhaps another caller's."""
        if self._h11.trailing_data[0]:
            return True
        return unread_tls_bytes(self.stream)

    # --- the end -------------------------------------------------------------------------------------------------

    def is_good(self) -> bool:
        """Return whether it can be used again: not idle for too long, and neither bytes nor an end have come."""
        return self._is_idle and time.monotonic() < self._expires and not self.stream.get_extra_info("is_readable")

    def detach(self) -> httpcore.AsyncNetworkStream:
        """Return the stream of a connection that was upgraded (101), which is its caller's now; the slot is empty."""
        stream, self._stream = AsyncUpgradedStream(self.stream, self._h11.trailing_data[0]), None
        return stream

    def forget(self) -> None:
        """Empty the slot, and leave the connection to the garbage collector."""
        self._is_idle, self._stream = False, None

    def abort(self) -> None:
        """Close what is open, where its event loop cannot do it."""
        self._is_idle = False
        stream, self._stream = self._stream, None
        if stream is not None:
            abort(stream)

    async def aclose(self) -> None:
        """Close what is open; the slot can be used again."""
        self._is_idle = False
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()


class AsyncUpgradedStream(httpcore.AsyncNetworkStream):
    """The stream of an upgraded connection; bytes that came with the head of the answer are read first."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, leading: bytes) -> None:
        self._stream = stream
        self._leading = leading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return bytes that have come, ``b""`` at the end."""
        if self._leading:
            piece, self._leading = self._leading[:max_bytes], self._leading[max_bytes:]
            return piece
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of the buffer."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore's streams know of their connection."""
        if info == "is_readable" and self._leading:
            return True
        return self._stream.get_extra_info(info)


def _shown(reason: bytes) -> bytes:
    """Return a reason phrase as httpx may log it: it is text of the service."""
    return shown(reason.decode("latin-1"), SHORT_LIMIT).encode("latin-1", "replace")


def _http() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024)


def _length(response: h11.Response | h11.InformationalResponse) -> int | None:
    """Return the length of a body if Content-Length alone says it."""
    found = {name: value for name, value in response.headers if name in (b"content-length", b"transfer-encoding")}
    if b"transfer-encoding" in found or b"content-length" not in found or response.status_code in (204, 304):
        return None
    return int(found[b"content-length"])  # h11 has checked it


def _keeps(response: h11.Response | h11.InformationalResponse) -> bool:
    """Return whether the other side takes more requests after this answer."""
    said = b",".join(value for name, value in response.headers if name == b"connection").lower()
    return response.http_version == b"1.1" and b"close" not in said


_REASONS = frozenset({b"", b"OK"})
_AT_ONCE = 16 * 1024
"""Bytes of a request that a connection with nothing in progress takes whole, or refuses."""
_SMALL_BODY = 64 * 1024
"""Bytes of a body that are received through h11; larger ones are received past it."""
_READ_BYTES = 64 * 1024
_UNOPENED = _http()
READ_BYTES = 1 << 20
"""How many bytes of a large body are read at most at a time."""

_TIMEOUTS = {
    "pool": httpcore.PoolTimeout,
    "connect": httpcore.ConnectTimeout,
    "read": httpcore.ReadTimeout,
    "write": httpcore.WriteTimeout,
}


def time_left(deadline: Deadline, phase: str) -> float:
    """Return the seconds left, or raise what httpcore raises when a phase takes too long."""
    seconds = deadline.phase(phase).left()
    if seconds <= 0:
        raise _TIMEOUTS[phase]
    return seconds
