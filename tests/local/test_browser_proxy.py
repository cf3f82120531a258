"""The program that adds a user name to a browser's traffic, without a browser."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from agb.local.browser.proxies import Forwarder, ForwarderFailed, ProxyServer
from agb.local.sandbox.launch import INSIDE
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession
from tests.faults import CERTIFICATE
from tests.proxies import Proxy, proxying
from tests.servers import Scripted, scripted, value

from .runtimes import output

SECONDS = 60
"""Limit of each step."""


@contextmanager
def forwarding(proxy: Proxy, password: str = "se:cret", *, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Run the program for a proxy; the port at which it listens."""
    ours, theirs = socket.socketpair()
    # The runtime hands the socket over as descriptor 3.
    command = ["/bin/bash", "-c", f'exec "$@" 3<&{theirs.fileno()}', "bash", sys.executable, "-I", "-S", str(INSIDE)]
    program = subprocess.Popen([*command, "browser_proxy"], pass_fds=[theirs.fileno()])
    theirs.close()
    try:
        with ours, ours.makefile("rwb") as control:
            place = {"scheme": proxy.scheme, "host": host, "port": port or proxy.port}
            control.write(json.dumps({**place, "username": "me", "password": password}).encode() + b"\n")
            control.flush()
            yield int(control.readline())
        assert program.wait(SECONDS) == 0  # it ends with the connection
    finally:
        program.kill()
        program.wait()


