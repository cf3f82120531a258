"""Small real proxies on loopback: HTTP (forwarding and CONNECT) and SOCKS5, with users; faults can be injected."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from tests.servers import STOP_SECONDS, Gate, read_head, stop_listening


@define(eq=False)
class Proxy:
    """A proxy, the requests it received, and the faults it injects."""

    scheme: str
    users: dict[str, str] = field(factory=dict)
    """Passwords by user name; empty: no authentication."""
    port: int = 0
    asked: list[str] = field(factory=list)
    """The requests: "CONNECT host:port", "GET http://...", "SOCKS host:port"."""
    headers: list[dict[str, str]] = field(factory=list)
    connections: int = 0
    gate: Gate | None = None
    """Holds a tunnel back before it is granted."""
    instead: bytes | None = None
    """Sent instead of granting a tunnel, or as the first answer of SOCKS; then the connection is closed."""
    hosts: dict[str, str] = field(factory=dict)
    """Host names that only the proxy resolves, with their addresses."""
    over: threading.Event = field(factory=threading.Event)
    socks: list[socket.socket] = field(factory=list)
    threads: list[threading.Thread] = field(factory=list)

    def url(self, user: str = "", scheme: str = "") -> str:
        host = "localhost" if self.scheme == "https" else "127.0.0.1"
        return f"{scheme or self.scheme}://{user and user + '@'}{host}:{self.port}"

    def start(self, function: Any, *args: Any) -> threading.Thread:
        thread = threading.Thread(target=function, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    # --- one connection ------------------------------------------------------------------------------------------

    def serve(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        with sock, suppress(OSError):
            if tls is not None:
                sock = tls.wrap_socket(sock, server_side=True)
                self.socks.append(sock)
            with sock:
                (self.serve_socks if self.scheme.startswith("socks") else self.serve_http)(sock)

    def serve_http(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as stream:
            while request := read_head(stream):
                self.asked.append(f"{request.method} {request.target}")
                self.headers.append(request.headers)
                request.body = stream.read(int(request.headers.get("content-length", 0)))
                if not self.knows(request.headers.get("proxy-authorization", "")):
                    sock.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                    continue
                if request.method == "CONNECT":
                    host, _, port = request.target.rpartition(":")
                    if self.granted(sock):
                        self.relay(sock, (host.strip("[]"), int(port)), b"HTTP/1.1 200 Go\r\n\r\n")
                    return
                self.forward(sock, request)

    def knows(self, authorization: str) -> bool:
        if not self.users:
            return True
        name, _, password = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return self.users.get(name) == password and bool(name)

    def granted(self, sock: socket.socket) -> bool:
        """Return whether a tunnel is granted; otherwise ``instead`` was sent."""
        if self.gate is not None:
            self.gate.asked.set()
            while not self.gate.opened.wait(0.02) and not self.over.is_set():
                pass
        if self.instead is not None:
            sock.sendall(self.instead)
        return self.instead is None

    def forward(self, sock: socket.socket, request: Any) -> None:
        """Forward a request over a new connection, with a path in place of its URL."""
        url = urlsplit(request.target)
        headers = {name: text for name, text in request.headers.items() if not name.startswith("proxy-")}
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        head = f"{request.method} {path} HTTP/1.1\r\n"
        head += "".join(f"{name}: {text}\r\n" for name, text in {**headers, "connection": "close"}.items()) + "\r\n"
        with self.connected((url.hostname or "", url.port or 80)) as up:
            up.sendall(head.encode() + request.body)
            with up.makefile("rb") as stream:
                status = stream.readline()
                length = 0
                head = ""
                while line := stream.readline().decode().strip():
                    name, _, text = line.partition(":")
                    length = int(text) if name.lower() == "content-length" else length
                    head += line + "\r\n"
                sock.sendall(status + head.encode() + b"\r\n" + stream.read(length))

    def serve_socks(self, sock: socket.socket) -> None:
        def read(length: int) -> bytes:
            data = b""
            while len(data) < length:
                piece = sock.recv(length - len(data))
                if not piece:
                    raise OSError("closed")
                data += piece
            return data

        if self.instead is not None:
            read(3)
            sock.sendall(self.instead)
            return
        methods = read(read(2)[1])
        method = 2 if self.users else 0
        sock.sendall(bytes([5, method if method in methods else 0xFF]))
        if method not in methods:
            return
        if self.users:
            name = read(read(2)[1]).decode()
            password = read(read(1)[0]).decode()
            sock.sendall(b"\x01\x00" if self.users.get(name) == password else b"\x01\x01")
            if self.users.get(name) != password:
                return
        kind = read(4)[3]
        host = {
            1: lambda: socket.inet_ntop(socket.AF_INET, read(4)),
            3: lambda: read(read(1)[0]).decode(),
            4: lambda: socket.inet_ntop(socket.AF_INET6, read(16)),
        }[kind]()
        port = int.from_bytes(read(2), "big")
        self.asked.append(f"SOCKS {host}:{port}")
        if self.gate is not None:
            self.granted(sock)
        address = b"\x03\x09localhost" if kind == 3 else b"\x01\x7f\x00\x00\x01"
        try:
            self.relay(sock, (host, port), b"\x05\x00\x00" + address + b"\x00\x00")
        except ConnectionRefusedError:
            sock.sendall(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")

    # --- tunnels -------------------------------------------------------------------------------------------------

    def connected(self, address: tuple[str, int]) -> socket.socket:
        up = socket.create_connection((self.hosts.get(address[0], address[0]), address[1]))
        self.socks.append(up)
        return up

    def relay(self, sock: socket.socket, address: tuple[str, int], first: bytes) -> None:
        """Connect, send ``first``, and forward bytes in both directions until one side closes."""
        with self.connected(address) as up:
            sock.sendall(first)
            other = self.start(self.pump, up, sock)
            self.pump(sock, up)
            other.join(STOP_SECONDS)

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for sock in (source, target):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxying(scheme: str = "http", *, tls: ssl.SSLContext | None = None, **more: Any) -> Iterator[Proxy]:
    """Run a proxy on a free port for the time of a block; ``https`` needs ``tls``."""
    proxy = Proxy(scheme, **more)
    listener = socket.create_server(("127.0.0.1", 0))
    proxy.port = listener.getsockname()[1]

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            proxy.connections += 1
            proxy.socks.append(sock)
            proxy.start(proxy.serve, sock, tls)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        stop_listening(listener, acceptor)
        for sock in proxy.socks:
            with suppress(OSError):  # closed already
                sock.shutdown(socket.SHUT_RDWR)
        for thread in proxy.threads:
            thread.join(STOP_SECONDS)
            assert not thread.is_alive()
