"""Scripted servers on a real socket, for answers and faults that the local runtime never produces."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl

from attrs import define, field

Action = Callable[["Conversation"], None]
"""What the server does with one request."""
STOP_SECONDS = 60
"""A thread of a server that has not ended after this time hangs."""


@define
class Request:
    """A request as it was received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@define
class Conversation:
    """One connection, in the middle of a request."""

    sock: socket.socket
    over: threading.Event
    request: Request
    keep: bool = True


@define
class Scripted:
    """A server that answers its requests by a script; the last action is repeated for all further requests."""

    script: list[Action]
    early: Callable[[Request], Action | None] = lambda request: None
    """Called before the body of a request is read; may return an action that replaces the scripted one."""
    port: int = 0
    requests: list[Request] = field(factory=list)
    connections: int = 0
    socks: list[socket.socket] = field(factory=list, repr=False)
    _next: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)
    _open: int = 0
    _changed: threading.Condition = field(factory=threading.Condition, repr=False)

    def wait_for_open(self, count: int) -> bool:
        """Wait until the clients have so many connections open; return whether that happened."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == count, STOP_SECONDS)

    def count_open(self, change: int) -> None:
        with self._changed:
            self._open += change
            self._changed.notify_all()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def action(self, request: Request) -> Action:
        with self._lock:
            self.requests.append(request)
            action = self.script[min(self._next, len(self.script) - 1)]
            self._next += 1
            return action


def envelope(data: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "requestId": "R-1",
        "success": True,
        "code": "ok",
        "message": "",
        "httpStatusCode": 200,
        "data": data,
    } | more


def answer(body: Any = None, status: int = 200, headers: dict[str, str] | None = None, after: bytes = b"") -> Action:
    """Answer with a body (JSON unless bytes); ``after`` is sent behind the answer, where no bytes belong."""
    content = body if isinstance(body, bytes) else json.dumps(envelope() if body is None else body).encode()
    sent = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sent.items()) + "\r\n"

    def act(talk: Conversation) -> None:
        talk.sock.sendall(head.encode() + content + after)

    return act


def value(data: Any, **more: Any) -> Action:
    """Answer with an envelope around data."""
    return answer(envelope(data, **more))


def refuse(
    code: str = "Refused", message: str = "no", status: int = 200, headers: dict[str, str] | None = None
) -> Action:
    body = envelope(success=False, code=code, message=message, httpStatusCode=status)
    return answer(body, status, headers)


def cut(sent: bytes = b"") -> Action:
    """Close the connection after these bytes."""

    def act(talk: Conversation) -> None:
        talk.sock.sendall(sent)
        talk.keep = False

    return act


def then_close(action: Action) -> Action:
    """Answer, and close the connection without announcing it."""

    def act(talk: Conversation) -> None:
        action(talk)
        talk.keep = False

    return act


def then_silent(action: Action) -> Action:
    """Answer, or begin to, and hold the connection."""

    def act(talk: Conversation) -> None:
        action(talk)
        silent(talk)

    return act


def silent(talk: Conversation) -> None:
    """Never answer; hold the connection until the server ends."""
    talk.over.wait()
    talk.keep = False


@define(eq=False)
class Gate:
    """Holds an answer back until it is opened; ``asked`` is set when a request has arrived."""

    asked: threading.Event = field(factory=threading.Event)
    opened: threading.Event = field(factory=threading.Event)

    def hold(self, talk: Conversation) -> None:
        self.asked.set()
        while not self.opened.wait(0.05) and not talk.over.is_set():
            pass

    def before(self, action: Action) -> Action:
        """Return the action with this gate before it."""

        def act(talk: Conversation) -> None:
            self.hold(talk)
            action(talk)

        return act

    def open(self) -> None:
        self.opened.set()


@define(eq=False)
class Sessions:
    """A service that creates and releases sessions and counts them; any of its operations can be held or replaced."""

    alive: set[str] = field(factory=set)
    made: int = 0
    labels: dict[str, dict[str, str]] = field(factory=dict)
    """By session id, as sent by the client."""
    instead: dict[str, Action] = field(factory=dict)
    """By path: the action that replaces the usual one."""
    faults: dict[str, Callable[[], Action | None]] = field(factory=dict)
    """By path: returns the action that replaces the usual one for this request, or None."""
    answers: dict[str, Action] = field(factory=dict)
    """By path: the answer that is sent after the usual action."""
    gates: dict[str, Gate] = field(factory=dict)
    """By path: the gate that holds the answer back."""
    _lock: threading.Lock = field(factory=threading.Lock, repr=False)

    def gate(self, path: str) -> Gate:
        """Hold back the answers to a path from now on."""
        return self.gates.setdefault(path, Gate())

    def __call__(self, talk: Conversation) -> None:
        path = talk.request.path
        fault = self.faults[path]() if path in self.faults else None
        if fault is not None:
            return fault(talk)
        session_id = json.loads(talk.request.body or b"{}").get("sessionId", "")
        data: Any = {"url": "http://127.0.0.1/link"}
        if path == CREATE and path not in self.instead:
            with self._lock:
                self.made += 1
                session_id = f"s-{self.made}"
            self.labels[session_id] = json.loads(json.loads(talk.request.body).get("labels", "{}"))
            self.alive.add(session_id)
            data = {"sessionId": session_id, "success": True}
        if path in self.gates:
            self.gates[path].hold(talk)
        if path in self.instead:
            return self.instead[path](talk)
        if path == RELEASE:
            self.alive.discard(session_id)
        if path == STATUS:
            data = {"status": "RUNNING" if session_id in self.alive else "FINISH"}
        if path == GET:
            data = {"sessionId": session_id}
        query = dict(parse_qsl(talk.request.target.partition("?")[2]))
        if path == LIST:
            wanted = json.loads(query["labels"]).items()
            data = [{"sessionId": found} for found in sorted(self.alive.copy()) if wanted <= self.labels[found].items()]
        if path == LABELS:
            data = {"labels": json.dumps(self.labels.get(query["sessionId"], {}))}
        return self.answers.get(path, value(data))(talk)


CREATE = "/mcp/createSession"
GET = "/mcp/getSession"
LIST = "/sdk/ListSession"
LABELS = "/sdk/GetLabel"
RELEASE = "/mcp/releaseSessionAsync"
STATUS = "/mcp/getSessionInfo"
LINK = "/internet/getLink"


def trickle(talk: Conversation) -> None:
    """Answer one byte at a time, without an end."""
    talk.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    try:
        while not talk.over.wait(0.02):
            talk.sock.sendall(b" ")
    except OSError:  # the client has closed the connection
        pass
    talk.keep = False


@contextmanager
def scripted(
    *script: Action,
    tls: ssl.SSLContext | None = None,
    early: Callable[[Request], Action | None] = lambda request: None,
) -> Iterator[Scripted]:
    """Run a scripted server on a free port for the time of a block."""
    server = Scripted(list(script), early)
    over = threading.Event()
    threads: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]

    def accept() -> None:
        while not over.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            server.count_open(1)
            server.socks.append(sock)
            thread = threading.Thread(target=converse_to_the_end, args=(server, sock, over, tls), daemon=True)
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        over.set()
        stop_listening(listener, acceptor)
        for sock in server.socks:
            with suppress(OSError):  # closed already
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(STOP_SECONDS)
            assert not thread.is_alive()


def stop_listening(listener: socket.socket, acceptor: threading.Thread) -> None:
    """Close a listener and wait until the thread that accepts its connections has ended.

    After that no connection is added: a caller that shuts down all connections misses none.
    """
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    acceptor.join(STOP_SECONDS)
    assert not acceptor.is_alive()


def converse_to_the_end(
    server: Scripted, sock: socket.socket, over: threading.Event, tls: ssl.SSLContext | None
) -> None:
    try:
        converse(server, sock, over, tls)
    finally:
        server.count_open(-1)


def converse(server: Scripted, sock: socket.socket, over: threading.Event, tls: ssl.SSLContext | None) -> None:
    if tls is not None:
        try:
            sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError:  # the client has closed the connection
            sock.close()
            return
        server.socks.append(sock)
        if over.is_set():  # the end of the server may have seen the plain socket only
            sock.close()
            return
    with sock, sock.makefile("rb") as stream:
        while request := read_head(stream):
            talk = Conversation(sock, over, request)
            try:
                if action := server.early(request):
                    server.requests.append(request)
                else:
                    size = int(request.headers.get("content-length", 0))
                    request.body = stream.read(size)
                    if len(request.body) < size:  # the client has closed the connection
                        return
                    action = server.action(request)
                action(talk)
            except OSError:
                return
            if not talk.keep:
                return


def read_head(stream: Any) -> Request | None:
    try:  # over TLS the first read does the handshake, which the client may refuse or abandon
        first = stream.readline().decode("latin-1").split()
        if len(first) < 3:
            return None
        headers = {}
        while (line := stream.readline().decode("latin-1")).strip():
            name, _, text = line.partition(":")
            headers[name.lower()] = text.strip()
        if not line.endswith("\n"):  # the client has closed the connection
            return None
        return Request(first[0], first[1], headers, b"")
    except OSError:
        return None
