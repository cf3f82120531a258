"""The WebSocket through the proxy of faults, where a client answers at once."""

from __future__ import annotations

import socket
import threading
from typing import Any

from agb.testing.faults import Faults
from agb.testing.listening import Listener
from agb.testing.tunnel import Tunnel

MESSAGE = b"\x81\x82mask" + bytes(2)
"""A frame of a client, with two bytes of text."""
LIMIT = 60


class AnsweredAtOnce:
    """A socket to a client that sends its next message before ``sendall`` returns."""

    def __init__(self, ours: socket.socket, client: socket.socket, runtime: socket.socket) -> None:
        self._ours = ours
        self._client = client
        self._runtime = runtime
        self._is_first = True

    def sendall(self, data: bytes) -> None:
        self._ours.sendall(data)
        if self._is_first:
            self._is_first = False
            self._client.sendall(MESSAGE)
            assert self._runtime.recv(100) == MESSAGE  # so its fault has begun

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ours, name)


def test_bytes_of_the_answer_before_do_not_count() -> None:
    ours, client = socket.socketpair()
    up, runtime = socket.socketpair()
    with ours, client, up, runtime, Faults.before("http://127.0.0.1:9") as faults:
        client.settimeout(LIMIT)
        runtime.settimeout(LIMIT)
        listener = Listener(lambda _: None)
        fault = faults.cut("stream", after=40)
        sock: Any = AnsweredAtOnce(ours, client, runtime)
        thread = threading.Thread(target=Tunnel(faults, listener, sock, up, None).pass_on, args=(b"o" * 60,))
        thread.start()
        assert client.recv(60, socket.MSG_WAITALL) == b"o" * 60
        runtime.sendall(b"n" * 100)
        assert client.recv(100, socket.MSG_WAITALL) == b"n" * 40
        thread.join(LIMIT)
        assert not thread.is_alive()
        listener.close()
        assert fault.met == 1
