# Generated from src/agb/_async/net/websocket.py by tools/unasync.py. Do not edit.
"""WebSocket: one socket per session that carries any number of streams, read by whoever waits.

The protocol is websockets' Sans-IO core over the same network streams as HTTP. There is neither task nor thread: a
frame is read when somebody asks for one. Whoever asks first reads for all, and files what belongs to others; when it
has its own, it wakes one of those who wait, and that one reads on.

Source: data-plane.md 3; what is done better than in 0.12 is section 6, "WebSocket".
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock as Mutex
from typing import Any

import httpcore
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from ..._version import __version__
from ..._wire.deadline import Deadline
from ..._wire.frames import split_frames
from ..._wire.stream import CANCEL, FrameError, Loads, Phase, frame_text, new_id, phase_of, read_data
from ...config import is_header_value
from ...exceptions import AGBError, ErrorKind, Sent, SessionError
from .._compat.cancellation import checkpoint, shielded
from .._compat.primitives import AutoResetEvent, Lock
from .streams import hang_up

QUIET_SECONDS = 20.0
"""How long a read waits until it asks the other side for a sign of life, and then how long for that sign."""
IDLE_SECONDS = 60.0
"""How long a socket without streams is trusted; nobody reads it meanwhile, so it may have died unnoticed."""
CANCEL_SECONDS = 3.0
"""How long a stream that was left early may take to end before its socket is closed."""
INBOX_BYTES = 64 * 1024 * 1024
"""How much is kept for a stream that nobody reads while others on its socket are read."""
_READ_BYTES = 256 * 1024
_HEAD_BYTES = 64 * 1024
"""What the head of the answer to a handshake may hold."""


Connect = Callable[[bool, str, int, Deadline], httpcore.NetworkStream]
"""Gives a stream to a host and port, with TLS or without."""


class WebSocket:
    """The socket of a session: opened by the first stream, shared by all, opened anew after it broke."""

    def __init__(self, url: str, token: str, session_id: str, connect: Connect) -> None:
        self._url, self._token, self._session_id = url, token, session_id
        self._connect = connect
        self._opening = Lock()
        self._socket: _Socket | None = None
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self._session_id}, {'open' if self._socket else 'not open'}>"

    def start(self, data: Mapping[str, Any], target: str, deadline: Deadline) -> Stream:
        """Start a stream with its first frame.

        Raises:
            SessionError: the socket could not be opened, or broke.
            ValueError, TypeError: the data cannot be written as JSON.
        """
        invocation_id = new_id()
        text = frame_text(invocation_id, data, target=target)
        with self._opening.within(deadline.left()) as held:
            if not held:
                raise self._error(f"no connection within {deadline.seconds:g} s", ErrorKind.TIMED_OUT)
            socket = self._open(deadline)
            stream = socket.streams[invocation_id] = Stream(socket, invocation_id, target)
        try:
            socket.send(text, deadline)
        except BaseException:
            shielded(stream.close)
            raise
        return stream

    def _open(self, deadline: Deadline) -> _Socket:
        """Return the socket, a new one if there is none that can be used."""
        if self._socket is not None and not self._socket.is_good():
            shielded(self._socket.close)
            self._socket = None
        if self.is_closed:
            raise self._error("the connection to the session was closed", ErrorKind.UNREACHABLE)
        if self._socket is None:
            socket = self._connected(deadline)
            if self.is_closed:
                shielded(socket.close)
                raise self._error("the connection to the session was closed meanwhile", ErrorKind.UNREACHABLE)
            self._socket = socket
        return self._socket

    def _connected(self, deadline: Deadline) -> _Socket:
        try:
            uri = parse_uri(self._url)
        except InvalidURI:
            told = "the ws_url that the service gave is not the address of a WebSocket"
            raise self._error(told, ErrorKind.INVALID_ANSWER) from None  # its text shows the address
        if not is_header_value(self._token):
            raise self._error("the session's token is not one that a header can carry", ErrorKind.INVALID_ANSWER)
        where = f"{'wss' if uri.secure else 'ws'}://{uri.host}:{uri.port}"
        try:
            stream = self._connect(uri.secure, uri.host, uri.port, deadline)
        except httpcore.TimeoutException as error:
            told = f"no connection to {where} within {deadline.seconds:g} s" + (f": {error}" if str(error) else "")
            raise self._error(told, ErrorKind.TIMED_OUT, retryable=True) from error
        except (httpcore.NetworkError, httpcore.ProxyError) as error:
            told = f"no connection to {where}: {error}"
            retryable = not getattr(error, "permanent", False)
            raise self._error(told, ErrorKind.UNREACHABLE, retryable=retryable) from error
        socket = _Socket(stream, uri, self._session_id, where)
        try:
            socket.shake_hands(self._token, deadline)
        except BaseException:
            shielded(socket.close)
            raise
        return socket

    def _error(self, why: str, kind: ErrorKind, *, retryable: bool = False) -> SessionError:
        return SessionError(
            f"Could not open a stream to session {self._session_id}: {why}",
            kind=kind,
            session_id=self._session_id,
            retryable=retryable,
        )

    def close(self) -> None:
        """Close the socket for good; streams that have not ended fail. May be called twice."""
        self.is_closed = True
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close("the connection to the session was closed by this program")


class Stream:
    """One stream: its frames in the order they came, to the end."""

    def __init__(self, socket: _Socket, invocation_id: str, target: str) -> None:
        self.invocation_id = invocation_id
        self._socket, self._target = socket, target
        self._inbox: deque[tuple[Mapping[str, Any], int]] = deque()
        self._kept = 0
        self._failure: tuple[str, ErrorKind] | None = None
        self.signal = AutoResetEvent()
        self.has_ended = False

    # --- filed by whoever reads ----------------------------------------------------------------------------------

    @property
    def can_go_on(self) -> bool:
        """Whether a wait would be over at once."""
        return bool(self._inbox) or self._failure is not None

    def file(self, data: Mapping[str, Any], size: int) -> None:
        """Put a frame's data into the inbox."""
        self._kept += size
        if self._kept > INBOX_BYTES and self._inbox:
            self.fail(f"more than {INBOX_BYTES >> 20} MiB came for it that nobody took", ErrorKind.UNREACHABLE)
        if self._failure is None:
            self._inbox.append((data, size))

    def fail(self, why: str, kind: ErrorKind) -> None:
        """Let the stream fail once its inbox is empty."""
        self._failure = self._failure or (why, kind)

    # --- taken by its owner --------------------------------------------------------------------------------------

    def receive(self, deadline: Deadline) -> tuple[Phase, Mapping[str, Any]]:
        """Return the next frame's phase and data; nothing is lost if the caller is cancelled, or tries again later.

        Raises:
            SessionError: the deadline has passed, the socket broke, or a frame cannot be understood.
        """
        if not self._inbox:
            self._socket.wait_for(self, deadline)
        if not self._inbox:
            raise self._error()
        return self._take()

    def receive_nowait(self) -> tuple[Phase, Mapping[str, Any]] | None:
        """Return what `receive` does if it has come already, as most has; else None."""
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
            self._socket.streams.pop(self.invocation_id, None)
        return phase, data

    def _error(self) -> SessionError:
        why, kind = self._failure or ("nothing came", ErrorKind.UNREACHABLE)
        return self._socket.error(f"The stream broke: {why}", kind, self.invocation_id)

    def close(self) -> None:
        """Leave the stream; one that has not ended is cancelled on the other side, or loses its socket."""
        if self.has_ended:
            return
        self.has_ended = True
        socket = self._socket
        deadline = Deadline(CANCEL_SECONDS)
        try:
            if socket.is_open:
                self._failure = None  # only its end is of interest from here on
                cancel = frame_text(self.invocation_id, {"method": CANCEL}, target=self._target)
                socket.send(cancel, deadline)
                self._end(deadline)
        except AGBError:
            socket.close(f"stream {self.invocation_id}, which shared it, was cancelled and did not end")
        finally:
            socket.streams.pop(self.invocation_id, None)

    def _end(self, deadline: Deadline) -> None:
        """Return when the stream has ended, whatever else is still told."""
        while True:
            while self._inbox:
                data, size = self._inbox.popleft()
                self._kept -= size
                if data.get("phase") != "event" or isinstance(data.get("error"), str):
                    return
            self._socket.wait_for(self, deadline)
            if not self._inbox:
                raise self._error()


