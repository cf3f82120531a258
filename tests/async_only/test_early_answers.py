"""An answer that comes while a body is sent, from a server that closes without reading the rest."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import cast

import httpcore
import pytest

from agb._async.net import streams
from agb._wire.deadline import Deadline
from tests.waiting import apause

ANSWER = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
PIECE = bytes(1 << 20)
REASON = b"reason" * 4_000


async def refused(listener: socket.socket) -> tuple[bool, bytes]:
    """Write to a server that has answered and closed while the event loop did something else.

    Returns whether writing saw that, and the answer.
    """
    port = listener.getsockname()[1]
    stream = await streams.open_stream("127.0.0.1", port, None, Deadline(60))
    server, _ = listener.accept()
    await stream.write(b"PUT / HTTP/1.1\r\n", 60)
    _answer_and_close(server, ANSWER)
    _until_reset(stream)
    try:
        return await streams.write_unless_answered(stream, PIECE, 60), await stream.read(65_536, 60)
    finally:
        await stream.aclose()


async def refused_in_two_pieces(listener: socket.socket) -> bytes:
    """Return the answer of a server that closes after its second piece, when the first was received and not read."""
    stream = await streams.open_stream("127.0.0.1", listener.getsockname()[1], None, Deadline(60))
    server, _ = listener.accept()
    await stream.write(b"PUT / HTTP/1.1\r\n", 60)
    server.sendall(ANSWER[:20])
    while not await streams.write_unless_answered(stream, b"X", 60):
        await apause()
    _answer_and_close(server, ANSWER[20:] + REASON)
    _until_reset(stream)
    await stream.write(PIECE, 60)
    await _protocol(stream).lost
    answer = b""
    try:
        while len(answer) < len(ANSWER) + len(REASON):
            answer += await stream.read(65_536, 60)
    finally:
        await stream.aclose()
    return answer


def _answer_and_close(server: socket.socket, answer: bytes) -> None:
    """Close with bytes unread, so that the connection is reset."""
    with server:
        assert server.recv(1) == b"P"
        server.sendall(answer)


def _until_reset(stream: httpcore.AsyncNetworkStream) -> None:
    """Return when both the answer and the end of the connection have come, without a turn of the event loop."""
    sock = cast("socket.socket", _protocol(stream).transport.get_extra_info("socket"))
    end = time.monotonic() + 60
    while sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO) & 0xFF != _CLOSED:
        assert time.monotonic() < end


def _protocol(stream: httpcore.AsyncNetworkStream) -> streams._StreamProtocol:
    return cast("streams._AsyncioStream", stream)._protocol


_CLOSED = 7
"""Linux's number for the state of a connection that was reset; the first byte of what it tells of it."""


@pytest.mark.parametrize("looks", [True, False])
def test_answer_of_a_server_that_has_closed(monkeypatch: pytest.MonkeyPatch, looks: bool) -> None:
    """Without a look at the socket, as if it came after the look, writing fails before the answer is read."""
    if not looks:
        monkeypatch.setattr(streams, "_is_readable", lambda _: False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(refused(listener)) == (looks, ANSWER)


def test_answer_in_two_pieces_of_a_server_that_has_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_BUFFER_LIMIT", 8_192)  # less than the second piece
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(refused_in_two_pieces(listener)) == ANSWER + REASON
