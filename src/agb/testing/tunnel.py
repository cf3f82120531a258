"""A WebSocket through the proxy of faults: bytes are passed on, and each message of the client may meet a fault."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .faults import Fault, Faults
    from .listening import Listener

STREAM = "stream"
"""The name of the operation: a message of the client, which requests live output."""
_PIECE = 65_536
_MESSAGES = (1, 2)
"""Opcodes of frames that begin a message."""


class Tunnel:
    """Passes on the bytes of one WebSocket, until one end closes it or a fault does.

    Args:
        faults: which know the fault of each message.
        listener: runs the thread of the second direction.
        client: the connection of the client.
        runtime: the connection to the runtime.
        left: bytes that may go to the client until the WebSocket is cut, if there is a fault already.
    """

    def __init__(
        self, faults: Faults, listener: Listener, client: socket.socket, runtime: socket.socket, left: int | None
    ) -> None:
        self._faults = faults
        self._listener = listener
        self._client = client
        self._runtime = runtime
        self._left = left
        self._lock = threading.Lock()
        self._passes = threading.Event()
        self._passes.set()

    def pass_on(self, early: bytes) -> None:
        """Pass on the bytes of both directions; ``early`` came with the handshake."""
        up = self._listener.run(self._pass_up, self._client, self._runtime)
        with suppress(OSError):
            data = early or self._runtime.recv(_PIECE)
            while data:
                self._passes.wait()
                data, goes_on = self._allowed(data)
                self._client.sendall(data)
                data = self._runtime.recv(_PIECE) if goes_on else b""
        self._end()
        up.join()  # the sockets are closed after this

    def _allowed(self, data: bytes) -> tuple[bytes, bool]:
        """Return the bytes that may go to the client, and whether others may follow.

        They are counted before they are sent: the client may answer them at once with a message whose fault sets the
        number anew, and that fault is about what comes after them.
        """
        with self._lock:
            if self._left is None:
                return data, True
            data = data[: self._left]
            self._left -= len(data)
            return data, self._left > 0

    def _pass_up(self, client: socket.socket, runtime: socket.socket) -> None:
        frames = Frames()
        with suppress(OSError):
            while data := client.recv(_PIECE):
                messages = frames.messages_in(data)
                faults = [fault for _ in range(messages) if (fault := self._faults.fault_of([STREAM])) is not None]
                for fault in faults:
                    self._begin(fault)
                if any(fault.kind == "drop" and not fault.reaches_runtime for fault in faults):
                    break
                runtime.sendall(data)
                for fault in faults:
                    if fault.kind == "slow":
                        self._listener.over.wait(fault.seconds)
                        self._passes.set()
        self._passes.set()
        self._end()

    def _begin(self, fault: Fault) -> None:
        """Let a fault apply to what the runtime sends from now on."""
        if fault.kind == "slow":
            self._passes.clear()
        elif fault.kind == "cut" or fault.reaches_runtime:
            with self._lock:
                self._left = fault.after

    def _end(self) -> None:
        for sock in (self._client, self._runtime):
            with suppress(OSError):  # closed already
                sock.shutdown(socket.SHUT_RDWR)


class Frames:
    """Finds the frames of WebSocket in the bytes of a client, however these are divided."""

    def __init__(self) -> None:
        self._head = b""
        self._payload = 0
        """Bytes of the current frame that are still to come."""

    def messages_in(self, data: bytes) -> int:
        """Return how many messages begin in the next bytes."""
        count = 0
        while data:
            if self._payload:
                skipped = min(self._payload, len(data))
                self._payload -= skipped
                data = data[skipped:]
                continue
            self._head += data[:1]
            data = data[1:]
            if len(self._head) == self._head_size():
                count += self._head[0] & 0x0F in _MESSAGES
                self._payload = self._payload_size()
                self._head = b""
        return count

    def _head_size(self) -> int:
        """Return the size of the head, as far as its bytes say: two bytes, a longer length, and the mask."""
        if len(self._head) < 2:
            return 2
        longer = {126: 2, 127: 8}.get(self._head[1] & 0x7F, 0)
        return 2 + longer + (4 if self._head[1] & 0x80 else 0)

    def _payload_size(self) -> int:
        short = self._head[1] & 0x7F
        if short < 126:
            return short
        return int.from_bytes(self._head[2 : 4 if short == 126 else 10], "big")
