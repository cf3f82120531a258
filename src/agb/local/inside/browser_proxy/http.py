"""HTTP to HTTP: requests are passed on with a user name; answers, and the bytes of a tunnel, as they are."""

from __future__ import annotations

import asyncio
from base64 import b64encode

from .upstream import Upstream, close, pump, until_first_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .upstream import Handler

_CHUNK = 1 << 16
_AWAY = b"The proxy cannot be reached.\n"
_REFUSED = b"The proxy refused the user name or the password.\n"
_AUTHENTICATION_REQUIRED = b"407"


class _BadRequest(Exception):
    """A request cannot be passed on."""


def serve_http(upstream: Upstream) -> Handler:
    """Return the handler of connections of a browser."""
    credentials = b64encode(f"{upstream.username}:{upstream.password}".encode())
    authorization = b"Proxy-Authorization: Basic " + credentials + b"\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            try:
                proxy_reader, proxy_writer = await upstream.connect()
            except OSError:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_bad_gateway(_AWAY))
                return
            try:
                requests = _requests(reader, proxy_writer, authorization)
                await until_first_end(requests, _answers(proxy_reader, writer))
            finally:
                await close(proxy_writer)
        except (OSError, EOFError, asyncio.LimitOverrunError, _BadRequest):
            pass  # one side ended, or is to end
        finally:
            await close(writer)

    return serve


async def _requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authorization: bytes) -> None:
    while head := await _head(reader):
        line, _, fields = head.partition(b"\r\n")
        kept = [field for field in fields.split(b"\r\n") if not field.lower().startswith(b"proxy-authorization:")]
        writer.write(line + b"\r\n" + authorization + b"\r\n".join(kept))
        if line.startswith(b"CONNECT "):
            await pump(reader, writer)
            return
        await _body(reader, writer, kept)


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass answers on. One that asks for a user name would open a dialog in the browser, and its page would wait."""
    status = await reader.readuntil(b"\r\n")
    if status.split(b" ")[1:2] == [_AUTHENTICATION_REQUIRED]:
        writer.write(_bad_gateway(_REFUSED))
        return
    writer.write(status)
    await pump(reader, writer)


def _bad_gateway(why: bytes) -> bytes:
    head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % len(why) + why


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Return the head of the next request with the empty line after it; nothing at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def _body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fields: list[bytes]) -> None:
    """Pass the body of a request on. Its length must be known: the next request begins after it."""
    values = {name.strip().lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)}
    if values.get(b"transfer-encoding", b"").lower() == b"chunked":
        while size := await _chunk_size(reader, writer):
            await _copy(reader, writer, size + 2)
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            writer.write(line)
        writer.write(b"\r\n")
        return
    length = values.get(b"content-length", b"0")
    if b"transfer-encoding" in values or not length.isdigit():
        raise _BadRequest
    await _copy(reader, writer, int(length))


async def _chunk_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    line = await reader.readuntil(b"\r\n")
    writer.write(line)
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise _BadRequest from None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    while size:
        data = await reader.readexactly(min(size, _CHUNK))
        writer.write(data)
        await writer.drain()
        size -= len(data)
