"""Faults between a client and the local runtime: a proxy that both flavours, and other programs, connect to.

What a client sees is real: a dropped connection is a closed socket. The proxy passes all other requests on, those of
WebSockets included; the runtime answers addresses (of sessions, files, links) that lead through the proxy as well.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

import h11
from attrs import define

from .._wire.reply import envelope
from .listening import Listener
from .tunnel import STREAM, Tunnel

_PIECE = 65_536
_ANSWERS = ("rate limit", "unavailable")


@define(eq=False)
class Fault:
    """A fault, and how many requests will meet it; made by the methods of `Faults`.

    Attributes:
        kind: what happens.
        operation: the requests that meet it.
        times: how many meet it in all.
        met: how many have met it.
    """

    kind: Literal["rate limit", "unavailable", "drop", "slow", "cut"]
    operation: str
    times: int
    met: int = 0
    retry_after: int | None = None
    seconds: float = 0.0
    after: int = 0
    reaches_runtime: bool = False

    def __str__(self) -> str:
        return f"{self.kind} at {self.operation!r}"


@define(eq=False)
class _Request:
    """A request that was received whole, and the names of its operation."""

    head: h11.Request
    body: bytes
    names: list[str]


class Faults:
    """The faults of a test, made by the fixture ``agb_faults``; more than one can be set, the first that fits counts.

    An operation is named by the last part of its path (``createSession``), by the tool that is called (``run_code``),
    or as ``upload`` and ``download`` (files of contexts); ``*`` is any request. Live output is requested by a message
    on a WebSocket, which is kept for the next one: ``stream`` is such a message, ``ws`` the handshake before the first.
    Upper and lower case are the same. Each fault is met by ``times`` requests, after which they are passed on again.

    Attributes:
        endpoint: the address of the proxy, in place of that of the runtime.
        seen: the names of the operations requested so far.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._runtime = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._listener = Listener(self._serve)
        self.endpoint = f"http://127.0.0.1:{self._listener.port}"
        self.seen: list[str] = []

    @classmethod
    @contextmanager
    def before(cls, endpoint: str) -> Iterator[Faults]:
        """Run a proxy before a runtime for the time of a block, without pytest."""
        faults = cls(endpoint)
        try:
            yield faults
        finally:
            faults._listener.close()

    # --- the faults ----------------------------------------------------------------------------------------------

    def rate_limit(self, operation: str, *, times: int = 1, retry_after: int | None = 0) -> Fault:
        """Answer 429, with ``Retry-After`` in seconds unless that is None; the runtime does not see the request."""
        return self._add(Fault("rate limit", operation, times, retry_after=retry_after))

    def unavailable(self, operation: str, *, times: int = 1, retry_after: int | None = None) -> Fault:
        """Answer 503, as an overloaded service does; the runtime does not see the request."""
        return self._add(Fault("unavailable", operation, times, retry_after=retry_after))

    def drop(self, operation: str, *, times: int = 1, at: Literal["request", "answer"] = "request") -> Fault:
        """Close the connection without an answer.

        Args:
            operation: the requests that meet it.
            times: how many of them.
            at: at the ``request``, which the runtime does not see then, or at the ``answer``: the runtime has done
                what was requested, and the client cannot know.
        """
        if at not in ("request", "answer"):
            raise ValueError(f"at is 'request' or 'answer', not {at!r}")
        return self._add(Fault("drop", operation, times, reaches_runtime=at == "answer"))

    def slow(self, operation: str, seconds: float, *, times: int = 1) -> Fault:
        """Hold the answer back for so many seconds."""
        return self._add(Fault("slow", operation, times, seconds=seconds, reaches_runtime=True))

    def cut(self, operation: str, *, after: int = 0, times: int = 1) -> Fault:
        """Close the connection after so many bytes of the body of the answer, or of live output."""
        return self._add(Fault("cut", operation, times, after=after, reaches_runtime=True))

    def count(self, operation: str) -> int:
        """Return how many requests of an operation there were, those that met a fault included."""
        wanted = operation.lower()
        with self._lock:
            return sum(wanted in ("*", *names.split()) for names in self.seen)

    def check_met(self) -> None:
        """Fail the test if there is a fault that no request has met: its operation may be misspelled."""
        import pytest

        if unmet := [fault for fault in self._faults if not fault.met]:
            seen = ", ".join(sorted({names.split()[-1] for names in self.seen})) or "none"
            pytest.fail(
                f"no request met these faults: {', '.join(map(str, unmet))}. Operations requested: {seen}",
                pytrace=False,
            )

    def _add(self, fault: Fault) -> Fault:
        if not fault.operation or isinstance(fault.times, bool) or fault.times < 1:
            raise ValueError("a fault needs the name of an operation, and times of at least 1")
        if fault.operation.lower() == STREAM and fault.kind in _ANSWERS:
            raise ValueError(f"a message on a WebSocket has no status: set {fault.kind!r} at 'ws', its handshake")
        with self._lock:
            self._faults.append(fault)
        return fault

    def fault_of(self, names: list[str]) -> Fault | None:
        """Return the fault that a request meets."""
        with self._lock:
            self.seen.append(" ".join(names))
            for fault in self._faults:
                fits = fault.operation.lower() in ("*", *names) and not (names == [STREAM] and fault.kind in _ANSWERS)
                if fits and fault.met < fault.times:
                    fault.met += 1
                    return fault
        return None

    # --- the proxy -----------------------------------------------------------------------------------------------

    def _serve(self, client: socket.socket) -> None:
        """Serve a connection to its end."""
        with closing(client), suppress(OSError, h11.RemoteProtocolError):  # one of both ends has gone
            parser = h11.Connection(h11.SERVER)
            while (request := _receive_request(client, parser)) is not None:
                if not self._answer(client, parser, request):
                    return
                parser.start_next_cycle()

    def _answer(self, client: socket.socket, parser: h11.Connection, request: _Request) -> bool:
        """Answer a request; return whether another one may follow on the connection."""
        fault = self.fault_of(request.names)
        if fault is not None and not fault.reaches_runtime:
            if fault.kind != "drop":
                _refuse(client, parser, fault)
            return fault.kind != "drop"
        with closing(socket.create_connection(self._runtime)) as runtime:
            runtime.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._listener.add(runtime)
            upstream = h11.Connection(h11.CLIENT)
            _forward_request(runtime, upstream, request)
            return self._pass_back(client, parser, runtime, upstream, fault)

    def _pass_back(
        self,
        client: socket.socket,
        parser: h11.Connection,
        runtime: socket.socket,
        upstream: h11.Connection,
        fault: Fault | None,
    ) -> bool:
        """Pass the answer of the runtime back; return whether all of it was, and another request may follow."""
        kind = fault.kind if fault is not None else ""
        left = fault.after if fault is not None and kind == "cut" else None
        while True:
            event = _next_event(runtime, upstream)
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                self._wait(fault)
                client.sendall(parser.send(event) or b"")
                early, _ = upstream.trailing_data
                Tunnel(self, self._listener, client, runtime, left).pass_on(early)
                return False
            if isinstance(event, h11.Response):
                self._wait(fault)
            if kind == "drop":
                if isinstance(event, h11.EndOfMessage):
                    return False
                continue
            if isinstance(event, h11.Data) and left is not None and len(event.data) >= left:
                client.sendall(parser.send(h11.Data(data=bytes(event.data[:left]))) or b"")
                return False
            if isinstance(event, h11.Data) and left is not None:
                left -= len(event.data)
            if isinstance(event, h11.ConnectionClosed):
                return False
            client.sendall(parser.send(event) or b"")
            if isinstance(event, h11.EndOfMessage):
                return parser.our_state is h11.DONE and left is None

    def _wait(self, fault: Fault | None) -> None:
        if fault is not None and fault.seconds:
            self._listener.over.wait(fault.seconds)


