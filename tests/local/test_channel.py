"""The line to an agent: what comes from inside a session is not believed."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from agb.local.inside.agent import HEADER
from agb.local.sandbox.control_socket import Channel

pytestmark = pytest.mark.asyncio


class Line:
    """A channel and the other end of it, in the place of an agent."""

    def __init__(self) -> None:
        ours, self.agent = socket.socketpair()
        self.events: list[dict[str, Any]] = []
        self.fds: list[int] = []
        self.ended = asyncio.Event()
        self.channel = Channel(ours, self._take, self.ended.set)

    def _take(self, event: dict[str, Any], fds: list[int]) -> None:
        self.events.append(event)
        self.fds += fds

    def close(self) -> None:
        self.channel.close()
        self.agent.close()
        for fd in self.fds:
            os.close(fd)


def frame(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return HEADER.pack(len(body)) + body


async def test_frames_in_pieces_and_several_at_once() -> None:
    line = Line()
    events = [{"event": "a"}, {"event": "b", "text": "☃" * 1000}, {"event": "c"}]
    data = b"".join(map(frame, events))
    for start in range(0, len(data), 700):
        line.agent.send(data[start : start + 700])
        await asyncio.sleep(0)
    line.agent.close()
    await line.ended.wait()
    assert line.events == events
    assert line.channel.peer_pid == os.getpid()
    assert line.channel.is_closed
    with pytest.raises(ConnectionError):
        await line.channel.send({"op": "x"})
    line.close()


async def test_descriptors_belong_to_the_frame_that_counts_them() -> None:
    line = Line()
    reader, writer = os.pipe()
    line.agent.send(frame({"event": "none"}))
    socket.send_fds(line.agent, [frame({"event": "two", "fds": 2}) + frame({"event": "none"})], [reader, writer])
    line.agent.close()
    await line.ended.wait()
    assert [event["event"] for event in line.events] == ["none", "two", "none"]
    assert len(line.fds) == 2
    assert not any(os.get_inheritable(fd) for fd in line.fds)
    os.close(reader)
    os.close(writer)
    line.close()


@pytest.mark.parametrize(
    "nonsense",
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
async def test_nonsense_ends_the_line(nonsense: bytes) -> None:
    line = Line()
    line.agent.sendall(nonsense)
    await line.ended.wait()
    assert line.events == []
    assert line.channel.is_closed
    line.close()


async def test_descriptors_nobody_asked_for_are_closed() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    line = Line()
    with Path(os.devnull).open("rb") as null:
        for _ in range(3):
            socket.send_fds(line.agent, [b"\0"], [null.fileno()] * 4)
    await line.ended.wait()
    line.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before  # fewer if something else was closed meanwhile


async def test_large_requests_and_an_agent_that_reads_slowly() -> None:
    line = Line()
    request = {"op": "spawn", "text": "x" * (1 << 20)}
    sending = asyncio.create_task(line.channel.send(request))
    await asyncio.sleep(0)
    assert not sending.done()
    data = await asyncio.to_thread(_receive, line.agent, len(frame(request)))
    await sending
    assert data == frame(request)
    line.close()


async def test_request_that_is_cancelled_half_way_does_not_garble_the_next() -> None:
    line = Line()
    large, small = {"op": "spawn", "text": "x" * (1 << 20)}, {"op": "next"}
    sending = asyncio.create_task(line.channel.send(large))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    after = asyncio.create_task(line.channel.send(small))
    data = await asyncio.to_thread(_receive, line.agent, len(frame(large) + frame(small)))
    await after
    assert data == frame(large) + frame(small)
    line.close()


def _receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += sock.recv(1 << 20)
    return data
