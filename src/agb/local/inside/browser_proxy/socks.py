"""SOCKS5 to SOCKS5: the browser says no user name (RFC 1928), the proxy is sent one (RFC 1929)."""

from __future__ import annotations

import asyncio

from .upstream import CONNECT_SECONDS, Upstream, close, pump, until_first_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .upstream import Handler

_VERSION = 5
_NO_METHOD = 0xFF
_WITHOUT, _PASSWORD = 0, 2
_FAILED = b"\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00"
_FORBIDDEN = b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"
_PORT_SIZE = 2
_ADDRESS_SIZES = {1: 4, 4: 16}


class _Refused(Exception):
    """The proxy refused the user name or the password."""


def serve_socks(upstream: Upstream) -> Handler:
    """Return the handler of connections of a browser."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _serve(upstream, reader, writer)
        except (OSError, EOFError):
            pass  # one side ended
        finally:
            await close(writer)

    return serve


async def _serve(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    version, count = await reader.readexactly(2)
    methods = await reader.readexactly(count)
    if version != _VERSION or _WITHOUT not in methods:
        writer.write(bytes([_VERSION, _NO_METHOD]))
        return
    writer.write(bytes([_VERSION, _WITHOUT]))
    request = await _request(reader)
    try:
        proxy_reader, proxy_writer = await upstream.connect()
    except OSError:
        writer.write(_FAILED)
        return
    try:
        await asyncio.wait_for(_log_in(upstream, proxy_reader, proxy_writer), CONNECT_SECONDS)
        proxy_writer.write(request)
        # The proxy's reply to the request is the first of what is passed on.
        await until_first_end(pump(reader, proxy_writer), pump(proxy_reader, writer))
    except _Refused:
        writer.write(_FORBIDDEN)
    except (EOFError, TimeoutError):
        writer.write(_FAILED)
    finally:
        await close(proxy_writer)


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Return a request as it is: version, command, reserved, kind of address, address, port."""
    head = await reader.readexactly(4)
    if (size := _ADDRESS_SIZES.get(head[3])) is None:
        length = await reader.readexactly(1)
        head, size = head + length, length[0]
    return head + await reader.readexactly(size + _PORT_SIZE)


async def _log_in(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes([_VERSION, 2, _WITHOUT, _PASSWORD]))
    _, method = await reader.readexactly(2)
    if method == _WITHOUT:
        return
    if method != _PASSWORD:
        raise _Refused
    username, password = upstream.username.encode(), upstream.password.encode()
    writer.write(bytes([1, len(username)]) + username + bytes([len(password)]) + password)
    _, status = await reader.readexactly(2)
    if status:
        raise _Refused
