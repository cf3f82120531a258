# Generated from tests/_async/test_httpx_transport.py by tools/unasync.py. Do not edit.
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

from agb import AGB, Config, Limits, PoolTransport, SessionError
from agb._sync._compat.concurrency import TaskGroup
from agb._sync._compat.loop import sleep
from tests.proxies import proxying
from tests.servers import Conversation, Gate, answer, cut, refuse, scripted, silent, then_close, value

LINK = value({"url": "http://127.0.0.1/link"})
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2])
CERTIFICATE = Path(__file__).parent.parent / "async_only" / "localhost.pem"


def echo(talk: Conversation) -> None:
    """Answer with the body that came, and tell its method in a header."""
    answer(talk.request.body, headers={"X-Method": talk.request.method})(talk)


# --- the pool in their clients -----------------------------------------------------------------------------------


def test_requests() -> None:
    with scripted(echo) as server:
        transport = PoolTransport()
        with httpx.Client(transport=transport, headers={"X-Mine": "1"}) as client:
            for _ in range(5):
                reply = client.post(server.endpoint + "/a?b=c%20d", json={"x": 1})
                assert (reply.status_code, reply.json(), reply.http_version) == (200, {"x": 1}, "HTTP/1.1")
                assert type(reply) is httpx.Response
            assert client.get(server.endpoint).content == b""
            assert transport.pool.stats().opened == 1
            assert "1 connections opened" in repr(transport)
        assert server.connections == 1
    assert server.requests[0].target == "/a?b=c%20d"
    assert server.requests[0].headers["x-mine"] == "1"


def test_bodies_of_any_size_both_ways() -> None:
    body = bytes(range(256)) * 10_000
    with scripted(echo) as server:
        with httpx.Client(transport=PoolTransport()) as client:
            with client.stream("PUT", server.endpoint, content=body) as reply:
                received = [piece for piece in reply.iter_bytes()]
            assert b"".join(received) == body
            assert len(received) > 1
            assert client.get(server.endpoint).is_success
        assert server.connections == 1


class Pieces:
    """A body of three pieces and unknown length."""

    def __init__(self) -> None:
        self.left = 3

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> bytes:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return b"piece"


def test_body_in_chunks() -> None:
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
        with httpx.Client(transport=PoolTransport()) as client:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            assert client.post(url, content=Pieces()).status_code == 204
        taking.join()
    assert bytes(raw).endswith(b"\r\n\r\n" + b"5\r\npiece\r\n" * 3 + b"0\r\n\r\n")


def test_what_is_not_read_is_not_kept() -> None:
    large = answer(b"x" * 5_000_000)
    with scripted(large, LINK) as server:
        transport = PoolTransport()
        with httpx.Client(transport=transport) as client:
            with client.stream("GET", server.endpoint) as reply:
                assert reply.status_code == 200
            assert transport.pool.stats().open == 0
            assert client.get(server.endpoint).is_success
        assert server.connections == 2


def test_answers_without_a_body_and_decoded() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    def act(talk: Conversation) -> None:
        if talk.request.method == "HEAD":
            talk.sock.sendall(head)
        elif talk.request.path == "/nothing":
            talk.sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            answer(gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})(talk)

    with scripted(act) as server:
        with httpx.Client(transport=PoolTransport()) as client:
            assert client.head(server.endpoint).headers["content-length"] == "1000"
            assert client.get(server.endpoint + "/nothing").status_code == 204
            assert client.get(server.endpoint).text == "hello"
        assert server.connections == 1


def test_errors_are_those_of_the_library() -> None:
    with scripted(LINK) as gone:
        pass
    half = cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    limits = httpx.Timeout(5, read=0.2)
    transport = PoolTransport()
    with httpx.Client(transport=transport, timeout=limits) as client:
        with pytest.raises(httpx.ConnectError):
            client.get(gone.endpoint)
        with pytest.raises(httpx.UnsupportedProtocol):
            client.get("ftp://127.0.0.1/")
        with scripted(cut(), half, answer(b"no http", after=b""), silent) as server:
            with pytest.raises(httpx.RemoteProtocolError):
                client.post(server.endpoint)
            with pytest.raises(httpx.RemoteProtocolError) as caught:
                client.get(server.endpoint)
            assert caught.value.request.url.port == server.port
            assert client.get(server.endpoint).content == b"no http"
            with pytest.raises(httpx.ReadTimeout):
                client.get(server.endpoint)
        assert transport.pool.stats().in_use == 0


def slowly(talk: Conversation) -> None:
    """Answer byte by byte."""
    talk.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
    for _ in range(30):
        talk.over.wait(0.05)
        talk.sock.sendall(b"x")


def test_a_slow_answer_is_as_slow_as_it_likes() -> None:
    """As in httpx, a time-out of reading is one for each read."""
    with scripted(slowly) as server:
        with httpx.Client(transport=PoolTransport(), timeout=1) as client:
            assert client.get(server.endpoint).content == b"x" * 30


def test_time_out_of_the_pool() -> None:
    gate = Gate()
    with scripted(gate.before(LINK)) as server:
        limits = httpx.Timeout(None, pool=0.1)
        transport = PoolTransport(limits=Limits(connections=1))
        with httpx.Client(transport=transport, timeout=limits) as client, TaskGroup() as crew:
            crew.start(client.get, server.endpoint)
            while not gate.asked.is_set():
                sleep(0)
            with pytest.raises(httpx.PoolTimeout, match="waited for one of 1 connections"):
                client.get(server.endpoint)
            gate.open()


def test_dead_connection_of_a_get() -> None:
    with scripted(LINK, cut(), LINK) as server:
        with httpx.Client(transport=PoolTransport()) as client:
            for _ in range(2):
                assert client.get(server.endpoint).is_success
    assert len(server.requests) == 3


