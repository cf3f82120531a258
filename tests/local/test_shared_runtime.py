"""The runtime that several processes share: it lives as long as one of them, however the others end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agb import AGB, Config
from agb.local import CannotStart, LocalServer
from agb.testing.shared_runtime import SharedRuntime

OPTIONS = {"allow_none": True, "network": "isolated", "warm": 0}
USER = f"""
import sys, time
from pathlib import Path
from agb.testing.shared_runtime import SharedRuntime

print(SharedRuntime(Path(sys.argv[1]), {OPTIONS!r}).acquire().pid, flush=True)
sys.stdin.read()
"""
SECONDS = 60


@contextmanager
def killed_user(directory: Path) -> Iterator[int]:
    """Run a process that uses the runtime, yield the pid of that, and kill the process."""
    command = [sys.executable, "-c", USER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGKILL)


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended that is no child of this one."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], SECONDS)[0]
    finally:
        os.close(descriptor)


def answers(server: LocalServer) -> bool:
    with AGB(server.api_key, Config(server.endpoint, 30_000)) as agb:
        return agb.list().success


def test_users_that_are_killed(tmp_path: Path) -> None:
    shared = SharedRuntime(tmp_path / "shared", OPTIONS)
    with killed_user(tmp_path / "shared") as first:
        server = shared.acquire()
        assert server.pid == first
    assert answers(server)
    shared.release()
    wait_for_end(first)

    with killed_user(tmp_path / "shared") as second:
        pass
    server = shared.acquire()
    assert server.pid not in (first, second)
    assert answers(server)
    wait_for_end(second)
    shared.release()
    assert not Path("/proc", str(server.pid)).exists()
    assert not list((tmp_path / "shared").glob("runtime*"))


def test_runtime_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="cannot be imported by the runtime"):
        SharedRuntime(tmp_path / "shared", {"planner": lambda request: None})
    shared = SharedRuntime(tmp_path / "shared", {"isolation": "nonsense", "data_dir": tmp_path})
    for _ in range(2):
        with pytest.raises(CannotStart, match="isolation must be one of"):
            shared.acquire()
