"""The desktop's main loop: starts the X server and the window manager, then serves the runtime's requests in order.

One at a time: there is one mouse and one keyboard. Only pictures are encoded in a thread, meanwhile the next request is
served.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

from ..messages import SOCKET_FD, MessageSocket
from .errors import DesktopError
from .x_server import StartError, XServer

TYPE_CHECKING = False  # typing is slow to import, and the first call waits for this program
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def main() -> None:
    """Start the desktop, then serve until the runtime closes the connection or the X server ends."""
    config: dict[str, Any] = json.loads(sys.argv[2])
    server = XServer(config)
    server.begin()
    from .operations import operations  # the libraries are loaded while the server starts

    try:
        server.wait()
        server.manage_windows()
    except StartError as error:
        sys.exit(str(error))
    functions = operations(f":{config['display']}", server.manage_windows)
    threading.Thread(target=_end_with, args=(server,), daemon=True).start()
    _Service(functions, MessageSocket(socket.socket(fileno=SOCKET_FD))).serve()
    os._exit(0)


def _end_with(server: XServer) -> None:
    """End this program when the X server has ended, also while there is no request."""
    server.wait_for_end()
    os._exit(1)


class _Service:
    """Serves requests, whose results are sent in the order in which they are ready."""

    def __init__(self, functions: dict[str, Callable[..., Any]], messages: MessageSocket) -> None:
        self._functions = functions
        self._messages = messages
        self._sending = threading.Lock()

    def serve(self) -> None:
        """Serve until the runtime closes the connection."""
        while True:
            try:
                header, _ = self._messages.receive()
            except (EOFError, OSError):
                return
            if "id" in header:
                self._serve_one(header["id"], header["tool"], header["args"])

    def _serve_one(self, number: int, tool: str, args: dict[str, Any]) -> None:
        try:
            result = self._functions[tool](**args)
        except (DesktopError, StartError, OSError) as error:
            self._send(number, f"{tool}: {error}", ok=False)
            return
        except Exception as error:  # a fault of this program must be answered too
            from Xlib.error import ConnectionClosedError

            if isinstance(error, ConnectionClosedError):
                raise  # the X server has ended, and with it the desktop
            self._send(number, f"{tool}: failed with {type(error).__name__}: {error}", ok=False)
            return
        if callable(result):
            threading.Thread(target=self._finish, args=(number, tool, result), daemon=True).start()
        else:
            self._send(number, result)

    def _finish(self, number: int, tool: str, work: Callable[[], Any]) -> None:
        try:
            result = work()
        except Exception as error:
            self._send(number, f"{tool}: failed with {type(error).__name__}: {error}", ok=False)
        else:
            self._send(number, result)

    def _send(self, number: int, result: Any, *, ok: bool = True) -> None:
        if isinstance(result, bytes):
            blob = result
        elif isinstance(result, str):
            blob = result.encode("utf-8", "replace")
        else:
            blob = json.dumps(True if result is None else result).encode()
        with self._sending:
            try:
                self._messages.send({"id": number, "ok": ok}, blob)
            except OSError:
                os._exit(0)  # the runtime has closed the connection
