"""The pool as a transport of others' clients, others' transports in a client of ours, and which certificates count."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from agb import AsyncAGB, AsyncPoolTransport, Config, Limits, SessionError
from agb._async._compat.concurrency import TaskGroup
from agb._async._compat.loop import sleep
from tests.proxies import proxying
from tests.servers import Conversation, Gate, answer, cut, refuse, scripted, silent, then_close, value

pytestmark = pytest.mark.anyio

LINK = value({"url": "http://127.0.0.1/link"})
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2])
CERTIFICATE = Path(__file__).parent.parent / "async_only" / "localhost.pem"


def echo(talk: Conversation) -> None:
    """Answer with the body that came, and tell its method in a header."""
    answer(talk.request.body, headers={"X-Method": talk.request.method})(talk)


# --- the pool in their clients -----------------------------------------------------------------------------------


async def test_requests() -> None:
    with scripted(echo) as server:
        transport = AsyncPoolTransport()
        async with httpx.AsyncClient(transport=transport, headers={"X-Mine": "1"}) as client:
            for _ in range(5):
                reply = await client.post(server.endpoint + "/a?b=c%20d", json={"x": 1})
                assert (reply.status_code, reply.json(), reply.http_version) == (200, {"x": 1}, "HTTP/1.1")
                assert type(reply) is httpx.Response
            assert (await client.get(server.endpoint)).content == b""
            assert transport.pool.stats().opened == 1
            assert "1 connections opened" in repr(transport)
        assert server.connections == 1
    assert server.requests[0].target == "/a?b=c%20d"
    assert server.requests[0].headers["x-mine"] == "1"


async def test_bodies_of_any_size_both_ways() -> None:
    body = bytes(range(256)) * 10_000
    with scripted(echo) as server:
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            async with client.stream("PUT", server.endpoint, content=body) as reply:
                received = [piece async for piece in reply.aiter_bytes()]
            assert b"".join(received) == body
            assert len(received) > 1
            assert (await client.get(server.endpoint)).is_success
        assert server.connections == 1


class Pieces:
    """A body of three pieces and unknown length."""

    def __init__(self) -> None:
        self.left = 3

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return b"piece"


async def test_body_in_chunks() -> None:
    raw = bytearray()

    def take() -> None:
        """Read a request with chunks to its end, and answer."""
        sock, _ = listener.accept()
        with sock:
            while not raw.endswith(b"0\r\n\r\n"):
                raw.extend(sock.recv(65536))
            sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        taking = threading.Thread(target=take)
        taking.start()
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            assert (await client.post(url, content=Pieces())).status_code == 204
        taking.join()
    assert bytes(raw).endswith(b"\r\n\r\n" + b"5\r\npiece\r\n" * 3 + b"0\r\n\r\n")


async def test_what_is_not_read_is_not_kept() -> None:
    large = answer(b"x" * 5_000_000)
    with scripted(large, LINK) as server:
        transport = AsyncPoolTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            async with client.stream("GET", server.endpoint) as reply:
                assert reply.status_code == 200
            assert transport.pool.stats().open == 0
            assert (await client.get(server.endpoint)).is_success
        assert server.connections == 2


async def test_answers_without_a_body_and_decoded() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    def act(talk: Conversation) -> None:
        if talk.request.method == "HEAD":
            talk.sock.sendall(head)
        elif talk.request.path == "/nothing":
            talk.sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            answer(gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})(talk)

    with scripted(act) as server:
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            assert (await client.head(server.endpoint)).headers["content-length"] == "1000"
            assert (await client.get(server.endpoint + "/nothing")).status_code == 204
            assert (await client.get(server.endpoint)).text == "hello"
        assert server.connections == 1


async def test_errors_are_those_of_the_library() -> None:
    with scripted(LINK) as gone:
        pass
    half = cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    limits = httpx.Timeout(5, read=0.2)
    transport = AsyncPoolTransport()
    async with httpx.AsyncClient(transport=transport, timeout=limits) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(gone.endpoint)
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")
        with scripted(cut(), half, answer(b"no http", after=b""), silent) as server:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.post(server.endpoint)
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                await client.get(server.endpoint)
            assert caught.value.request.url.port == server.port
            assert (await client.get(server.endpoint)).content == b"no http"
            with pytest.raises(httpx.ReadTimeout):
                await client.get(server.endpoint)
        assert transport.pool.stats().in_use == 0


def slowly(talk: Conversation) -> None:
    """Answer byte by byte."""
    talk.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
    for _ in range(30):
        talk.over.wait(0.05)
        talk.sock.sendall(b"x")


async def test_a_slow_answer_is_as_slow_as_it_likes() -> None:
    """As in httpx, a time-out of reading is one for each read."""
    with scripted(slowly) as server:
        async with httpx.AsyncClient(transport=AsyncPoolTransport(), timeout=1) as client:
            assert (await client.get(server.endpoint)).content == b"x" * 30


async def test_time_out_of_the_pool() -> None:
    gate = Gate()
    with scripted(gate.before(LINK)) as server:
        limits = httpx.Timeout(None, pool=0.1)
        transport = AsyncPoolTransport(limits=Limits(connections=1))
        async with httpx.AsyncClient(transport=transport, timeout=limits) as client, TaskGroup() as crew:
            crew.start(client.get, server.endpoint)
            while not gate.asked.is_set():
                await sleep(0)
            with pytest.raises(httpx.PoolTimeout, match="waited for one of 1 connections"):
                await client.get(server.endpoint)
            gate.open()


async def test_dead_connection_of_a_get() -> None:
    with scripted(LINK, cut(), LINK) as server:
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            for _ in range(2):
                assert (await client.get(server.endpoint)).is_success
    assert len(server.requests) == 3


async def test_dead_connection_of_a_post() -> None:
    with scripted(LINK, cut(), LINK) as server:
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            assert (await client.get(server.endpoint)).is_success
            with pytest.raises(httpx.RemoteProtocolError):
                await client.post(server.endpoint, content=b"once")
    assert len(server.requests) == 2


async def test_proxy_and_certificates_of_the_transport() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with scripted(LINK, tls=tls) as server, proxying() as proxy:
        transport = AsyncPoolTransport(proxy=proxy.url(), verify=CERTIFICATE)
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await client.get(f"https://localhost:{server.port}")).is_success
        assert proxy.asked == [f"CONNECT localhost:{server.port}"]


def test_what_is_no_proxy() -> None:
    with pytest.raises(ValueError, match="begins with ftp://"):
        AsyncPoolTransport(proxy="ftp://proxy")


async def test_trace() -> None:
    """httpcore's documented extension: it reports what happens, and what fails."""
    events: list[str] = []

    async def trace(name: str, info: dict[str, Any]) -> None:
        events.append(f"{name} {sorted(info)}")

    with scripted(LINK, then_close(LINK)) as server:
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            assert (await client.get(server.endpoint, extensions={"trace": trace})).is_success
            first, events = events, []
            assert (await client.get(server.endpoint, extensions={"trace": trace})).is_success
            second, events = events, []
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            await client.get(server.endpoint, extensions={"trace": trace})
    exchange = [
        "http11.send_request_headers.started []",
        "http11.send_request_headers.complete ['return_value']",
        "http11.receive_response_headers.started []",
        "http11.receive_response_headers.complete ['return_value']",
    ]
    assert first == ["connection.connect_tcp.started []", "connection.connect_tcp.complete ['return_value']", *exchange]
    assert second == exchange
    assert events == ["connection.connect_tcp.started []", "connection.connect_tcp.failed ['exception']"]


