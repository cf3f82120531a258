"""A service of sessions that holds every answer back for a while, as one far away does.

    python -m benchmarks.holding

It prints the port it listens on and runs until its standard input is closed. Sessions are created and deleted, have
links, and are gone when their status is asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from typing import Any

SECONDS = 0.05
"""How long an answer is held back."""

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_NUMBERS = itertools.count(1)


def _answer(data: Any) -> bytes:
    envelope = {"requestId": "R-1", "success": True, "code": "ok", "message": "", "httpStatusCode": 200, "data": data}
    body = json.dumps(envelope).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


_LINK = _answer({"url": "https://link.example.com/link/s-0123456789abcdef/30100/0123456789abcdef0123456789abcdef"})
_GONE = _answer({"status": "FINISH"})


class Service(asyncio.Protocol):
    """One connection: an answer is written some time after its request is there."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
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
            path = self._received.split(b" ", 2)[1].partition(b"?")[0]
            self._received = self._received[end:]
            if path.endswith(b"/createSession"):
                answer = _answer({"sessionId": f"s-{next(_NUMBERS)}", "success": True})
            else:
                answer = _GONE if path.endswith(b"/getSessionInfo") else _LINK
            self._loop.call_later(SECONDS, self._transport.write, answer)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Service, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
