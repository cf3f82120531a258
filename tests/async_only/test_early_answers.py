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

ANSWER = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
PIECE = bytes(1 << 20)


async def refused(listener: socket.socket) -> tuple[bool, bytes]:
    """Write to a server that has answered and closed while the event loop did something else.

    Returns whether writing saw that, and the answer.
    """
    port = listener.getsockname()[1]
    stream = await streams.open_stream("127.0.0.1", port, None, Deadline(60))
    server, _ = listener.accept()
    await stream.write(b"PUT / HTTP/1.1\r\n", 60)
    with server:
        assert server.recv(1) == b"P"
        server.sendall(ANSWER)
    _until_reset(stream)
    try:
        return await streams.write_unless_answered(stream, PIECE, 60), await stream.read(65_536, 60)
    finally:
        await stream.aclose()


def _until_reset(stream: httpcore.AsyncNetworkStream) -> None:
    """Return when both the answer and the end of the connection have come, without a turn of the event loop."""
    sock = cast("socket.socket", cast("streams._AsyncioStream", stream)._protocol.transport.get_extra_info("socket"))
    end = time.monotonic() + 60
    while sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO) & 0xFF != _CLOSED:
        assert time.monotonic() < end


_CLOSED = 7
"""Linux's number for the state of a connection that was reset; the first byte of what it tells of it."""


@pytest.mark.parametrize("looks", [True, False])
def test_answer_of_a_server_that_has_closed(monkeypatch: pytest.MonkeyPatch, looks: bool) -> None:
    """Without a look at the socket, as if it came after the look, writing fails before the answer is read."""
    if not looks:
        monkeypatch.setattr(streams, "_is_readable", lambda _: False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(refused(listener)) == (looks, ANSWER)
