"""The runtime's end of the control socket of a session's agent: framed JSON and file descriptors over a stream.

The agent is not trusted, although it is the runtime's own program: sizes, types and numbers are checked, and an invalid
frame closes the socket, which ends the session.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..inside.agent import HEADER

_MAX_FRAME = 1 << 16
_MAX_FDS = 4
_WRITE_SECONDS = 10.0
_CREDENTIALS = struct.Struct("3i")
_ANCILLARY = socket.CMSG_SPACE(_MAX_FDS * 4) + socket.CMSG_SPACE(_CREDENTIALS.size)


class ControlSocket:
    """The connection to an agent.

    ``on_event`` is called with each event and the descriptors that belong to it, which it then owns; ``on_end`` is
    called once, when the agent closed the socket or sent an invalid frame.

    A frame is sent as a whole or not at all, as the agent sees it: when a sender is cancelled in the middle, the rest
    of its frame stays in ``_rest`` and the next sender writes it first. Descriptors go with the first byte of a frame.
    """

    def __init__(
        self, sock: socket.socket, on_event: Callable[[dict[str, Any], list[int]], None], on_end: Callable[[], None]
    ) -> None:
        self.peer_pid = 0
        """Process id of the agent, from the kernel, in this process' own namespace; 0 until the first event."""
        self._socket = sock
        self._on_event = on_event
        self._on_end = on_end
        self._received = bytearray()
        self._fds: list[int] = []
        self._writing = asyncio.Lock()
        self._rest = memoryview(b"")
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._loop.add_reader(sock, self._readable)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._socket.fileno() < 0

    def close(self) -> None:
        """Close the connection; the agent ends its session. May be called twice."""
        if self.is_closed:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        _close_all(self._fds)

    async def send(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        """Send a request with descriptors. Raises ``ConnectionError`` when the agent is gone."""
        body = json.dumps(request).encode()
        async with self._writing:
            await self._flush()
            await self._write(memoryview(HEADER.pack(len(body)) + body), fds)
            await self._flush()

    async def _flush(self) -> None:
        """Send the rest of a frame that an earlier sender could not complete."""
        while self._rest:
            await self._write(self._rest, ())

    async def _write(self, data: memoryview, fds: Sequence[int]) -> None:
        while not self.is_closed:
            try:
                sent = socket.send_fds(self._socket, [data], fds)
            except BlockingIOError:
                await self._writable()
            else:
                self._rest = data[sent:]
                return
        raise ConnectionError("the session's agent is gone")

    async def _writable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(self._socket, ready.set)
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                await ready.wait()
        except TimeoutError as error:
            raise ConnectionError("the session's agent does not read") from error
        finally:
            if not self.is_closed:
                self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(1 << 16, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        self._take(ancillary)
        self._received += data
        if not data or not self._dispatch():
            self.close()
            self._on_end()

    def _take(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if level != socket.SOL_SOCKET:
                continue
            if kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
                self._fds += fds
            elif kind == socket.SCM_CREDENTIALS and not self.peer_pid:
                self.peer_pid = _CREDENTIALS.unpack_from(data)[0]

    def _dispatch(self) -> bool:
        """Pass the complete frames to ``on_event``; return whether all were valid."""
        while len(self._received) >= HEADER.size:
            (size,) = HEADER.unpack_from(self._received)
            if size > _MAX_FRAME:
                return False
            if len(self._received) < HEADER.size + size:
                break
            body = bytes(self._received[HEADER.size : HEADER.size + size])
            del self._received[: HEADER.size + size]
            try:
                event = json.loads(body)
            except (ValueError, RecursionError):
                return False
            if not isinstance(event, dict):
                return False
            count = event.get("fds", 0)
            if type(count) is not int or not 0 <= count <= len(self._fds):
                return False
            fds, self._fds = self._fds[:count], self._fds[count:]
            self._on_event(event, fds)
            if self.is_closed:
                return True
        return len(self._fds) <= _MAX_FDS


def _close_all(fds: list[int]) -> None:
    while fds:
        with contextlib.suppress(OSError):
            os.close(fds.pop())
