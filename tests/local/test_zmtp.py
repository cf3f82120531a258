"""The connection to a kernel's sockets: what a library sends, and what a hostile or broken peer may send."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from agb.local.kernels.jupyter_messages import JupyterMessages
from agb.local.kernels.zmtp import Connection

pytestmark = [pytest.mark.asyncio, pytest.mark.one_event_loop]

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
ACCEPTED = GREETING + b"\x04\x06\x05READY"


class Peer:
    """A socket that answers a connection with some bytes; more can be sent later."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self.path = str(path)
        self._answer = answer
        self._connected: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Peer:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        if self._connected.done():
            self._connected.result().transport.abort()

    async def _serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._answer)
        self._connected.set_result(writer)

    async def send(self, data: bytes) -> None:
        (await self._connected).write(data)

    async def close(self) -> None:
        (await self._connected).close()


async def test_messages_of_the_library(tmp_path: Path) -> None:
    with zmq.asyncio.Context() as context:
        router, publisher = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
        with router, publisher:
            router.bind(f"ipc://{tmp_path}/router")
            publisher.bind(f"ipc://{tmp_path}/publisher")
            asking = await Connection.open(f"{tmp_path}/router", "DEALER", largest=1 << 20)
            listening = await Connection.open(f"{tmp_path}/publisher", "SUB", largest=1 << 20)
            for parts in ([b"", b"x" * 255, b"y" * 256], [b"z" * 300_000]):
                await asking.send(parts)
                sender, *received = await router.recv_multipart()
                assert received == parts
                await router.send_multipart([sender, *parts])
                assert await asking.receive() == parts
            assert await publisher.recv() == b"\x01"  # the subscription
            await publisher.send_multipart([b"topic", b"content"])
            assert await listening.receive() == [b"topic", b"content"]
            for connection in (asking, listening):
                connection.close()
                connection.close()
                with pytest.raises(ConnectionError):
                    await connection.receive()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x02" + (1 << 40).to_bytes(8, "big"),
        b"\x02" + (1 << 63).to_bytes(8, "big"),
        (b"\x03" + (400).to_bytes(8, "big") + bytes(400)) * 3,
        b"\x01\x00" * 1001,
    ],
)
async def test_message_that_is_too_large(tmp_path: Path, sent: bytes) -> None:
    async with Peer(tmp_path / "socket", ACCEPTED + sent) as peer:
        connection = await Connection.open(peer.path, "DEALER", largest=1000)
        with pytest.raises(ValueError, match="too large"):
            await connection.receive()
        connection.close()


async def test_a_peer_cannot_send_ahead(tmp_path: Path) -> None:
    """What is not asked for waits at the peer."""
    async with Peer(tmp_path / "socket", ACCEPTED) as peer:
        connection = await Connection.open(peer.path, "SUB", largest=1 << 30)
        message = b"\x02" + (1 << 20).to_bytes(8, "big") + bytes(1 << 20)
        writer = await peer._connected
        for _ in range(32):
            writer.write(message)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await writer.drain()
        assert writer.transport.get_write_buffer_size() > 20 << 20
        for _ in range(32):
            assert len((await connection.receive())[0]) == 1 << 20
        connection.close()


async def test_reader_that_is_cancelled_loses_nothing(tmp_path: Path) -> None:
    message = b"\x01\x01a\x01\x02bc\x04\x05\x04PING\x00\x01d"
    async with Peer(tmp_path / "socket", ACCEPTED) as peer:
        connection = await Connection.open(peer.path, "DEALER", largest=1000)
        for byte in message[:-1]:
            reading = asyncio.create_task(connection.receive())
            await peer.send(bytes([byte]))
            for _ in range(5):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait({reading})
        await peer.send(message[-1:])
        assert await connection.receive() == [b"a", b"bc", b"d"]
        await peer.close()
        with pytest.raises(ConnectionError):
            await connection.receive()
        connection.close()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n" * 4, GREETING + b"\x04\x07\x05ERROR\x00", GREETING + b"\x00\x01x"]
)
async def test_peer_that_does_not_accept(tmp_path: Path, answer: bytes) -> None:
    async with Peer(tmp_path / "socket", answer) as peer:
        with pytest.raises(ValueError, match="socket"):
            await Connection.open(peer.path, "DEALER", largest=1000)


async def test_peer_that_ends_during_the_handshake(tmp_path: Path) -> None:
    async with Peer(tmp_path / "socket", GREETING) as peer:
        opening = asyncio.create_task(Connection.open(peer.path, "DEALER", largest=1000))
        await peer.close()
        with pytest.raises(ConnectionError):
            await opening


async def test_messages_that_are_not_valid() -> None:
    messages = JupyterMessages("key")
    request_id, parts = messages.request("kind", {"a": "☃"})
    read = messages.read([b"topic", *parts, b"a buffer"])
    assert (read["header"]["msg_id"], read["content"]) == (request_id, {"a": "☃"})
    for wrong in (
        [],
        parts[:1],
        parts[:-1],
        [part for part in parts if part != b"<IDS|MSG>"],
        [*parts[:-1], b"{}"],
        JupyterMessages("other").request("kind", {})[1],
    ):
        with pytest.raises(ValueError, match="no valid signature"):
            messages.read(wrong)
    part = json.dumps([]).encode()
    with pytest.raises(ValueError, match="not an object"):
        messages.read([b"<IDS|MSG>", messages._signature([part] * 4), *[part] * 4])