def test_dead_connection_of_a_post() -> None:
    with scripted(LINK, cut(), LINK) as server:
        with httpx.Client(transport=PoolTransport()) as client:
            assert client.get(server.endpoint).is_success
            with pytest.raises(httpx.RemoteProtocolError):
                client.post(server.endpoint, content=b"once")
    assert len(server.requests) == 2


def test_proxy_and_certificates_of_the_transport() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with scripted(LINK, tls=tls) as server, proxying() as proxy:
        transport = PoolTransport(proxy=proxy.url(), verify=CERTIFICATE)
        with httpx.Client(transport=transport) as client:
            assert client.get(f"https://localhost:{server.port}").is_success
        assert proxy.asked == [f"CONNECT localhost:{server.port}"]


def test_what_is_no_proxy() -> None:
    with pytest.raises(ValueError, match="begins with ftp://"):
        PoolTransport(proxy="ftp://proxy")


def test_trace() -> None:
    """httpcore's documented extension: it reports what happens, and what fails."""
    events: list[str] = []

    def trace(name: str, info: dict[str, Any]) -> None:
        events.append(f"{name} {sorted(info)}")

    with scripted(LINK, then_close(LINK)) as server:
        with httpx.Client(transport=PoolTransport()) as client:
            assert client.get(server.endpoint, extensions={"trace": trace}).is_success
            first, events = events, []
            assert client.get(server.endpoint, extensions={"trace": trace}).is_success
            second, events = events, []
    with pytest.raises(httpx.ConnectError):
        with httpx.Client(transport=PoolTransport()) as client:
            client.get(server.endpoint, extensions={"trace": trace})
    exchange = [
        "http11.send_request_headers.started []",
        "http11.send_request_headers.complete ['return_value']",
        "http11.receive_response_headers.started []",
        "http11.receive_response_headers.complete ['return_value']",
    ]
    assert first == ["connection.connect_tcp.started []", "connection.connect_tcp.complete ['return_value']", *exchange]
    assert second == exchange
    assert events == ["connection.connect_tcp.started []", "connection.connect_tcp.failed ['exception']"]


def test_target() -> None:
    """httpcore's documented extension: the target is sent as it is, where httpx would normalise it."""
    with scripted(LINK) as server:
        with httpx.Client(transport=PoolTransport()) as client:
            client.get(server.endpoint, extensions={"target": b"/a/../b?x=%7e|y"})
    assert server.requests[0].target == "/a/../b?x=%7e|y"


def test_client_of_httpx2_is_refused() -> None:
    """httpx2 has other classes of requests and errors, and an improved pool of its own."""
    with httpx2.Client(transport=PoolTransport()) as client:  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is a transport for clients of httpx, not of httpx2"):
            client.get("http://127.0.0.1:1/")


# --- their transports in our client ------------------------------------------------------------------------------


@LIBRARIES
def test_own_transport(library: Any) -> None:
    class Mine(library.HTTPTransport):  # type: ignore[misc]
        closed = False

        def close(self) -> None:
            self.closed = True
            super().close()

    with scripted(LINK, refuse("X", "no", 403)) as server:
        transport = Mine()
        with AGB("ako-key", Config(server.endpoint, 5000), transport=transport) as agb:
            session = agb.attach("s-1")
            assert session.get_link().data == "http://127.0.0.1/link"
            assert not session.get_link().success
        assert not transport.closed
        transport.close()
    assert server.connections == 1
    assert server.requests[0].headers["user-agent"].startswith("agb-python/")


def test_the_pool_as_ones_own_transport() -> None:
    with scripted(LINK) as server:
        transport = PoolTransport()
        with transport, AGB("ako-key", Config(server.endpoint, 5000), transport=transport) as agb:
            assert agb.attach("s-1").get_link().success
            assert transport.pool.stats().idle == 1


@pytest.mark.parametrize("wrong", ["http", 5, object(), httpx.Client, lambda request: None])
def test_transport_of_the_wrong_kind(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"transport is an httpx\.\w+ \(or httpx2's\), not "):
        AGB("ako-key", transport=wrong)


def test_what_does_not_go_together() -> None:
    transport = PoolTransport()
    with httpx.Client() as client:
        with pytest.raises(TypeError, match="http_client and transport are both given"):
            AGB("ako-key", http_client=client, transport=transport)
        with pytest.raises(
            TypeError, match="proxy is an option of this client's own connections, and with http_client"
        ):
            AGB("ako-key", http_client=client, proxy="")
    with pytest.raises(TypeError, match="verify is an option of this client's own connections, and with transport"):
        AGB("ako-key", transport=transport, verify=False)


# --- certificates ------------------------------------------------------------------------------------------------


def contexts() -> list[Any]:
    return [CERTIFICATE, str(CERTIFICATE), ssl.create_default_context(cafile=CERTIFICATE), False]


@pytest.mark.parametrize("number", range(4), ids=["path", "text", "context", "off"])
def test_certificates(number: int) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with scripted(then_close(LINK), LINK, tls=tls) as server:
        config = Config(f"https://localhost:{server.port}", 5000)
        with AGB("ako-key", config, verify=contexts()[number]) as agb:
            assert agb.attach("s-1").get_link().success
            assert agb.attach("s-1").get_link().success
        with AGB("ako-key", config) as agb:
            with pytest.raises(SessionError, match="certificate verify failed"):
                agb.attach("s-1").get_link()


def test_what_are_no_certificates(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"verify is the path of certificates, and '.*none.pem' is not there"):
        AGB("ako-key", verify=tmp_path / "none.pem")
    with pytest.raises(TypeError, match=r"verify is True, False, a path or an ssl\.SSLContext, not int"):
        AGB("ako-key", verify=1)  # type: ignore[arg-type]