def exchange(port: int, *requests: bytes) -> bytes:
    """Send requests over one connection, each when the one before is answered, and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        data = b""
        for number, request in enumerate(requests, 1):
            sock.sendall(request)
            while data.count(b"\r\n\r\n") < number and (more := sock.recv(65536)):
                data += more
        return data


@pytest.fixture
def origin() -> Iterator[Scripted]:
    with scripted(value({})) as server:
        yield server


def test_requests_of_one_connection(origin: Scripted) -> None:
    url = origin.endpoint.encode()
    plain = b"POST %s/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nProxy-Authorization: mine\r\n\r\nabc" % url
    with proxying("http", users={"me": "se:cret"}) as proxy, forwarding(proxy) as port:
        data = exchange(port, plain, b"GET %s/c HTTP/1.1\r\nHost: x\r\n\r\n" % url)
        assert data.count(b"HTTP/1.1 200") == 2
        assert [asked.rpartition("/")[2] for asked in proxy.asked] == ["a", "c"]
        assert {headers["proxy-authorization"] for headers in proxy.headers} == {"Basic bWU6c2U6Y3JldA=="}


def test_request_in_chunks() -> None:
    head = b"POST http://x/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"3;x=y\r\nGET\r\n4\r\n\r\n\r\n\r\n0\r\nTrailer: x\r\n\r\n"
    next_one = b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        forwarding(Proxy("http"), port=listener.getsockname()[1]) as port,
        socket.create_connection(("127.0.0.1", port), SECONDS) as sock,
    ):
        sock.sendall(head + body + next_one)
        with listener.accept()[0] as received:
            data = b""
            while not (data.endswith(b"Host: x\r\n\r\n") and b"GET http" in data):
                data += received.recv(65536)
    authorization = b"Proxy-Authorization: Basic bWU6c2U6Y3JldA==\r\n"
    assert data.count(authorization) == 2
    assert data.replace(authorization, b"") == head + body + next_one


def test_tunnel(origin: Scripted) -> None:
    place = origin.endpoint.rpartition("/")[2].encode()
    connect = b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (place, place)
    with proxying("http", users={"me": "se:cret"}) as proxy, forwarding(proxy) as port:
        data = exchange(port, connect, b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert data.startswith(b"HTTP/1.1 200 Go\r\n\r\nHTTP/1.1 200")
        assert proxy.asked == [f"CONNECT {place.decode()}"]


@pytest.mark.parametrize("trusted", [True, False])
def test_proxy_with_tls(origin: Scripted, monkeypatch: pytest.MonkeyPatch, trusted: bool) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with proxying("https", tls=tls, users={"me": "se:cret"}) as proxy, forwarding(proxy, host="localhost") as port:
        data = exchange(port, b"GET %s/x HTTP/1.1\r\nHost: x\r\n\r\n" % origin.endpoint.encode())
        assert data.startswith(b"HTTP/1.1 200" if trusted else b"HTTP/1.1 502")
        assert len(proxy.asked) == trusted


def test_refused_password_opens_no_dialog() -> None:
    with proxying("http", users={"me": "se:cret"}) as proxy, forwarding(proxy, "wrong") as port:
        for request in (b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"):
            data = exchange(port, request)
            assert data.startswith(b"HTTP/1.1 502 ")
            assert b"refused the user name or the password" in data


def test_proxy_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        away = closed.getsockname()[1]
    with forwarding(Proxy("http"), port=away) as port:
        assert b"cannot be reached" in exchange(port, b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n")
    with forwarding(Proxy("socks5"), port=away) as port:
        assert exchange(port, HELLO + TO_X).startswith(b"\x05\x00\x05\x01")


@pytest.mark.parametrize("request_", [b"GET http://x/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"x" * (1 << 19), b""])
def test_request_that_makes_no_sense_ends_its_connection(request_: bytes) -> None:
    with proxying("http") as proxy, forwarding(proxy) as port:
        sock = socket.create_connection(("127.0.0.1", port), SECONDS)
        with sock, suppress(ConnectionError):  # reset, if it has not read all
            sock.sendall(request_)
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(100) == b""
        assert exchange(port, b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n") == b""  # the next one is served


HELLO = b"\x05\x01\x00"
TO_X = b"\x05\x01\x00\x03\x01x\x01\xbb"


def test_socks(origin: Scripted) -> None:
    number = int(origin.endpoint.rpartition(":")[2])
    target = b"\x05\x01\x00\x01\x7f\x00\x00\x01" + number.to_bytes(2, "big")
    with proxying("socks5", users={"me": "se:cret"}) as proxy, forwarding(proxy) as port:
        data = exchange(port, HELLO + target + b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert data.startswith(b"\x05\x00\x05\x00")
        assert b"HTTP/1.1 200" in data
        assert proxy.asked == [f"SOCKS 127.0.0.1:{number}"]


@pytest.mark.parametrize(
    ("users", "sent", "answer"),
    [
        ({"me": "other"}, HELLO + TO_X, b"\x05\x00\x05\x02"),  # not allowed
        ({"me": "se:cret"}, b"\x05\x01\x02", b"\x05\xff"),  # a client that wants to send a password
        ({"me": "se:cret"}, b"\x04\x01\x00", b"\x05\xff"),
    ],
)
def test_socks_that_is_refused(users: dict[str, str], sent: bytes, answer: bytes) -> None:
    with proxying("socks5", users=users) as proxy, forwarding(proxy) as port:
        assert exchange(port, sent).startswith(answer)


# --- in a session ---


@pytest.mark.asyncio
async def test_program_in_a_session(local_runtime: Runtime, box: LocalSession) -> None:
    forwarder = await Forwarder.start(box.sandbox, ProxyServer("http", "127.0.0.1", 9, "me", "se:cret"))
    assert forwarder.address.startswith("http://127.0.0.1:")
    everything = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '; true"
    seen = await output(local_runtime, box, everything)
    assert "browser_proxy" in seen
    assert "cret" not in seen
    assert "127.0.0.1:9" not in seen
    await forwarder.close()
    await forwarder.close()
    assert "browser_proxy" not in await output(local_runtime, box, everything)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/bin/sh", "-c", "echo broken >&2; exit 1"], "broken"),
        (["/bin/sh", "-c", "read line <&3; echo 70000 >&3; exec sleep 1000"], "70000 is no port"),
        (["/bin/sh", "-c", "exec 2>/dev/null; yes 1 | tr -d '\\n' >&3"], "no port"),
        (["/no/such/program"], "No such file"),
    ],
)
async def test_program_that_does_not_start(
    box: LocalSession, monkeypatch: pytest.MonkeyPatch, command: list[str], reason: str
) -> None:
    monkeypatch.setattr(box.sandbox, "helper", lambda _: command)
    with pytest.raises(ForwarderFailed, match=reason):
        await Forwarder.start(box.sandbox, ProxyServer("http", "127.0.0.1", 9, "me", "se:cret"))
