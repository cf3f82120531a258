"""The stream protocol between the runtime and a helper: each message is a header (JSON) and a blob.

A frame is two lengths (header, blob), four bytes each, big-endian, then the header and the blob.
"""

from __future__ import annotations

import json
import struct

TYPE_CHECKING = False  # typing is slow to import, and a helper starts with this module
if TYPE_CHECKING:
    import socket
    from typing import Any

FRAME = struct.Struct(">II")
SOCKET_FD = 3
"""The descriptor that a helper inherits as its socket to the runtime."""

_JOINED = 1 << 16
"""Bytes up to which a blob is copied, so that it is sent together with its header."""


class MessageSocket:
    """One end of the connection between the runtime and a helper.

    ``largest`` limits the header and the blob of a message that is received, for an end that does not trust the other.
    """

    def __init__(self, sock: socket.socket, *, largest: int = 0xFFFF_FFFF) -> None:
        self._socket = sock
        self._incoming = sock.makefile("rb", buffering=1 << 18)
        self._largest = largest

    def send(self, header: dict[str, Any], blob: bytes | memoryview = b"") -> None:
        """Send a message."""
        data = json.dumps(header).encode()
        data = FRAME.pack(len(data), len(blob)) + data
        if len(blob) < _JOINED:
            self._socket.sendall(data + blob)
        else:
            self._socket.sendall(data)
            self._socket.sendall(blob)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Return the next message. Raises ``EOFError`` at the end, ``ValueError`` for an invalid message."""
        header_size, blob_size = FRAME.unpack(self._read(FRAME.size))
        if max(header_size, blob_size) > self._largest:
            raise ValueError("a message is too large")
        header = json.loads(self._read(header_size))
        if not isinstance(header, dict):
            raise ValueError("a header is not an object")
        return header, self._read(blob_size)

    def _read(self, size: int) -> bytes:
        data: bytes = self._incoming.read(size)
        if len(data) < size:
            raise EOFError("the connection ended")
        return data

    def close(self) -> None:
        """Close the connection."""
        self._incoming.close()
        self._socket.close()
