"""Runs in a session, with the standard library only: leads WebSockets to the ports of a Jupyter kernel beside it.

The last part of a WebSocket's path names a channel of the kernel, such as ``shell``; its port is in the kernel's
connection file. Each binary message is a piece of the TCP stream. The arguments are the connection file and the port to
listen at.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import struct
import sys

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUED, _BINARY, _CLOSE, _PING, _PONG = 0, 2, 8, 9, 10
_LONGEST = 1 << 20
"""Bytes of a message. The other end sends shorter ones."""


async def serve(connection_file: str, port: int) -> None:
    """Serve for as long as the process lives."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError, KeyError, asyncio.IncompleteReadError):
            try:
                await _lead(reader, writer, connection_file)
            finally:
                writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


async def _lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection_file: str) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    channel = head[0].split()[1].partition("?")[0].rpartition("/")[2]
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    key = headers["sec-websocket-key"]
    port = await _port(connection_file, channel)
    to_kernel: asyncio.StreamWriter
    from_kernel, to_kernel = await asyncio.open_connection("127.0.0.1", port)
    accepted = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    writer.write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accepted}\r\n\r\n".encode()
    )
    back = asyncio.create_task(_send_all(from_kernel, writer))
    try:
        await _receive_all(reader, writer, to_kernel)
    finally:
        back.cancel()
        to_kernel.close()


async def _port(connection_file: str, channel: str) -> int:
    """Return the port of a channel, once the kernel has chosen it."""
    while True:
        with contextlib.suppress(OSError, ValueError):
            with open(connection_file, encoding="utf-8") as file:
                port = int(json.load(file)[f"{channel}_port"])
            if port:
                return port
        await asyncio.sleep(0.05)


async def _receive_all(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_kernel: asyncio.StreamWriter
) -> None:
    """Pass on what is received, until the other end closes the WebSocket."""
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await reader.readexactly(8))
        if size > _LONGEST or not second & 0x80:
            return
        mask = await reader.readexactly(4)
        data = await reader.readexactly(size)
        pad = mask * (size // 4 + 1)
        data = (int.from_bytes(data, "big") ^ int.from_bytes(pad[:size], "big")).to_bytes(size, "big")
        code = first & 0x0F
        if code in (_BINARY, _CONTINUED):
            to_kernel.write(data)
            await to_kernel.drain()
        elif code == _PING:
            writer.write(_frame(_PONG, data))
        elif code == _CLOSE:
            writer.write(_frame(_CLOSE, data))
            return


async def _send_all(from_kernel: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what the kernel sends, to its end."""
    while data := await from_kernel.read(1 << 16):
        writer.write(_frame(_BINARY, data))
        await writer.drain()
    writer.write(_frame(_CLOSE, b""))


def _frame(code: int, data: bytes) -> bytes:
    size = len(data)
    if size < 126:
        head = struct.pack(">BB", 0x80 | code, size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | code, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | code, 127, size)
    return head + data


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