def _receive_request(client: socket.socket, parser: h11.Connection) -> _Request | None:
    head = _next_event(client, parser)
    if not isinstance(head, h11.Request):
        return None
    parts: list[bytes] = []
    while not isinstance(event := _next_event(client, parser), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            return None
        parts.append(bytes(event.data))
    body = b"".join(parts)
    return _Request(head, body, operation_names(head.method.decode(), head.target.decode("latin-1"), body))


def operation_names(method: str, target: str, body: bytes) -> list[str]:
    """Return the names of an operation, in lower case; the last one is that which describes it best."""
    path = target.partition("?")[0].lower()
    last = path.rpartition("/")[2]
    if "/contexts/files/" in path:
        return ["upload" if method == "PUT" else "download"]
    if last not in ("calltool", "mcp"):
        return [last]
    try:
        called = json.loads(body)
        tool = called.get("tool") or called.get("name")
    except (ValueError, AttributeError):  # the runtime refuses it
        tool = ""
    return ["calltool", *([tool.lower()] if isinstance(tool, str) and tool else [])]


def _next_event(sock: socket.socket, parser: h11.Connection) -> h11.Event:
    while (event := parser.next_event()) is h11.NEED_DATA:
        if parser.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            sock.sendall(parser.send(go_on) or b"")
        parser.receive_data(sock.recv(_PIECE))
    assert not isinstance(event, type)  # PAUSED: each request is answered before the next one is read
    return event


def _forward_request(runtime: socket.socket, upstream: h11.Connection, request: _Request) -> None:
    events: list[h11.Event] = [request.head, h11.EndOfMessage()]
    if request.body:
        events.insert(1, h11.Data(data=request.body))
    runtime.sendall(b"".join(upstream.send(event) or b"" for event in events))


def _refuse(client: socket.socket, parser: h11.Connection, fault: Fault) -> None:
    """Answer as a service that has too much to do."""
    status = 429 if fault.kind == "rate limit" else 503
    code, message = ("Throttling", "too many requests") if status == 429 else ("Unavailable", "no capacity is left")
    answer = envelope(request_id="agb-faults", success=False, code=code, message=message, http_status=status)
    body = json.dumps(answer).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if fault.retry_after is not None:
        headers.append(("Retry-After", str(fault.retry_after)))
    events: list[h11.Event] = [h11.Response(status_code=status, headers=headers), h11.Data(data=body)]
    client.sendall(b"".join(parser.send(event) or b"" for event in [*events, h11.EndOfMessage()]))
