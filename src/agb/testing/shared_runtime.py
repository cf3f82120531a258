"""One local runtime for all processes of a test run.

The first process that needs the runtime starts it; the others use it too. Nothing counts the users: each of them holds
two things that the kernel takes back when a process ends, however it ends.

- The writing end of a named pipe, which is the runtime's standard input: the runtime ends when the last one is closed.
- A shared lock on the file ``users``: a process that can lock it exclusively knows that no other one uses the runtime.

Both are taken and given back under the lock of the file ``mutex``. So a process never begins to use a runtime that has
begun to end: the last user removes the description of the runtime before it closes the pipe.

A runtime is the child of the process that started it, which must wait for its end (`SharedRuntime.wait`): otherwise a
zombie would be left. It waits at the end of its test run, not in the teardown of a test, which may have a time limit.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import asdict

from ..local import planner_options
from ..local.child import LocalServer, ServerProcess
from ..local.errors import CannotStart
from ..local.report import Report


class SharedRuntime:
    """The use of a shared runtime by this process.

    Args:
        directory: a directory that the processes of the run have in common, and no other user can read.
        options: of the runtime, those of `agb.local.serve`; processes with other options share another runtime.
    """

    def __init__(self, directory: Path, options: Mapping[str, Any]) -> None:
        self._options = {**options, **planner_options(options.get("planner"))}
        if self._options.get("data_dir") is not None:
            self._options["data_dir"] = str(self._options["data_dir"])
        self._directory = directory
        self._users: int | None = None
        self._lifeline: int | None = None
        self._started: ServerProcess | None = None

    def acquire(self) -> LocalServer:
        """Return the runtime, which is started if no process uses it.

        Raises:
            CannotStart: it cannot start here.
        """
        if sys.platform != "linux":
            raise CannotStart(
                f"the local runtime needs Linux, and this is {sys.platform}: run the tests in a Linux container, "
                "with --agb-endpoint, or from cassettes"
            )
        self._directory.mkdir(mode=0o700, exist_ok=True)
        with self._mutex():
            self._users = os.open(self._directory / "users", os.O_RDWR | os.O_CREAT, 0o600)
            if self._is_unused():
                (self._directory / "runtime.json").unlink(missing_ok=True)
            try:
                server = self._running() or self._start()
            except BaseException:
                os.close(self._users)
                self._users = None
                raise
            _lock(self._users, is_shared=True)
            return server

    def release(self) -> None:
        """Stop using the runtime; it ends if no other process uses it, and then its end is awaited."""
        assert self._users is not None  # it was acquired
        with self._mutex():
            is_last = self._is_unused()
            if is_last:
                (self._directory / "runtime.json").unlink(missing_ok=True)
            os.close(self._users)
            if self._lifeline is not None:
                os.close(self._lifeline)
            self._users = self._lifeline = None
            if self._started is not None:
                self._started.let_go()
        if is_last:
            self.wait()

    def wait(self) -> None:
        """Wait until no process uses the runtime and it has ended, if this process has started it."""
        if self._started is None:
            return
        users = os.open(self._directory / "users", os.O_RDWR)
        try:
            _lock(users, is_shared=False, waits=True)
        finally:
            os.close(users)
        self._started.stop()
        self._started = None

    def _start(self) -> LocalServer:
        lifeline = self._directory / f"lifeline-{os.getpid()}"
        lifeline.unlink(missing_ok=True)
        os.mkfifo(lifeline, 0o600)
        self._started = ServerProcess(self._options, lifeline)
        server = self._started.start()
        described = {"server": {**asdict(server), "report": asdict(server.report)}, "lifeline": lifeline.name}
        path = self._directory / "runtime.json"
        path.touch(0o600)
        path.write_text(json.dumps(described), "utf-8")
        return server

    def _running(self) -> LocalServer | None:
        """Return the runtime that other processes use, and hold it; None if there is none, or it has ended."""
        try:
            described = json.loads((self._directory / "runtime.json").read_text("utf-8"))
            # Without waiting: nothing reads the pipe if the runtime has ended by itself.
            self._lifeline = os.open(self._directory / described["lifeline"], os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None
        server = described["server"]
        return LocalServer(**{**server, "report": Report(**server["report"])})

    def _is_unused(self) -> bool:
        assert self._users is not None
        try:
            _lock(self._users, is_shared=False)
        except BlockingIOError:
            return False
        return True

    @contextmanager
    def _mutex(self) -> Iterator[None]:
        """Hold the lock of all processes, which another one holds for as long as it starts a runtime."""
        descriptor = os.open(self._directory / "mutex", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor, is_shared=False, waits=True)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, *, is_shared: bool, waits: bool = False) -> None:
    import fcntl

    fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | (0 if waits else fcntl.LOCK_NB))
