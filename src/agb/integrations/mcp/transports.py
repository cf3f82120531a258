"""How clients reach the server: standard input and output of this process, or HTTP."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, cast

import anyio
import uvicorn
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import DEFAULT_SESSION_IDLE_TIMEOUT
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .options import Http
from .server import SESSION_HEADER, AgbServer

PATH: Final = "/mcp"
"""The path of the server's one URL."""
SHUTDOWN_SECONDS: Final = 3
"""Seconds that requests may still take when the server ends; what they have begun is cancelled then."""


# --- stdio --------------------------------------------------------------------------------------------------------


async def serve_stdio(server: AgbServer) -> None:
    """Serve the client at the other end of standard input and output until it closes them, or until a signal.

    Sessions are released then. Nothing but the protocol is written to standard output: what else this process and its
    children write there goes to standard error.
    """
    lines = _Lines(sys.stdin.fileno()) if sys.platform != "win32" else None
    async with _until_a_signal(), stdio_server(stdin=cast("anyio.AsyncFile[str] | None", lines)) as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


@asynccontextmanager
async def _until_a_signal() -> AsyncIterator[None]:
    """Cancel the block when this process is asked to end; its clean-up is not cut short by a second signal."""
    if sys.platform == "win32":
        yield
        return
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:

            async def watch() -> None:
                async for _ in signals:
                    tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            yield
            tasks.cancel_scope.cancel()


class _Lines:
    """The lines of a file descriptor, as the package iterates over them.

    The package would read in a thread, which cannot be cancelled: a signal would have no effect until the client sends
    the next message.
    """

    def __init__(self, descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        self._descriptor = descriptor
        self._waits = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)

    async def __aiter__(self) -> AsyncIterator[str]:
        pending = bytearray()
        while data := await self._read():
            *lines, rest = data.split(b"\n")
            for line in lines:
                yield (bytes(pending) + line).decode("utf-8", "replace")
                pending.clear()
            pending += rest
        if pending:
            yield pending.decode("utf-8", "replace")

    async def _read(self) -> bytes:
        if self._waits:
            await anyio.wait_readable(self._descriptor)
        else:  # a file, or the null device: always readable, and no event loop can wait for it
            await anyio.lowlevel.checkpoint()
        return os.read(self._descriptor, 65_536)


# --- HTTP ---------------------------------------------------------------------------------------------------------


async def serve_http(server: AgbServer, http: Http, ready: Callable[[str], None]) -> None:
    """Serve clients over HTTP until a signal; sessions are released then.

    Args:
        server: the server.
        http: where it listens, and for whom.
        ready: called with the URL once it listens.

    Raises:
        OSError: it cannot listen there.
    """
    listening = _listen(http)
    config = uvicorn.Config(
        http_app(server, http),
        log_level="warning",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    port = listening.getsockname()[1]
    with listening:
        ready(f"http://{http.names[0]}:{port}{PATH}")
        await uvicorn.Server(config).serve(sockets=[listening])


def _listen(http: Http) -> socket.socket:
    found = socket.getaddrinfo(http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server(address[:2], family=family)


def http_app(server: AgbServer, http: Http) -> ASGIApp:
    """Return the server as an ASGI application that checks names and the token."""
    hosts = [pattern for name in http.names for pattern in (name, f"{name}:*")]
    origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts] if http.is_loopback else []
    idle_time = server.conversations.options.idle_time
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        transport_security=TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins),
        # After the sessions: a client whose MCP session has ended gets another conversation.
        session_idle_timeout=max(float(DEFAULT_SESSION_IDLE_TIMEOUT), 2 * idle_time),
    )
    return _Checked(app, server, http.token)


class _Checked:
    """Refuses requests without the token, and ends the conversation that a client ends."""

    def __init__(self, app: ASGIApp, server: AgbServer, token: str | None) -> None:
        self._app = app
        self._server = server
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("authorization", "").encode("latin-1", "replace")
        if self._expected is not None and not secrets.compare_digest(given, self._expected):
            refusal = PlainTextResponse("a bearer token is needed", 401, {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
            return
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app(scope, receive, watched)
        if scope["method"] == "DELETE" and 200 <= status < 300:
            self._server.conversations.end(headers[SESSION_HEADER])
