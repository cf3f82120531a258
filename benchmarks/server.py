"""The server of the benchmarks: answers every request on loopback with the same prepared envelope.

    python -m benchmarks.server

It prints the port it listens on and runs until its standard input is closed. It is a process of its own, so that
none of its time counts for the client that is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

_BODY = json.dumps(
    {
        "requestId": "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9",
        "success": True,
        "code": "ok",
        "message": "",
        "httpStatusCode": 200,
        "data": {"url": "https://link.example.com/link/s-0123456789abcdef/30100/0123456789abcdef0123456789abcdef"},
    }
).encode()

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: 0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


class Stub(asyncio.Protocol):
    """One connection: the answer is written as soon as a request is there to its last byte."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while (head := self._received.find(b"\r\n\r\n") + 4) > 3:
            length = _LENGTH.search(self._received, 0, head)
            end = head + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            self._received = self._received[end:]
            self._transport.write(ANSWER)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Stub, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
