# Generated from src/agb/_async/net/websocket_connection.py by tools/unasync.py. Do not edit.
"""One WebSocket connection, and the streams that it carries; it is read by the stream that needs something first.

The protocol is websockets' Sans-IO core. There is neither task nor thread: a frame is read when a stream is asked for
one. The stream that asks first reads for all of them, and puts frames of the others into their inboxes; when it
has its own, it wakes one of those that wait, and that one reads on.

The invariant: while a stream waits, another one reads. `_takes_over` makes a stream the reader or adds it to the
waiting ones, in one step under the mutex; a stream that leaves, for whatever reason, wakes a waiting one if there is no
reader any more (`_hand_over`). A frame is put into its inbox before anything can be cancelled, so none is lost.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock as Mutex
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import State

from ..._wire.deadline import Deadline
from ..._wire.frames import split_frames
from ..._wire.stream import CANCEL, FrameError, Loads, Phase, frame_text, phase_of, read_data
from ...exceptions import AGBError, ErrorKind, Sent, SessionError
from .._compat.cancellation import checkpoint, shielded
from .._compat.primitives import AutoResetEvent, Lock
from .errors import failure_of, hide_secrets
from .http import Upgrade
from .streams import hang_up

QUIET_SECONDS = 20.0
"""How long a read waits until it sends a ping, and then how long for the answer."""
IDLE_SECONDS = 60.0
"""How long a connection without streams is trusted; it is not read meanwhile, so it may have died unnoticed."""
CANCEL_SECONDS = 3.0
"""How long a stream that was left early may take to end before its connection is closed."""
INBOX_BYTES = 64 * 1024 * 1024
"""How many bytes are kept for a stream that is not read while others on its connection are."""
_READ_BYTES = 256 * 1024
_LONGEST_HEAD = 14
"""Bytes before the payload of a frame."""


class Stream:
    """One stream: its frames in the order they came, to the end."""

    def __init__(self, connection: WebSocketConnection, invocation_id: str, target: str) -> None:
        self.invocation_id = invocation_id
        self._connection, self._target = connection, target
        self._inbox: deque[tuple[Mapping[str, Any], int]] = deque()
        self._kept = 0
        self._failure: tuple[str, ErrorKind] | None = None
        self.signal = AutoResetEvent()
        self.has_ended = False

    # --- called by the stream that reads --------------------------------------------------------------------------

    @property
    def can_go_on(self) -> bool:
        """Whether a wait would be over at once."""
        return bool(self._inbox) or self._failure is not None

    def deliver(self, data: Mapping[str, Any], size: int) -> None:
        """Put a frame's data into the inbox."""
        self._kept += size
        if self._kept > INBOX_BYTES and self._inbox:
            self.fail(f"more than {INBOX_BYTES >> 20} MiB arrived that were not read", ErrorKind.UNREACHABLE)
        if self._failure is None:
            self._inbox.append((data, size))

    def fail(self, why: str, kind: ErrorKind) -> None:
        """Let the stream fail once its inbox is empty."""
        self._failure = self._failure or (why, kind)

    # --- called by its owner -------------------------------------------------------------------------------------

    def receive(self, deadline: Deadline) -> tuple[Phase, Mapping[str, Any]]:
        """Return the next frame's phase and data; nothing is lost if the caller is cancelled, or tries again later.

        Raises:
            SessionError: the deadline has passed, the connection broke, or a frame is invalid.
        """
        if not self._inbox:
            self._connection.wait_for(self, deadline)
        if not self._inbox:
            raise self._error()
        return self._take()

    def receive_nowait(self) -> tuple[Phase, Mapping[str, Any]] | None:
        """Return what `receive` returns if it has arrived already, as most has; else None."""
        return self._take() if self._inbox else None

    def _take(self) -> tuple[Phase, Mapping[str, Any]]:
        data, size = self._inbox.popleft()
        self._kept -= size
        try:
            phase = phase_of(data)
        except FrameError as error:
            self.fail(str(error), ErrorKind.INVALID_ANSWER)
            raise self._error() from error
        if phase != "event":
            self.has_ended = True
            self._connection.streams.pop(self.invocation_id, None)
        return phase, data

    def _error(self) -> SessionError:
        why, kind = self._failure or ("nothing arrived", ErrorKind.UNREACHABLE)
        return self._connection.error(f"The stream broke: {why}", kind, self.invocation_id)

    def close(self) -> None:
        """Leave the stream; one that has not ended is cancelled on the other side, or loses its connection."""
        if self.has_ended:
            return
        self.has_ended = True
        connection = self._connection
        deadline = Deadline(CANCEL_SECONDS)
        try:
            if connection.is_open:
                self._failure = None  # only its end is of interest from here on
                cancel = frame_text(self.invocation_id, {"method": CANCEL}, target=self._target)
                connection.send(cancel, deadline)
                self._end(deadline)
        except AGBError:
            connection.close(f"stream {self.invocation_id}, which shared it, was cancelled and did not end")
        finally:
            connection.streams.pop(self.invocation_id, None)

    def _end(self, deadline: Deadline) -> None:
        """Return when the stream has ended; the frames before its end are dropped."""
        while True:
            while self._inbox:
                data, size = self._inbox.popleft()
                self._kept -= size
                if data.get("phase") != "event" or isinstance(data.get("error"), str):
                    return
            self._connection.wait_for(self, deadline)
            if not self._inbox:
                raise self._error()


