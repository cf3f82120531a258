"""The WebSocket server of the benchmarks: tells of an execution as many events as its code asks for.

    python -m benchmarks.stream_server

It prints the port it listens on and runs until its standard input is closed. Code that is a number gets so many small
events and the end; a message that is no JSON object comes back as it was. The frames are made in advance, all but
the id of the stream, so that the server is never what a client waits for.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from hashlib import sha1

_ID = b"0" * 32
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"\r\nsec-websocket-key:\s*(\S+)", re.IGNORECASE)
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


def _frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    size = len(payload)
    if size >= 1 << 16:
        raise ValueError("this server makes small frames")
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2)
    return bytes([0x80 | opcode]) + length + payload


def _told(**data: object) -> bytes:
    told = {"method": "run_code", "mode": "stream", **data}
    frame = {"invocationId": _ID.decode(), "source": "wuying_codespace", "target": "SDK", "data": told}
    return _frame(json.dumps(frame, separators=(",", ":")).encode())


@lru_cache(4)
def _events(count: int) -> list[bytes]:
    """Return the frames of a stream in pieces of some 100 KB, so that a client can begin before the last is written."""
    frames = [_told(phase="event", seq=i, eventType="stdout", chunk=f"line {i}\n") for i in range(count)]
    frames.append(_told(phase="end", seq=count, status="finished", executionCount=1, executionTime=0.1))
    return [b"".join(frames[at : at + 500]) for at in range(0, len(frames), 500)]


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the opcode and the payload of each frame of a client, which are whole and masked."""
    while True:
        first, length = await reader.readexactly(2)
        length &= 0x7F
        if length >= 126:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8))
        mask, payload = await reader.readexactly(4), await reader.readexactly(length)
        key = int.from_bytes((mask * (length // 4 + 1))[:length])
        yield first & 0xF, (int.from_bytes(payload) ^ key).to_bytes(length)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection to its end."""
    try:
        key = _KEY.search(await reader.readuntil(b"\r\n\r\n"))
        if key is None:
            return
        accept = b64encode(sha1(key[1] + _GUID, usedforsecurity=False).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        async for opcode, payload in _messages(reader):
            for piece in _answer(opcode, payload):
                writer.write(piece)
                await writer.drain()
            if opcode == _CLOSE:
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # a client that went away
    finally:
        writer.close()


def _answer(opcode: int, payload: bytes) -> Iterator[bytes]:
    if opcode in (_PING, _CLOSE):
        yield _frame(payload, _PONG if opcode == _PING else _CLOSE)
    elif opcode == _TEXT and not payload.startswith(b"{"):
        yield _frame(payload)
    elif opcode == _TEXT:
        asked = json.loads(payload)
        if asked["data"]["method"] == "run_code":  # else a heartbeat
            for piece in _events(int(asked["data"]["params"]["code"])):
                yield piece.replace(_ID, asked["invocationId"].encode())


async def _serve() -> None:
    server = await asyncio.start_server(_talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