async def test_target() -> None:
    """httpcore's documented extension: the target is sent as it is, where httpx would normalise it."""
    with scripted(LINK) as server:
        async with httpx.AsyncClient(transport=AsyncPoolTransport()) as client:
            await client.get(server.endpoint, extensions={"target": b"/a/../b?x=%7e|y"})
    assert server.requests[0].target == "/a/../b?x=%7e|y"


async def test_client_of_httpx2_is_refused() -> None:
    """httpx2 has other classes of requests and errors, and an improved pool of its own."""
    async with httpx2.AsyncClient(transport=AsyncPoolTransport()) as client:  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is a transport for clients of httpx, not of httpx2"):
            await client.get("http://127.0.0.1:1/")


# --- their transports in our client ------------------------------------------------------------------------------


@LIBRARIES
async def test_own_transport(library: Any) -> None:
    class Mine(library.AsyncHTTPTransport):  # type: ignore[misc]
        closed = False

        async def aclose(self) -> None:
            self.closed = True
            await super().aclose()

    with scripted(LINK, refuse("X", "no", 403)) as server:
        transport = Mine()
        async with AsyncAGB("ako-key", Config(server.endpoint, 5000), transport=transport) as agb:
            session = agb.attach("s-1")
            assert (await session.get_link()).data == "http://127.0.0.1/link"
            assert not (await session.get_link()).success
        assert not transport.closed
        await transport.aclose()
    assert server.connections == 1
    assert server.requests[0].headers["user-agent"].startswith("agb-python/")


async def test_the_pool_as_ones_own_transport() -> None:
    with scripted(LINK) as server:
        transport = AsyncPoolTransport()
        async with transport, AsyncAGB("ako-key", Config(server.endpoint, 5000), transport=transport) as agb:
            assert (await agb.attach("s-1").get_link()).success
            assert transport.pool.stats().idle == 1


@pytest.mark.parametrize("wrong", ["http", 5, object(), httpx.Client, lambda request: None])
def test_transport_of_the_wrong_kind(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"transport is an httpx\.\w+ \(or httpx2's\), not "):
        AsyncAGB("ako-key", transport=wrong)


async def test_what_does_not_go_together() -> None:
    transport = AsyncPoolTransport()
    async with httpx.AsyncClient() as client:
        with pytest.raises(TypeError, match="http_client and transport are both given"):
            AsyncAGB("ako-key", http_client=client, transport=transport)
        with pytest.raises(
            TypeError, match="proxy is an option of this client's own connections, and with http_client"
        ):
            AsyncAGB("ako-key", http_client=client, proxy="")
    with pytest.raises(TypeError, match="verify is an option of this client's own connections, and with transport"):
        AsyncAGB("ako-key", transport=transport, verify=False)


# --- certificates ------------------------------------------------------------------------------------------------


def contexts() -> list[Any]:
    return [CERTIFICATE, str(CERTIFICATE), ssl.create_default_context(cafile=CERTIFICATE), False]


@pytest.mark.parametrize("number", range(4), ids=["path", "text", "context", "off"])
async def test_certificates(number: int) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with scripted(then_close(LINK), LINK, tls=tls) as server:
        config = Config(f"https://localhost:{server.port}", 5000)
        async with AsyncAGB("ako-key", config, verify=contexts()[number]) as agb:
            assert (await agb.attach("s-1").get_link()).success
            assert (await agb.attach("s-1").get_link()).success
        async with AsyncAGB("ako-key", config) as agb:
            with pytest.raises(SessionError, match="certificate verify failed"):
                await agb.attach("s-1").get_link()


def test_what_are_no_certificates(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"verify is the path of certificates, and '.*none.pem' is not there"):
        AsyncAGB("ako-key", verify=tmp_path / "none.pem")
    with pytest.raises(TypeError, match=r"verify is True, False, a path or an ssl\.SSLContext, not int"):
        AsyncAGB("ako-key", verify=1)  # type: ignore[arg-type]