class WebSocketConnection:
    """One WebSocket connection, and the streams that it carries."""

    def __init__(self, protocol: ClientProtocol, upgrade: Upgrade, session_id: str, most: int) -> None:
        """Take over an accepted handshake; a message may have ``most`` bytes."""
        assert upgrade.stream is not None  # made of an accepted handshake only
        self._protocol = protocol
        self._upgrade, self._stream = upgrade, upgrade.stream
        self._session_id = session_id
        self._most = most
        self._mutex = Mutex()  # never held across a wait; guards the protocol, and who reads
        self._writing = Lock()
        self._has_reader = False
        self._waiting: set[Stream] = set()
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._parts_size = 0
        self._largest = 0
        """The size of the largest message so far."""
        self._last_received = time.monotonic()
        self._ping_sent: float | None = None
        self._failure: tuple[str, ErrorKind] | None = None
        self._closed_because = ""
        self.streams: dict[str, Stream] = {}
        """Those that have not ended, by invocation id."""

    @property
    def is_open(self) -> bool:
        return self._failure is None

    def is_good(self) -> bool:
        """Return whether a stream can be started."""
        if not self.is_open or self.streams:
            return self.is_open  # one of them reads, or will
        if time.monotonic() - self._last_received > IDLE_SECONDS:
            return False
        while self.is_open and self._stream.get_extra_info("is_readable"):
            try:
                self._read(Deadline(1.0))
            except SessionError:
                return False
        return self.is_open

    # --- writing -------------------------------------------------------------------------------------------------

    def send(self, text: str, deadline: Deadline) -> None:
        """Send a message."""
        if self._failure is not None:
            raise self.error(*self._failure)
        with self._mutex:
            self._protocol.send_text(text.encode("utf-8", "replace"))
        self._flush(deadline)

    def _flush(self, deadline: Deadline) -> None:
        """Write the protocol's output, in its order; a write that is cut off breaks the connection."""
        with self._writing.within(deadline.left()) as held:
            if not held:
                raise self._late(deadline)
            checkpoint()  # a cancellation that is due is raised here, where no message is cut
            with self._mutex:
                data = b"".join(self._protocol.data_to_send())
            if not data or not self.is_open:
                return
            try:
                self._stream.write(data, max(deadline.left(), 0.001))
            except BaseException as error:
                failure = failure_of(error)
                if failure is None:  # a cancellation, most often
                    self._break("a message was cut off in the middle", ErrorKind.UNREACHABLE)
                    raise
                hide_secrets(error)
                if failure[0] is ErrorKind.TIMED_OUT:
                    self._break("a message could not be sent in time", ErrorKind.TIMED_OUT)
                    raise self._late(deadline) from error
                self._lost(str(error))
                raise self.error(*(self._failure or ("", ErrorKind.UNREACHABLE))) from error

    # --- reading -------------------------------------------------------------------------------------------------

    def wait_for(self, stream: Stream, deadline: Deadline) -> None:
        """Return when a frame is in a stream's inbox: read, or wait while another stream reads."""
        try:
            while not stream.can_go_on:
                if self._failure is not None:
                    stream.fail(*self._failure)
                    return
                if deadline.left() <= 0:
                    raise self._late(deadline)
                if self._takes_over(stream):
                    try:
                        self._read(deadline)
                    finally:
                        self._has_reader = False
                elif not stream.can_go_on:  # checked again: a frame may have arrived just before it began to wait
                    stream.signal.wait(deadline.left())
        finally:
            self._hand_over(stream)

    def _takes_over(self, stream: Stream) -> bool:
        """Make a stream the reader if there is none, else let it wait; return whether it is the reader."""
        with self._mutex:
            if not self._has_reader:
                self._has_reader = True
                return True
            self._waiting.add(stream)
            return False

    def _hand_over(self, stream: Stream) -> None:
        """Leave; if there is no reader any more, wake a waiting stream, which does the same or reads."""
        with self._mutex:
            self._waiting.discard(stream)
            next_reader = next(iter(self._waiting), None) if not self._has_reader else None
        if next_reader is not None:
            next_reader.signal.set()

    def _read(self, deadline: Deadline) -> None:
        """Read once, and sort the frames into inboxes; a ping is sent when nothing arrived for long."""
        now = time.monotonic()
        due = (self._last_received if self._ping_sent is None else self._ping_sent) + QUIET_SECONDS
        wait = min(deadline.left(), max(due - now, min(1.0, QUIET_SECONDS)))
        try:
            data = self._stream.read(_READ_BYTES, max(wait, 0.001))
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            if failure[0] is ErrorKind.TIMED_OUT:
                self._quiet(deadline, due)
            else:
                self._lost(str(error))
            return
        self._last_received, self._ping_sent = time.monotonic(), None
        if data:
            self._buffer += data
            self._take_frames()
            if max(self._largest, len(self._buffer) - _LONGEST_HEAD, self._parts_size) > self._most:
                why = f"a message has more than the {self._most:,} bytes that are allowed (Limits.answer_bytes)"
                self._lost(why, ErrorKind.TOO_LARGE)
                return
        else:
            with self._mutex:
                self._protocol.receive_data(bytes(self._buffer))
                self._protocol.receive_eof()
        if self._protocol.writes and self.is_open:
            self._flush(deadline)
        if self._protocol.state is not State.OPEN:
            self._lost(self._close_reason())

    def _quiet(self, deadline: Deadline, due: float) -> None:
        """React to silence: not yet, by a ping, or by giving the connection up."""
        if time.monotonic() < due:
            return  # the caller's deadline comes first
        if self._ping_sent is None:
            self._ping_sent = time.monotonic()
            with self._mutex:
                self._protocol.send_ping(b"")
            self._flush(deadline)
            return
        self._lost(f"no sign of life for {2 * QUIET_SECONDS:g} s")

    def _take_frames(self) -> None:
        """Sort complete messages into inboxes; the protocol gets the frames that are not plain text, one by one."""
        for is_plain, frame in split_frames(self._buffer):
            if is_plain and not self._parts:
                self._deliver(frame)
                continue
            with self._mutex:
                self._protocol.receive_data(bytes(frame))
            self._take_events()
            if self._protocol.state is not State.OPEN:
                return  # what comes after a close frame is of no interest

    def _take_events(self) -> None:
        """Sort the messages that the protocol has put together into inboxes."""
        for event in self._protocol.events_received():
            if not isinstance(event, WireFrame) or event.opcode not in _DATA:
                continue
            message = bytes(event.data)
            if not event.fin or self._parts:
                self._parts.append(message)
                self._parts_size += len(message)
                if not event.fin:
                    continue
                message, self._parts, self._parts_size = b"".join(self._parts), [], 0
            self._deliver(message)

    def _deliver(self, message: bytes | bytearray) -> None:
        """Put a message into its stream's inbox; one of an unknown stream is ignored, since it comes too late."""
        self._largest = max(self._largest, len(message))
        if self._largest > self._most:  # the connection is closed for it
            return
        try:
            invocation_id, data = read_data(message, _loads)
        except FrameError as error:
            stream = self.streams.get(error.invocation_id)
            if stream is not None:
                stream.fail(str(error), ErrorKind.INVALID_ANSWER)
        else:
            stream = self.streams.get(invocation_id)
            if stream is not None:
                stream.deliver(data, len(message))
        if self._waiting and stream in self._waiting:
            stream.signal.set()

    # --- the end -------------------------------------------------------------------------------------------------

    def _close_reason(self) -> str:
        """Return why the connection has ended."""
        close = self._protocol.close_rcvd
        if self._closed_because:  # the service answers the close frame, and another thread may read that first
            return self._closed_because
        if close is not None:
            return f"the service closed the connection ({close})"
        if self._protocol.parser_exc is not None and not isinstance(self._protocol.parser_exc, EOFError):
            return f"the service does not speak the WebSocket protocol: {self._protocol.parser_exc}"
        return "the service closed the connection in mid-stream"

    def _lost(self, why: str, kind: ErrorKind = ErrorKind.UNREACHABLE) -> None:
        self._break(why or "the connection was lost", kind)
        shielded(self._upgrade.close)

    def _break(self, why: str, kind: ErrorKind) -> None:
        """Let every stream fail."""
        self._failure = self._failure or (why, kind)
        for stream in list(self.streams.values()):
            stream.fail(*self._failure)
            stream.signal.set()

    def close(self, why: str = "the connection was closed") -> None:
        """Send a close frame if that can be done at once, and close."""
        if self.is_open and self._protocol.state is State.OPEN:
            self._closed_because = why
            with self._mutex:
                self._protocol.send_close(1000)
            with suppress(AGBError):
                self._flush(Deadline(1.0))
        self._break(why, ErrorKind.UNREACHABLE)
        hang_up(self._stream)
        self._upgrade.close()

    def abort(self, why: str) -> None:
        """Close at once, where the event loop of the connection cannot do it."""
        self._break(why, ErrorKind.UNREACHABLE)
        self._upgrade.abort()

    def error(self, why: str, kind: ErrorKind, invocation_id: str = "") -> SessionError:
        """Return the error of a stream that was cut off."""
        return SessionError(why, kind=kind, session_id=self._session_id, request_id=invocation_id, sent=Sent.MAYBE)

    def _late(self, deadline: Deadline) -> SessionError:
        return self.error(f"no end of the stream within {deadline.seconds:g} s", ErrorKind.TIMED_OUT)


_loads: Loads | None
try:  # the extra agb[fast]: reading its JSON is the largest part of what an event costs
    from msgspec.json import decode as _loads
except ImportError:
    _loads = None

_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
