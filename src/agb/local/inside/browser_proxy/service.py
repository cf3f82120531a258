"""Listens on loopback. The proxy's address and password come from the runtime; the end of this connection ends it."""

from __future__ import annotations

import asyncio
import json
import os
import socket

from ..messages import SOCKET_FD
from .http import serve_http
from .socks import serve_socks
from .upstream import Upstream


async def _serve(control: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=control)
    upstream = Upstream(**json.loads(await reader.readline()))
    server = await asyncio.start_server(
        serve_socks(upstream) if upstream.scheme == "socks5" else serve_http(upstream), "127.0.0.1", 0
    )
    writer.write(b"%d\n" % server.sockets[0].getsockname()[1])
    await reader.read()


def main() -> None:
    """Serve until the runtime closes the connection."""
    asyncio.run(_serve(socket.socket(fileno=SOCKET_FD)))
    os._exit(0)
