"""The proxy beyond this one: connecting to it, and passing bytes on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CONNECT_SECONDS = 30.0
HEAD_LIMIT = 1 << 18
_CHUNK = 1 << 16


class Upstream:
    """Where the proxy is, and the user name and password that it wants."""

    def __init__(self, scheme: str, host: str, port: int, username: str, password: str) -> None:
        self.scheme = scheme
        self.username = username
        self.password = password
        self._host = host
        self._port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to the proxy. Raises ``OSError``."""
        context = ssl.create_default_context() if self.scheme == "https" else None
        connecting = asyncio.open_connection(self._host, self._port, ssl=context, limit=HEAD_LIMIT)
        return await asyncio.wait_for(connecting, CONNECT_SECONDS)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until their end. Raises ``OSError`` when one side breaks."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def until_first_end(*work: Coroutine[None, None, None]) -> None:
    """Run both directions of a connection until one ends: browsers and proxies do not close one direction alone."""
    tasks = {asyncio.ensure_future(one) for one in work}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def close(*writers: asyncio.StreamWriter) -> None:
    """Close connections."""
    for writer in writers:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
