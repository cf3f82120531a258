"""The reverse proxy behind links: a WebSocket between a caller and a program inside a session, message by message."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

import anyio
import anyio.lowlevel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from ..sessions.session import LocalSession
from .proxy import RawHeaders, Target, failure, request_headers, response_headers

MESSAGE_LIMIT = 64 * 2**20
"""The largest message that is passed on, in bytes."""

HANDSHAKE_TIMEOUT = 30.0
"""Seconds a program has to accept a WebSocket."""

_CLOSE_TIMEOUT = 2.0
"""Seconds a program has to answer the end of a WebSocket."""


async def forward_websocket(
    connected: socket.socket, target: Target, scope: Scope, receive: Receive, send: Send
) -> None:
    """Open a WebSocket to a program inside a session and join the caller's with it; takes over the connected socket."""
    inside = await _connection(connected, target, scope["subprotocols"])
    try:
        try:
            with anyio.fail_after(HANDSHAKE_TIMEOUT):
                await inside.handshake(_handshake_headers(scope, target), user_agent_header=None)
        except (InvalidHandshake, EOFError, OSError) as error:
            return await _refusal(error, target)(scope, receive, send)
        await receive()  # "websocket.connect", always the first
        await send({"type": "websocket.accept", "subprotocol": inside.subprotocol, "headers": _cookies(inside, target)})
        await join(inside, target.session, receive, send)
    finally:
        inside.transport.abort()
    return None


async def join(
    inside: ClientConnection,
    session: LocalSession,
    receive: Receive,
    send: Send,
    *,
    on_message: Callable[[], None] = lambda: None,
    changed: Callable[[str], str] = lambda text: text,
) -> None:
    """Pass messages between a caller's WebSocket, already accepted, and a program's, until one of them ends.

    ``on_message`` is called for each message. ``changed`` returns what is sent instead of a text of the caller.
    """
    async with anyio.create_task_group() as both_ways:
        both_ways.start_soon(_carry_in, inside, receive, on_message, changed, both_ways.cancel_scope)
        await _carry_out(inside, session, send, on_message)
        both_ways.cancel_scope.cancel()


async def _connection(connected: socket.socket, target: Target, subprotocols: Iterable[str]) -> ClientConnection:
    """Return a connection over the socket, its handshake not yet begun."""
    name, _, port = target.seen_host.rpartition(":")
    own = (name.strip("[]"), int(port)) if port.isdecimal() else (f"{name}:{port}".strip(":[]"), 80)
    uri = WebSocketURI(secure=False, host=own[0], port=own[1], path=target.path.decode("ascii") or "/", query="")
    offered = [Subprotocol(name) for name in subprotocols] or None
    protocol = ClientProtocol(uri, subprotocols=offered, max_size=MESSAGE_LIMIT)
    # Without pings of our own: the death of a connection within one machine is always reported.
    _, inside = await asyncio.get_running_loop().create_connection(
        lambda: ClientConnection(protocol, ping_interval=None, close_timeout=_CLOSE_TIMEOUT), sock=connected
    )
    return inside


def _handshake_headers(scope: Scope, target: Target) -> list[tuple[str, str]]:
    """Return the caller's headers without those the handshake brings itself."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request_headers(scope, target)
        if name != b"host" and not name.startswith(b"sec-websocket-")
    ]


def _raw(headers: Iterable[tuple[str, str]]) -> RawHeaders:
    return [(name.lower().encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers]


def _cookies(inside: ClientConnection, target: Target) -> RawHeaders:
    """Return the cookies that came with the program's handshake."""
    headers = _raw(inside.response.headers.raw_items()) if inside.response else []
    return [(name, value) for name, value in response_headers(headers, target) if name == b"set-cookie"]


def _refusal(error: Exception, target: Target) -> Response:
    """Return the program's own answer if it refused the WebSocket with one, else the reason of the failure."""
    if not isinstance(error, InvalidStatus):
        why = "took too long" if isinstance(error, TimeoutError) else f"did not accept it: {error}"
        return failure(
            target, f"No WebSocket: the program there {why}.", 504 if isinstance(error, TimeoutError) else 502
        )
    refused = error.response
    response = Response(bytes(refused.body or b""), refused.status_code)
    headers = response_headers(_raw(refused.headers.raw_items()), target)
    response.raw_headers += [(name, value) for name, value in headers if name != b"content-length"]
    return response


async def _carry_in(
    inside: ClientConnection,
    receive: Receive,
    on_message: Callable[[], None],
    changed: Callable[[str], str],
    joined: anyio.CancelScope,
) -> None:
    """Pass the caller's messages on, and the end of its side."""
    try:
        while (message := await receive())["type"] == "websocket.receive":
            on_message()
            data = message.get("bytes")
            await inside.send(changed(message["text"]) if data is None else data)
        await inside.close(_sendable(message.get("code"), CloseCode.GOING_AWAY), message.get("reason") or "")
    except ConnectionClosed:
        return  # the other direction closes the caller's side
    joined.cancel()


async def _carry_out(
    inside: ClientConnection, session: LocalSession, send: Send, on_message: Callable[[], None]
) -> None:
    """Pass the program's messages back, and the end of its side."""
    try:
        while True:
            message = await inside.recv()
            on_message()
            await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})
            await anyio.lowlevel.checkpoint()  # as in HTTP: only a task that waits is cancelled
    except ConnectionClosed as closed:
        code, reason = _end(closed, session)
        with suppress(OSError):  # the caller has left as well
            await send({"type": "websocket.close", "code": code, "reason": reason})
    except OSError:
        return  # the caller has left


def _end(closed: ConnectionClosed, session: LocalSession) -> tuple[int, str]:
    """Return the code and the reason of a program's end of a WebSocket."""
    if session.state != "RUNNING":
        return CloseCode.GOING_AWAY, "the session has ended"
    end = closed.rcvd or closed.sent
    code = _sendable(end.code if end else CloseCode.ABNORMAL_CLOSURE, CloseCode.BAD_GATEWAY)
    return code, end.reason if end else ""


def _sendable(code: int | None, if_cut: CloseCode) -> int:
    """Return the code to end the other side with: some only describe an end and are never sent (RFC 6455, 7.4)."""
    if code is None or code == CloseCode.NO_STATUS_RCVD:
        return CloseCode.NORMAL_CLOSURE
    return if_cut if code in (CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE) else code
