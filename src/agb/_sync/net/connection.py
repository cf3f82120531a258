# Generated from src/agb/_async/net/connection.py by tools/unasync.py. Do not edit.
"""One connection: a request, its answer to the last byte, and the next; HTTP/1.1 by h11 over a network stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import h11  # httpx brings it
import httpcore

from ..._wire.deadline import Deadline
from .streams import unread_tls_bytes, write_unless_answered

KEPT_SECONDS = 60.0
"""How long an idle connection is kept."""

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]
"""Status, headers and the whole body."""
Body = Callable[[], bytes]
"""Gives the next piece of a body each time it is called, ``b""`` at its end."""


class Incoming:
    """An answer whose body is received piece by piece."""

    __slots__ = ("headers", "receive", "status")

    def __init__(self, status: int, headers: Headers, receive: Body) -> None:
        self.status = status
        self.headers = headers
        self.receive = receive
        """Return the next bytes of the body, ``b""`` at its end."""


class Connection:
    """A place for a connection, and the connection that is open there: HTTP/1.1, one request at a time.

    Each read and write takes what the deadline of its request leaves, so that a trickle ends in time too.
    """

    __slots__ = ("_expires", "_h11", "_has_heard", "_has_sent", "_is_idle", "_is_kept", "_stream", "key", "owner")

    def __init__(self) -> None:
        self._stream: httpcore.NetworkStream | None = None
        self._h11 = _NOTHING  # until it is opened
        self._is_idle = False
        self._is_kept = False
        self._has_sent = False
        self._has_heard = False
        self._expires = 0.0
        self.key: Hashable = None
        """Where it leads."""
        self.owner: object = None
        """Who uses it."""

    @property
    def stream(self) -> httpcore.NetworkStream:
        """The stream beneath."""
        assert self._stream is not None  # noqa: S101 - asked for an open one only
        return self._stream

    @property
    def is_open(self) -> bool:
        """Whether there is a stream, good or not."""
        return self._stream is not None

    def open(self, stream: httpcore.NetworkStream, key: Hashable) -> None:
        """Begin anew on a stream."""
        self._stream, self.key = stream, key
        self._h11 = _http()
        self._is_kept = False
        self._expires = 0.0

    def exchange(self, method: str, target: str, headers: Headers, body: bytes | None, deadline: Deadline) -> Answer:
        """Send a request, and return its answer."""
        self._is_idle = self._has_sent = self._has_heard = False
        with _mapped(h11.LocalProtocolError, httpcore.LocalProtocolError):
            request = self._h11.send(h11.Request(method=method, target=target, headers=headers)) or b""
            if body:
                request += self._h11.send(h11.Data(data=body)) or b""
            request += self._h11.send(h11.EndOfMessage()) or b""
        self._write(request, deadline)
        answer = self._answer(deadline)
        self._is_over()
        return answer

    def _write(self, request: bytes, deadline: Deadline) -> None:
        """Write a request, or what there is of it before its body."""
        seconds = time_left(deadline, "write")
        try:
            self.stream.write(request, seconds)
        except httpcore.WriteError:
            # A server may answer before it has read everything, and close: its answer is read. But what is small goes
            # out at once or not at all, and whoever closed a connection that was kept has not answered this.
            if self._is_kept and len(request) <= _AT_ONCE:
                raise
        self._has_sent = True

    def is_dead(self, repeatable: bool) -> bool:
        """Return whether a kept connection has failed before its request was answered, and the request may go again."""
        return self._is_kept and not self._has_heard and (repeatable or not self._has_sent)

    def _is_over(self) -> None:
        """Be ready for the next exchange if this one went to its end."""
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE and not self._holds_more():
            self._h11.start_next_cycle()
            self._rest()

    def _rest(self) -> None:
        self._is_kept = True
        self._expires = time.monotonic() + KEPT_SECONDS
        self._is_idle = True

    def _answer(self, deadline: Deadline) -> Answer:
        status, headers, parts = 0, [], []
        while True:
            event = self._event(deadline)
            if isinstance(event, h11.Response):
                status, headers = event.status_code, event.headers.raw_items()
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return status, headers, b"".join(parts)

    def _event(self, deadline: Deadline) -> Any:
        """Return what h11 finds next in what is received."""
        while True:
            with _mapped(h11.RemoteProtocolError, httpcore.RemoteProtocolError):
                event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = self.stream.read(_READ_BYTES, time_left(deadline, "read"))
            self._has_heard = self._has_heard or bool(data)
            if not data and self._h11.their_state is h11.SEND_RESPONSE:
                raise httpcore.RemoteProtocolError("closed without an answer")
            self._h11.receive_data(data)

    def begin(self, method: str, target: str, headers: Headers, body: Body | None, deadline: Deadline) -> Incoming:
        """Send a request of any size and receive the head of its answer.

        An answer that comes before all is sent is heard at once, and the rest is not sent.
        """
        self._is_idle = self._has_sent = self._has_heard = False
        with _mapped(h11.LocalProtocolError, httpcore.LocalProtocolError):
            head = self._h11.send(h11.Request(method=method, target=target, headers=headers)) or b""
            if body is None:
                head += self._h11.send(h11.EndOfMessage()) or b""
        self._write(head, deadline)
        if body is not None:
            with suppress(httpcore.WriteError):
                self._pour(body, deadline)
        response = self._head(deadline)
        length = None if method == "HEAD" else _length(response)
        receive = partial(self._by_h11, deadline) if length is None else self._past_h11(response, length, deadline)
        return Incoming(response.status_code, response.headers.raw_items(), receive)

    def _pour(self, body: Body, deadline: Deadline) -> None:
        """Send a body to its end, or until it is answered."""
        while piece := body():
            with _mapped(h11.LocalProtocolError, httpcore.LocalProtocolError):
                parts = self._h11.send_with_data_passthrough(h11.Data(data=piece)) or []  # no copy is made
            for part in parts:
                try:
                    if write_unless_answered(self.stream, part, time_left(deadline, "write")):
                        return
                except httpcore.WriteTimeout:
                    if self.stream.get_extra_info("is_readable"):
                        return
                    raise
        with _mapped(h11.LocalProtocolError, httpcore.LocalProtocolError):
            end = self._h11.send(h11.EndOfMessage())
        if end:  # of a body in chunks
            self.stream.write(end, time_left(deadline, "write"))

    def _head(self, deadline: Deadline) -> h11.Response:
        while True:
            event = self._event(deadline)
            if isinstance(event, h11.Response):
                return event

    def _by_h11(self, deadline: Deadline) -> bytes:
        """Return the next bytes of a body whose end h11 tells."""
        while True:
            event = self._event(deadline)
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
            if not (is_last or unread_tls_bytes(self.stream)):
                self._h11 = _http()
                self._rest()

        def receive() -> bytes:
            nonlocal held, left
            if not left:
                return b""
            if held:
                piece, held = held[:left], b""
            elif not (piece := self.stream.read(min(left, READ_BYTES), time_left(deadline, "read"))):
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
        return unread_tls_bytes(self.stream)

    def is_good(self) -> bool:
        """Return whether it can be used again: not for too long idle, and neither bytes nor an end have come."""
        return self._is_idle and time.monotonic() < self._expires and not self.stream.get_extra_info("is_readable")

    def close(self) -> None:
        """Close what is open; the place can be used again."""
        self._is_idle = False
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


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


_AT_ONCE = 16 * 1024
"""Bytes of a request that a connection with nothing under way takes whole, or refuses."""
_READ_BYTES = 64 * 1024
_NOTHING = _http()
READ_BYTES = 1 << 20
"""How many bytes of a large body are taken at once; as many as have come."""

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


@contextmanager
def _mapped(theirs: type[Exception], ours: type[Exception]) -> Iterator[None]:
    """Raise h11's error as httpcore's of the same name."""
    try:
        yield
    except theirs as error:
        raise ours(str(error)) from error
