"""A listening socket whose connections are served by threads, which all have ended when it is closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

STOP_SECONDS = 60
"""A thread that has not ended so long after its socket was shut down hangs."""


class Listener:
    """Accepts connections on a free port of the loopback, and serves each in a thread.

    Attributes:
        port: the port.
        over: set when the listener is closed; a server that waits for something else waits for this too.
    """

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self.over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:  # it was closed
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.run(self._serve, sock)

    def run(self, function: Callable[..., None], *sockets: socket.socket) -> threading.Thread:
        """Run a function in a thread; its sockets are shut down, which ends it, when the listener is closed."""
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._sockets = [sock for sock in self._sockets if sock.fileno() >= 0]
            self._sockets += sockets
            if self.over.is_set():
                _shut_down(sockets)
            thread = threading.Thread(target=function, args=sockets, daemon=True)
            self._threads.append(thread)
            thread.start()
            return thread

    def add(self, sock: socket.socket) -> None:
        """Shut down this socket too when the listener is closed."""
        with self._lock:
            self._sockets.append(sock)
            if self.over.is_set():
                _shut_down([sock])

    def close(self) -> None:
        """Close the socket and all connections, and wait for the threads."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._acceptor.join(STOP_SECONDS)
        with self._lock:
            self.over.set()
            _shut_down(self._sockets)
            threads = [self._acceptor, *self._threads]
        for thread in threads:
            thread.join(STOP_SECONDS)
            if thread.is_alive():
                raise RuntimeError(f"a thread that serves a connection did not end within {STOP_SECONDS} s")


def _shut_down(sockets: list[socket.socket] | tuple[socket.socket, ...]) -> None:
    for sock in sockets:
        with suppress(OSError):  # closed already
            sock.shutdown(socket.SHUT_RDWR)
