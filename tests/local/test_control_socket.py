"""The control socket of an agent: data from inside a session is not trusted."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import Any

import pytest

from agb.local.inside.agent import HEADER
from agb.local.sandbox.control_socket import ControlSocket

pytestmark = pytest.mark.asyncio


class Peer:
    """A control socket and its other end, which an agent would hold."""

    def __init__(self) -> None:
        ours, self.agent = socket.socketpair()
        self.events: list[dict[str, Any]] = []
        self.fds: list[int] = []
        self.ended = asyncio.Event()
        self.control = ControlSocket(ours, self._take, self.ended.set)

    def _take(self, event: dict[str, Any], fds: list[int]) -> None:
        self.events.append(event)
        self.fds += fds

    def close(self) -> None:
        self.control.close()
        self.agent.close()
        for fd in self.fds:
            os.close(fd)


def frame(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return HEADER.pack(len(body)) + body


async def test_frames_in_pieces_and_several_at_once() -> None:
    peer = Peer()
    events = [{"event": "a"}, {"event": "b", "text": "☃" * 1000}, {"event": "c"}]
    data = b"".join(map(frame, events))
    for start in range(0, len(data), 700):
        peer.agent.send(data[start : start + 700])
        await asyncio.sleep(0)
    peer.agent.close()
    await peer.ended.wait()
    assert peer.events == events
    assert peer.control.peer_pid == os.getpid()
    assert peer.control.is_closed
    with pytest.raises(ConnectionError):
        await peer.control.send({"op": "x"})
    peer.close()


async def test_descriptors_belong_to_the_frame_that_counts_them() -> None:
    peer = Peer()
    reader, writer = os.pipe()
    peer.agent.send(frame({"event": "none"}))
    socket.send_fds(peer.agent, [frame({"event": "two", "fds": 2}) + frame({"event": "none"})], [reader, writer])
    peer.agent.close()
    await peer.ended.wait()
    assert [event["event"] for event in peer.events] == ["none", "two", "none"]
    assert len(peer.fds) == 2
    assert not any(os.get_inheritable(fd) for fd in peer.fds)
    os.close(reader)
    os.close(writer)
    peer.close()


@pytest.mark.parametrize(
    "invalid",
    [
        HEADER.pack(1 << 30),
        HEADER.pack(1 << 16) + b"x" * (1 << 16),
        frame([1]),
        frame("text"),
        HEADER.pack(4) + b"\xff\xff\xff\xff",
        HEADER.pack(0),
        HEADER.pack(60_000) + b"[" * 60_000,
        frame({"event": "x", "fds": 1}),
        frame({"event": "x", "fds": -1}),
        frame({"event": "x", "fds": True}),
    ],
)
async def test_invalid_frame_closes_the_socket(invalid: bytes) -> None:
    peer = Peer()
    peer.agent.sendall(invalid)
    await peer.ended.wait()
    assert peer.events == []
    assert peer.control.is_closed
    peer.close()


async def test_descriptors_that_no_frame_counts_are_closed() -> None:
    peer = Peer()
    reader, writer = os.pipe()
    for _ in range(3):
        socket.send_fds(peer.agent, [b"\0"], [writer] * 4)
    os.close(writer)
    await peer.ended.wait()
    peer.close()
    os.set_blocking(reader, False)
    assert os.read(reader, 1) == b""  # the end of the pipe: no copy of its writing end is open
    os.close(reader)


async def test_large_requests_and_an_agent_that_reads_slowly() -> None:
    peer = Peer()
    request = {"op": "spawn", "text": "x" * (1 << 20)}
    sending = asyncio.create_task(peer.control.send(request))
    await asyncio.sleep(0)
    assert not sending.done()
    data = await asyncio.to_thread(_receive, peer.agent, len(frame(request)))
    await sending
    assert data == frame(request)
    peer.close()


async def test_request_that_is_cancelled_half_way_leaves_the_next_intact() -> None:
    peer = Peer()
    large, small = {"op": "spawn", "text": "x" * (1 << 20)}, {"op": "next"}
    sending = asyncio.create_task(peer.control.send(large))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    after = asyncio.create_task(peer.control.send(small))
    data = await asyncio.to_thread(_receive, peer.agent, len(frame(large) + frame(small)))
    await after
    assert data == frame(large) + frame(small)
    peer.close()


def _receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += sock.recv(1 << 20)
    return data
