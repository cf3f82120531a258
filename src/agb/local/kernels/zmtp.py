"""The client's end of ZMTP 3.0, the protocol of ZeroMQ sockets (https://rfc.zeromq.org/spec/23/), with limits.

A library for ZeroMQ receives in the background, and bounds the number of messages and the size of a part, but not the
number of parts. The peers here are kernels, in which any code may run, and one message of theirs could take all memory
of this process. So messages are read when they are asked for, and the size of a whole message is limited; what is not
read waits at the peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, Self

SocketType = Literal["DEALER", "SUB"]

_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
"""Signature, version 3.0, no encryption, a client."""
_MORE, _LONG, _COMMAND = 1, 2, 4
_READY = b"\x05READY"
_SUBSCRIBE_TO_ALL = b"\x01"
_MOST_PARTS = 1000
_CHUNK = 1 << 20


class Connection:
    """A connection to one socket; `open` makes it.

    ``largest`` is the bytes of a message that is received. A reader that is cancelled loses nothing: what it has read
    is kept for the next one. There may be one reader at a time.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, largest: int) -> None:
        self._reader = reader
        self._writer = writer
        self._largest = largest
        self._received = bytearray()
        self._parts: list[bytes] = []
        """The parts of the next message that are here."""

    @classmethod
    async def open(cls, path: str, socket_type: SocketType, *, largest: int) -> Self:
        """Connect to a socket and return once it has accepted; raises ``OSError`` and ``ValueError``."""
        connection = cls(*await asyncio.open_unix_connection(path, limit=_CHUNK), largest)
        try:
            await connection._shake_hands(socket_type)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _shake_hands(self, socket_type: SocketType) -> None:
        properties = b"".join(
            bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value
            for name, value in ((b"Socket-Type", socket_type.encode()), (b"Identity", b""))
        )
        self._writer.write(_GREETING + _frame(_COMMAND, _READY + properties))
        while len(self._received) < len(_GREETING):
            await self._read()
        if self._received[0] != 0xFF or not self._received[9] & 1 or self._received[10] < 3:
            raise ValueError("the socket does not speak ZMTP 3")
        del self._received[: len(_GREETING)]
        while (ready := self._take_frame()) is None:
            await self._read()
        flags, body = ready
        if not flags & _COMMAND or not body.startswith(_READY):
            raise ValueError("the socket has refused the connection")
        if socket_type == "SUB":
            self._writer.write(_frame(0, _SUBSCRIBE_TO_ALL))
        await self._writer.drain()

    async def send(self, parts: Sequence[bytes]) -> None:
        """Send a message; raises ``ConnectionError`` when the peer is gone."""
        for number, part in enumerate(parts, 1):
            self._writer.write(_frame(0 if number == len(parts) else _MORE, part))
        await self._writer.drain()

    async def receive(self) -> list[bytes]:
        """Return the parts of the next message.

        Raises ``ConnectionError`` when the peer is gone, ``ValueError`` for a message that is too large. After either,
        the connection is of no use.
        """
        while True:
            while (frame := self._take_frame()) is not None:
                flags, body = frame
                if flags & _COMMAND:
                    continue  # nothing that concerns this end
                self._parts.append(body)
                if not flags & _MORE:
                    parts, self._parts = self._parts, []
                    return parts
            await self._read()

    def close(self) -> None:
        """Close it; a reader gets a ``ConnectionError``. May be called twice."""
        self._writer.transport.abort()

    async def _read(self) -> None:
        data = await self._reader.read(_CHUNK)
        if not data:
            raise ConnectionResetError("the socket was closed")
        self._received += data

    def _take_frame(self) -> tuple[int, bytes] | None:
        """Return flags and body of the next frame, None if it is not complete yet."""
        if len(self._received) < 2:
            return None
        flags = self._received[0]
        begin = 9 if flags & _LONG else 2
        if len(self._received) < begin:
            return None
        size = int.from_bytes(self._received[1:begin], "big")
        if size + sum(map(len, self._parts)) > self._largest or len(self._parts) >= _MOST_PARTS:
            raise ValueError("a message is too large")
        end = begin + size
        if len(self._received) < end:
            return None
        body = bytes(memoryview(self._received)[begin:end])
        del self._received[:end]
        return flags, body


def _frame(flags: int, body: bytes) -> bytes:
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | _LONG]) + len(body).to_bytes(8, "big") + body
