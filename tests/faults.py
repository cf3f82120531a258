"""Servers with one fault each, which every request meets: what a method does then must end by its deadline."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

from attrs import define, field

from tests.servers import (
    Action,
    Conversation,
    answer,
    cut,
    refuse,
    scripted,
    silent,
    stop_listening,
    then_silent,
    trickle,
)

CERTIFICATE = Path(__file__).parent / "async_only" / "localhost.pem"


@define
class Faulty:
    """A server that runs, and what it has received."""

    endpoint: str
    received: Sized = field(factory=list)
    """One entry for each request, or for each connection where no request can be read."""


def endless(head: bytes, line: bytes) -> Action:
    """Send a head, and lines without an end."""

    def act(talk: Conversation) -> None:
        talk.sock.sendall(head)
        with suppress(OSError):  # the client has closed the connection
            while not talk.over.wait(0.002):
                talk.sock.sendall(line * 10)
        talk.keep = False

    return act


def redirect(talk: Conversation) -> None:
    answer(b"", 307, {"Location": talk.request.target})(talk)


@contextmanager
def _speaks_http(action: Action, tls: bool = False, scheme: str = "http") -> Iterator[Faulty]:
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
    with scripted(action, tls=context) as server:
        yield Faulty(f"{scheme}://127.0.0.1:{server.port}", server.requests)


@contextmanager
def _accepts(scheme: str = "http", *, closes: bool) -> Iterator[Faulty]:
    """Accept connections, and close them unread or never read from them."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    accepted: list[socket.socket] = []
    faulty = Faulty(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", accepted)

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            accepted.append(sock)
            if closes:
                sock.close()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield faulty
    finally:
        stop_listening(listener, acceptor)
        for sock in accepted:
            sock.close()


@contextmanager
def _absent() -> Iterator[Faulty]:
    """Yield a port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield Faulty(f"http://127.0.0.1:{port}")


def _slow_down(status: int) -> Action:
    return refuse("Busy", "slow down", status, {"Retry-After": "0"})


_HTTP = {
    "closed after the request": cut(),
    "half an answer": cut(b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"success": true, "data": {"sessionId": "s-'),
    "half an answer, then silence": then_silent(lambda talk: talk.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")),
    "no answer": silent,
    "503 of the service": _slow_down(503),
    "503 of a proxy": answer(b"<html>", 503, {"Content-Type": "text/html"}),
    "429": _slow_down(429),
    "500": refuse("InternalError", "broken", 500),
    "502": answer(b"<html>", 502, {"Retry-After": "0"}),
    "redirects": redirect,
    "HTML": answer(b"<html>welcome", 200, {"Content-Type": "text/html"}),
    "JSON of something else": answer({"hello": "world"}),
    "no HTTP": cut(b"220 mail.example ESMTP\r\n"),
    "one byte at a time": trickle,
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
    "endless body": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "100 for ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
FAULTS: dict[str, Callable[[], AbstractContextManager[Faulty]]] = {
    **{name: partial(_speaks_http, action) for name, action in _HTTP.items()},
    "TLS at a plain port": partial(_speaks_http, answer(), tls=True),
    "plain HTTP at a TLS port": partial(_speaks_http, answer(), scheme="https"),
    "closed unread": partial(_accepts, closes=True),
    "accepted, and nothing": partial(_accepts, closes=False),
    "TLS that never begins": partial(_accepts, "https", closes=False),
    "nothing there": _absent,
}
