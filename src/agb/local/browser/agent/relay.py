"""A port of this machine that leads to the DevTools of a session's browser, for one connection of Playwright's driver.

The driver is another process, and connects to addresses only; the browser listens in the session's own network. Each
program of this machine can connect to the port, so the address has a secret, and the port is closed once the driver has
connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import AsyncIterator
from typing import Final

from ..process import Browser

_HEAD_LIMIT: Final = 1 << 16
_HEAD_SECONDS: Final = 10.0
_CHUNK: Final = 1 << 16


class Relay:
    """Forwards one connection; :meth:`open` opens the port, and :meth:`close` ends all."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._secret = secrets.token_urlsafe(24)
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_taken = False

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Listen while the block runs, and yield the address, a WebSocket URL; a connection made in it stays open."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD_LIMIT)
        try:
            port = self._server.sockets[0].getsockname()[1]
            yield f"ws://127.0.0.1:{port}/{self._secret}"
        finally:
            self._server.close()

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open; it ends with the browser, and with the driver."""
        return any(not task.done() for task in self._tasks)

    async def close(self) -> None:
        """End the connection."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            request, _, headers = head.partition(b"\r\n")
            if self._is_taken or not _is_request(request, self._secret):
                return
            self._is_taken = True
            await self._forward(reader, writer, headers)
        except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            pass  # of either side: the connection is closed, which is what the other one is shown
        finally:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: bytes) -> None:
        there, to_browser = await asyncio.open_connection(sock=await self._browser.connect())
        try:
            # Only an address is accepted as Host; and an Origin would have to be allowed.
            kept = [
                line for line in headers.split(b"\r\n") if line and not line.lower().startswith((b"host:", b"origin:"))
            ]
            lines = [f"GET {self._browser.path} HTTP/1.1".encode(), f"Host: 127.0.0.1:{self._browser.port}".encode()]
            to_browser.write(b"\r\n".join([*lines, *kept, b"", b""]))
            both = [asyncio.create_task(_copy(reader, to_browser)), asyncio.create_task(_copy(there, writer))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        finally:
            to_browser.transport.abort()


def _is_request(line: bytes, secret: str) -> bool:
    method, _, rest = line.partition(b" ")
    path, _, _ = rest.partition(b" ")
    return method == b"GET" and hmac.compare_digest(path, f"/{secret}".encode())


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(_CHUNK):
        target.write(data)
        await target.drain()
