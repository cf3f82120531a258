"""Starting the local runtime as a child process, and ending it, from any program."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from typing import IO, Any, cast

from attrs import field, frozen

from .errors import CannotStart
from .report import Report

START_TIMEOUT = 30.0
"""Seconds the runtime has to start."""

STOP_TIMEOUT = 45.0
"""Seconds the runtime has to store the data of sessions, release them and end, before it is killed."""


@frozen
class LocalServer:
    """A local runtime that accepts connections."""

    endpoint: str
    """Its address, such as ``http://127.0.0.1:40123``; what ``AGB_ENDPOINT`` is set to."""
    api_key: str = field(repr=False)
    """The key it accepts."""
    pid: int
    """The id of its process."""
    report: Report
    """How it isolates sessions, what network they have, the form of links, and the languages it found."""


class ServerProcess:
    """A local runtime in a process of its own; it ends with this program, also if that is killed.

    Several programs can share one: ``lifeline`` is a named pipe, and the runtime ends when the last program has ended,
    or closed the pipe, that has opened it for writing. This program opens it, and so can any other.
    """

    def __init__(self, options: Mapping[str, Any], lifeline: str | PathLike[str] | None = None) -> None:
        self._options = dict(options)
        self._lifeline = lifeline
        self._stdin: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def start(self) -> LocalServer:
        """Return the server once it listens; raise `CannotStart` with its reason if it does not."""
        with self._lock:
            if self._stopped:
                raise CannotStart("the local runtime was stopped before it had started")
            if self._lifeline is None:
                self._process = process = self._popen("--child", subprocess.PIPE)
                self._stdin = process.stdin
            else:
                # Opened for reading first, and without waiting: a named pipe is opened for writing only if it is read.
                read_end = os.open(self._lifeline, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    self._stdin = open(self._lifeline, "wb", buffering=0)  # noqa: SIM115, PTH123 - closed by `stop`
                    os.set_blocking(read_end, True)
                    self._process = process = self._popen("--shared-child", read_end)
                finally:
                    os.close(read_end)
            try:
                return self._first_answer(process)
            except BaseException:
                self._end(process)
                raise

    @staticmethod
    def _popen(mode: str, stdin: int) -> subprocess.Popen[bytes]:
        # The signals of a terminal are for the program in front: it leaves its `with`, and that ends the runtime.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "agb.local", mode],
            stdin=stdin,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def _first_answer(self, process: subprocess.Popen[bytes]) -> LocalServer:
        """Send the options and read the server's description of itself, one line each."""
        stdin, stdout = cast("IO[bytes]", self._stdin), cast("IO[bytes]", process.stdout)
        with suppress(BrokenPipeError):  # it has ended; the reason is in its output or its exit code
            stdin.write(json.dumps(self._options).encode() + b"\n")
            stdin.flush()
        with stdout:
            line = _read_line(stdout.fileno(), time.monotonic() + START_TIMEOUT)
        if not line.endswith(b"\n"):
            raise CannotStart(_no_answer(process))
        answer = json.loads(line)
        if "error" in answer:
            raise CannotStart(answer["error"])
        return LocalServer(answer["url"], answer["api_key"], process.pid, Report(**answer["report"]))

    def let_go(self) -> None:
        """Close this program's end of the lifeline; the runtime ends, unless another program holds one."""
        if self._stdin is not None:
            self._stdin.close()

    def stop(self) -> None:
        """Return when the server has released its sessions and its process is gone; may be called more than once."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._end(self._process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self.let_go()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read_line(descriptor: int, until: float) -> bytes:
    """Return the bytes up to the end of the line or of the stream, or those that arrived in time."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        if not ready or not (some := os.read(descriptor, 65_536)):
            break
        line += some
    return line


def _no_answer(process: subprocess.Popen[bytes]) -> str:
    if process.poll() is None:
        return f"the local runtime did not get ready within {START_TIMEOUT:.0f} seconds"
    return (
        f"the local runtime ended with exit code {process.returncode} before it was ready; see what it wrote to stderr"
    )
