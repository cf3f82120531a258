"""The server of the benchmarks of many calls at a time: the same envelope as `server`, held back for a while.

    python -m benchmarks.flight_server

How long is told by the port that a link is asked for: 20 ms for each above 30100. It prints the port it listens on and
runs until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import re
import resource
import sys

from .server import ANSWER

_PORT = re.compile(rb"port\D{1,4}(30\d\d\d)")
_STEP = 0.02
_BACKLOG = 8192


class Stub(asyncio.Protocol):
    """One connection, one request at a time."""

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
        if b"\r\n\r\n" not in self._received:
            return
        asked = _PORT.search(self._received)
        self._received = b""
        wait = (int(asked[1]) - 30100) * _STEP if asked else 0
        if wait:
            self._loop.call_later(wait, self._transport.write, ANSWER)
        else:
            self._transport.write(ANSWER)


def all_files() -> None:
    """Let this process have as many connections as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Stub, "127.0.0.1", 0, backlog=_BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    all_files()
    asyncio.run(_serve())
