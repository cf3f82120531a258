"""The HTTP side of a browser's DevTools: lists of targets and descriptions, one request per connection."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import h11
from attrs import frozen

_SECONDS = 10.0
_CHUNK = 1 << 18
_LIMIT = 32 << 20


class NoAnswer(Exception):
    """The DevTools gave no valid answer."""


@frozen
class DevToolsAnswer:
    """An answer of the DevTools."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises ``NoAnswer``."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise NoAnswer("the browser's DevTools sent no JSON") from error


async def ask(connected: socket.socket, target: str, *, method: str = "GET") -> DevToolsAnswer:
    """Return the answer to one request; takes over the socket to the DevTools' port. Raises ``NoAnswer``."""
    host = f"127.0.0.1:{connected.getpeername()[1]}"
    reader, writer = await asyncio.open_connection(sock=connected)
    try:
        async with asyncio.timeout(_SECONDS):
            protocol = h11.Connection(h11.CLIENT)
            headers = [("host", host), ("content-length", "0"), ("connection", "close")]
            for event in (h11.Request(method=method, target=target, headers=headers), h11.EndOfMessage()):
                writer.write(protocol.send(event) or b"")
            return await _read(protocol, reader)
    except TimeoutError:
        raise NoAnswer(f"the browser's DevTools gave no answer within {_SECONDS:g} s") from None
    except (OSError, h11.RemoteProtocolError) as error:
        raise NoAnswer(f"the browser's DevTools gave no answer: {error}") from error
    finally:
        writer.transport.abort()


async def _read(protocol: h11.Connection, reader: asyncio.StreamReader) -> DevToolsAnswer:
    status, content_type, body = 0, "", bytearray()
    while not isinstance(event := protocol.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            protocol.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Response):
            status = event.status_code
            content_type = dict(event.headers).get(b"content-type", b"").decode("latin-1")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _LIMIT:
                raise NoAnswer("the browser's DevTools sent too much")
        elif isinstance(event, h11.ConnectionClosed):
            raise NoAnswer("the browser's DevTools closed the connection")
    return DevToolsAnswer(status, content_type, bytes(body))
