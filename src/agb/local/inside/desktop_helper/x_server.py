"""Starting the X server and the window manager; both end with this program."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import shlex
import signal
import socket
import struct
import subprocess

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any

_PR_SET_PDEATHSIG = 1
_START_SECONDS = 15.0
_FAMILY_LOCAL = 256
_X_SOCKETS = "/tmp/.X11-unix"
_WINDOW_MANAGER_SETTINGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "openbox.xml")


class StartError(Exception):
    """The X server did not start; the message is its own last line."""


class XServer:
    """Xvnc: the display and the VNC server in one process, reached by Unix sockets only."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._log = os.path.join(os.path.dirname(config["authority"]), "x-server.log")
        self._ready = -1
        self._server: subprocess.Popen[bytes] | None = None
        self._window_manager: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it; `wait` returns when it takes connections."""
        config = self._config
        self._write_authority()
        with contextlib.suppress(FileExistsError):
            # The server itself makes this directory only as root.
            os.mkdir(_X_SOCKETS)
            os.chmod(_X_SOCKETS, 0o1777)  # noqa: S103 - like /tmp itself
        with contextlib.suppress(FileNotFoundError):
            os.unlink(config["vnc"])  # of an earlier server that was killed
        self._ready, ready = os.pipe()
        with open(self._log, "wb") as log:
            self._server = self._start(
                [
                    config["programs"]["Xvnc"],
                    f":{config['display']}",
                    *("-displayfd", str(ready)),
                    *("-geometry", f"{config['width']}x{config['height']}", "-depth", "24", "-dpi", "96"),
                    *("-auth", config["authority"]),
                    *("-nolisten", "tcp", "-nolisten", "local"),
                    *("-rfbport", "-1", "-rfbunixpath", config["vnc"], "-rfbunixmode", "0600"),
                    *("-SecurityTypes", "None", "-AlwaysShared", "-AcceptSetDesktopSize=0"),
                    *("-desktop", "Session", "-noreset", "-s", "0", "-Log", "*:stderr:0"),
                ],
                output=log.fileno(),
                inherited=(ready,),
            )
        os.close(ready)

    def wait(self) -> None:
        """Return when it takes connections. Raises `StartError`."""
        with open(self._ready, "rb") as ready:
            if ready.read().strip():
                return
        with open(self._log, encoding="utf-8", errors="replace") as log:
            lines = [line.strip() for line in log if line.strip()]
        raise StartError(lines[-1] if lines else "it wrote no reason")

    def wait_for_end(self) -> None:
        """Return when it has ended."""
        if self._server is not None:
            self._server.wait()

    def manage_windows(self) -> None:
        """Start the window manager unless it runs, and return when it manages windows. Raises `StartError`.

        It announces itself on the screen before it listens to what windows ask for, and loses the requests of windows
        made in between; xterm then waits 5 s for an answer. The command that it runs at the end of its start says when
        it listens.
        """
        if self._window_manager is not None and self._window_manager.poll() is None:
            return
        started = os.path.join(os.path.dirname(self._config["authority"]), "window-manager")
        with contextlib.suppress(FileExistsError):
            os.mkfifo(started, 0o600)
        command = [self._config["programs"]["openbox"], "--sm-disable", "--config-file", _WINDOW_MANAGER_SETTINGS]
        reader = os.open(started, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self._window_manager = self._start(
                [*command, "--startup", f"sh -c 'echo > {shlex.quote(started)}'"], output=subprocess.DEVNULL
            )
            if not select.select([reader], [], [], _START_SECONDS)[0]:
                raise StartError("the window manager did not start")
        finally:
            os.close(reader)

    def _start(self, command: list[str], *, output: int, inherited: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        libc = ctypes.CDLL(None)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=inherited,
            # Safe although this program may have other threads: the function takes no lock that one of them may hold.
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0),
        )

    def _write_authority(self) -> None:
        """Write the file with the secret that clients have to send, as the program xauth does."""
        fields = (
            socket.gethostname().encode(),
            str(self._config["display"]).encode(),
            b"MIT-MAGIC-COOKIE-1",
            secrets.token_bytes(16),
        )
        entry = struct.pack(">H", _FAMILY_LOCAL) + b"".join(struct.pack(">H", len(field)) + field for field in fields)
        path = self._config["authority"]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(entry)