class _Socket:
    """One WebSocket, and the streams that it carries."""

    def __init__(self, stream: httpcore.NetworkStream, uri: WebSocketURI, session_id: str, where: str) -> None:
        self._stream = stream
        self._session_id, self._where = session_id, where
        self._protocol = ClientProtocol(uri, max_size=None, logger=_SILENT)
        self._mutex = Mutex()  # never held across a wait: for the protocol, and for who reads
        self._writing = Lock()
        self._is_read = False
        self._waiting: set[Stream] = set()
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._heard = time.monotonic()
        self._asked: float | None = None
        self._failure: tuple[str, ErrorKind] | None = None
        self._said_goodbye = ""
        self.streams: dict[str, Stream] = {}
        """Those that have not ended, by invocation id."""

    @property
    def is_open(self) -> bool:
        return self._failure is None

    def is_good(self) -> bool:
        """Return whether a stream can be started."""
        if not self.is_open or self.streams:
            return self.is_open  # somebody reads, or will
        if time.monotonic() - self._heard > IDLE_SECONDS:
            return False
        while self.is_open and self._stream.get_extra_info("is_readable"):
            try:
                self._read(Deadline(1.0))
            except SessionError:
                return False
        return self.is_open

    # --- opening -------------------------------------------------------------------------------------------------

    def shake_hands(self, token: str, deadline: Deadline) -> None:
        """Turn the connection into a WebSocket."""
        request = self._protocol.connect()
        request.headers["X-Access-Token"] = token
        request.headers["User-Agent"] = f"agb-python/{__version__}"
        self._protocol.send_request(request)
        try:
            self._stream.write(b"".join(self._protocol.data_to_send()), max(deadline.left(), 0.001))
            while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
                data = self._stream.read(_READ_BYTES, max(deadline.left(), 0.001))
                self._take_answer(data)
        except httpcore.TimeoutException as error:
            told = f"no answer from {self._where} within {deadline.seconds:g} s"
            raise self._refused(told, ErrorKind.TIMED_OUT, retryable=True) from error
        except httpcore.NetworkError as error:
            raise self._refused(f"{self._where} broke the connection", ErrorKind.UNREACHABLE, retryable=True) from error
        refusal = self._protocol.handshake_exc
        if isinstance(refusal, InvalidStatus):
            status = refusal.response.status_code
            kind = _KINDS.get(status, ErrorKind.UNREACHABLE if status >= 500 else ErrorKind.INVALID_ANSWER)
            told = "the session's token is not accepted" if kind is ErrorKind.BAD_CREDENTIALS else "no WebSocket there"
            raise self._refused(f"{told} (HTTP {status})", kind, http_status=status, sent=Sent.YES)
        if refusal is not None:
            told = f"{refusal}" if isinstance(refusal, InvalidHandshake) else "what answers there speaks no WebSocket"
            raise self._refused(told, ErrorKind.INVALID_ANSWER, sent=Sent.YES) from refusal
        self._heard = time.monotonic()
        self._take_frames()

    def _take_answer(self, data: bytes) -> None:
        """Give the answer to the protocol, to the end of its head if it is the right one: frames are for us."""
        self._buffer += data
        head, between, frames = self._buffer.partition(b"\r\n\r\n")
        if data and not between and len(head) < _HEAD_BYTES:
            return
        is_accepted = head.startswith(b"HTTP/1.1 101")
        answer, self._buffer = (head + between, frames) if is_accepted else (self._buffer, bytearray())
        self._protocol.receive_data(bytes(answer))
        if not data:
            self._protocol.receive_eof()

    def _refused(self, why: str, kind: ErrorKind, **more: Any) -> SessionError:
        told = f"Could not open a stream to session {self._session_id}: {why}"
        return SessionError(told, kind=kind, session_id=self._session_id, **more)

    # --- writing -------------------------------------------------------------------------------------------------

    def send(self, text: str, deadline: Deadline) -> None:
        """Send a message."""
        if self._failure is not None:
            raise self.error(*self._failure)
        with self._mutex:
            self._protocol.send_text(text.encode("utf-8", "replace"))
        self._flush(deadline)

    def _flush(self, deadline: Deadline) -> None:
        """Write what the protocol has to say, in its order; a write that does not come to its end breaks the socket."""
        with self._writing.within(deadline.left()) as held:
            if not held:
                raise self._late(deadline)
            checkpoint()  # a cancellation that is due comes here, where it harms nobody
            with self._mutex:
                data = b"".join(self._protocol.data_to_send())
            if not data or not self.is_open:
                return
            try:
                self._stream.write(data, max(deadline.left(), 0.001))
            except httpcore.TimeoutException as error:
                self._break("a message could not be sent in time", ErrorKind.TIMED_OUT)
                raise self._late(deadline) from error
            except httpcore.NetworkError as error:
                self._lost(str(error))
                raise self.error(*(self._failure or ("", ErrorKind.UNREACHABLE))) from error
            except BaseException:
                self._break("a message was cut off in the middle", ErrorKind.UNREACHABLE)
                raise

    # --- reading -------------------------------------------------------------------------------------------------

    def wait_for(self, stream: Stream, deadline: Deadline) -> None:
        """Return when something has been filed for a stream: read, or wait while another reads."""
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
                        self._is_read = False
                elif not stream.can_go_on:  # looked at again: a frame filed before it was noted woke nobody
                    stream.signal.wait(deadline.left())
        finally:
            self._hand_over(stream)

    def _takes_over(self, stream: Stream) -> bool:
        """Return whether the stream's owner is to read now; if not, it is noted as one who waits."""
        with self._mutex:
            if not self._is_read:
                self._is_read = True
                return True
            self._waiting.add(stream)
            return False

    def _hand_over(self, stream: Stream) -> None:
        """Leave; if nobody reads any more, wake one who waits, and so on until one reads or nobody waits."""
        with self._mutex:
            self._waiting.discard(stream)
            heir = next(iter(self._waiting), None) if not self._is_read else None
        if heir is not None:
            heir.signal.set()

    def _read(self, deadline: Deadline) -> None:
        """Read once and file what came; a ping goes out when nothing came for long."""
        now = time.monotonic()
        due = (self._heard if self._asked is None else self._asked) + QUIET_SECONDS
        wait = min(deadline.left(), max(due - now, min(1.0, QUIET_SECONDS)))
        try:
            data = self._stream.read(_READ_BYTES, max(wait, 0.001))
        except httpcore.TimeoutException:
            self._quiet(deadline, due)
            return
        except httpcore.NetworkError as error:
            self._lost(str(error))
            return
        self._heard, self._asked = time.monotonic(), None
        if data:
            self._buffer += data
            self._take_frames()
        else:
            with self._mutex:
                self._protocol.receive_data(bytes(self._buffer))
                self._protocol.receive_eof()
        if self._protocol.writes and self.is_open:
            self._flush(deadline)
        if self._protocol.state is not State.OPEN:
            self._lost(self._goodbye())

    def _quiet(self, deadline: Deadline, due: float) -> None:
        """Answer to silence: nothing yet, a ping, or the conclusion that nobody is there."""
        if time.monotonic() < due:
            return  # the caller's deadline is over first
        if self._asked is None:
            self._asked = time.monotonic()
            with self._mutex:
                self._protocol.send_ping(b"")
            self._flush(deadline)
            return
        self._lost(f"no sign of life for {2 * QUIET_SECONDS:g} s")

    def _take_frames(self) -> None:
        """File the messages that are complete; the protocol sees whatever is no plain one, frame by frame."""
        for is_plain, frame in split_frames(self._buffer):
            if is_plain and not self._parts:
                self._file(frame)
                continue
            with self._mutex:
                self._protocol.receive_data(bytes(frame))
            self._take_events()
            if self._protocol.state is not State.OPEN:
                return  # what comes after a goodbye is of no interest

    def _take_events(self) -> None:
        """File what the protocol has put together."""
        for event in self._protocol.events_received():
            if not isinstance(event, WireFrame) or event.opcode not in _DATA:
                continue
            message = bytes(event.data)
            if not event.fin or self._parts:
                self._parts.append(message)
                if not event.fin:
                    continue
                message, self._parts = b"".join(self._parts), []
            self._file(message)

    def _file(self, message: bytes | bytearray) -> None:
        """File a message; one that belongs to no stream here is somebody else's push, or comes too late."""
        try:
            invocation_id, data = read_data(message, _loads)
        except FrameError as error:
            stream = self.streams.get(error.invocation_id)
            if stream is not None:
                stream.fail(str(error), ErrorKind.INVALID_ANSWER)
        else:
            stream = self.streams.get(invocation_id)
            if stream is not None:
                stream.file(data, len(message))
        if self._waiting and stream in self._waiting:
            stream.signal.set()

    # --- the end -------------------------------------------------------------------------------------------------

    def _goodbye(self) -> str:
        """Return why the protocol has come to its end."""
        close = self._protocol.close_rcvd
        if self._said_goodbye:  # the service answers, and another thread may read that first
            return self._said_goodbye
        if close is not None:
            return f"the service closed the connection ({close})"
        if self._protocol.parser_exc is not None and not isinstance(self._protocol.parser_exc, EOFError):
            return f"what came is not the WebSocket protocol: {self._protocol.parser_exc}"
        return "the service closed the connection in mid-stream"

    def _lost(self, why: str) -> None:
        self._break(why or "the connection was lost", ErrorKind.UNREACHABLE)
        shielded(self._stream.close)

    def _break(self, why: str, kind: ErrorKind) -> None:
        """Let every stream know that nothing more will come."""
        self._failure = self._failure or (why, kind)
        for stream in list(self.streams.values()):
            stream.fail(*self._failure)
            stream.signal.set()

    def close(self, why: str = "the connection was closed") -> None:
        """Say goodbye if it can be said at once, and close."""
        if self.is_open and self._protocol.state is State.OPEN:
            self._said_goodbye = why
            with self._mutex:
                self._protocol.send_close(1000)
            with suppress(AGBError):
                self._flush(Deadline(1.0))
        self._break(why, ErrorKind.UNREACHABLE)
        hang_up(self._stream)
        self._stream.close()

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

_KINDS = {
    401: ErrorKind.BAD_CREDENTIALS,
    403: ErrorKind.BAD_CREDENTIALS,
    404: ErrorKind.NOT_FOUND,
    429: ErrorKind.RATE_LIMITED,
}

# What websockets tells its logger holds headers, and so the token; this one belongs to no tree and says nothing.
_SILENT = logging.Logger("agb.websocket", logging.CRITICAL + 1)
