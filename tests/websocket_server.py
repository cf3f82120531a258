"""A scripted WebSocket service on a real socket, for valid and invalid behaviour of a service."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from attrs import define, field
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from agb._wire.stream import frame_text, read_frame
from tests.servers import STOP_SECONDS


@define(eq=False)
class Talk:
    """One stream, as the service sees it."""

    service: WebSocketService
    socket: ServerConnection
    id: str
    params: dict[str, Any]
    cancelled: threading.Event = field(factory=threading.Event)

    def data(self, **data: Any) -> None:
        self.socket.send(frame_text(self.id, data, source="wuying_codespace", target="SDK"))

    def event(self, kind: str, **payload: Any) -> None:
        self.data(method="run_code", mode="stream", phase="event", eventType=kind, **payload)

    def stdout(self, chunk: str) -> None:
        self.event("stdout", chunk=chunk)

    def end(self, **more: Any) -> None:
        given = {"status": "finished", "executionCount": 1, "executionTime": 0.5, **more}
        self.data(method="run_code", mode="stream", phase="end", **given)


Script = Callable[[Talk], None]
"""The behaviour of the service for one execution; it runs in its own thread."""


@define(eq=False)
class WebSocketService:
    """The service, the messages it received, and its connections."""

    script: Script
    url: str = ""
    received: list[dict[str, Any]] = field(factory=list)
    tokens: list[str | None] = field(factory=list)
    refuse: int = 0
    """The HTTP status that refuses handshakes; 0 accepts them."""
    knows_cancel: bool = True
    sockets: list[ServerConnection] = field(factory=list)
    talks: dict[str, Talk] = field(factory=dict)
    closed: threading.Event = field(factory=threading.Event)
    """Set when a connection has ended."""
    over: threading.Event = field(factory=threading.Event)
    """Set when the service ends."""
    threads: list[threading.Thread] = field(factory=list)
    failures: list[BaseException] = field(factory=list)

    @property
    def methods(self) -> list[str]:
        return [frame["data"]["method"] for frame in self.received]

    def handshake(self, socket: ServerConnection, request: Request) -> Response | None:
        self.threads.append(threading.current_thread())  # it ends when it has closed this connection
        self.tokens.append(request.headers.get("X-Access-Token"))
        return socket.respond(self.refuse, "no") if self.refuse else None

    def serve_one(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        with suppress(ConnectionClosed):
            for message in socket:
                self.take(socket, message)
        for talk in self.talks.values():
            if talk.socket is socket:
                talk.cancelled.set()
        self.closed.set()

    def take(self, socket: ServerConnection, message: str | bytes) -> None:
        frame = read_frame(message)
        self.received.append(json.loads(message))
        if frame.data["method"] == "cancel":
            if self.knows_cancel:
                self.talks[frame.invocation_id].cancelled.set()
            return
        talk = self.talks[frame.invocation_id] = Talk(self, socket, frame.invocation_id, frame.data["params"])
        thread = threading.Thread(target=self.run, args=(talk,))
        self.threads.append(thread)
        thread.start()

    def run(self, talk: Talk) -> None:
        try:
            self.script(talk)
        except ConnectionClosed:
            pass  # the client has closed the connection
        except BaseException as error:  # shown when the service ends
            self.failures.append(error)


@contextmanager
def websocket_service(script: Script) -> Iterator[WebSocketService]:
    """Run the service on a free port for the time of a block."""
    service = WebSocketService(script)
    server = serve(
        service.serve_one,
        "127.0.0.1",
        0,
        process_request=service.handshake,
        compression=None,
        max_size=None,
        ping_interval=None,
        close_timeout=0.1,  # an idle client does not read, so it does not answer a close frame
    )
    port = server.socket.getsockname()[1]
    service.url = f"ws://127.0.0.1:{port}/ws?token=in-the-url"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield service
    finally:
        service.over.set()
        for talk in service.talks.values():
            talk.cancelled.set()
        for socket in service.sockets:
            socket.close()
        server.shutdown()
        for one in [thread, *service.threads]:
            one.join(STOP_SECONDS)
            assert not one.is_alive()
    assert not service.failures, service.failures


def until_cancelled(talk: Talk) -> None:
    """Send one line of output, and end only when cancelled."""
    talk.stdout("running\n")
    talk.cancelled.wait()
    talk.end(status="failed", executionError="Execution cancelled")
