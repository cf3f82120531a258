"""Processes of the session: their names, which of them belong to it, and ending them."""

from __future__ import annotations

import os
import select
import signal
import time

from .errors import DesktopError

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_INSIDE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LONGEST_NAME = 15
"""Characters that the system keeps of a name."""
_END_SECONDS = 2.0
"""How long a program may take to end by itself before it is killed."""


def name(pid: int) -> str | None:
    """Return the name of a process, None if it has ended."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            short = file.read().rstrip("\n")
    except OSError:
        return None
    if len(short) < _LONGEST_NAME:
        return short
    program = os.path.basename(next(iter(_arguments(pid)), ""))
    return program if program.startswith(short) else short


def described(pid: int) -> dict[str, Any]:
    """Return name, number and command line of a process."""
    return {"pname": name(pid) or "", "pid": pid, "cmdline": " ".join(_arguments(pid))}


def started_by(pid: int) -> list[dict[str, Any]]:
    """Return a process that was started as an application, and those that it has started in turn."""
    found = [other for other in _numbers() if _status(other)[1] == pid]
    return [described(other) for other in sorted(found)]


def stop_by_name(pname: str) -> None:
    """End all applications of a name."""
    pids = [pid for pid in _applications() if name(pid) == pname]
    if not pids:
        raise DesktopError(f"there is no process {pname[:100]!r} in this session")
    _end(pids)


def stop_by_pid(pid: int) -> None:
    """End one application."""
    if pid not in set(_applications()):
        raise DesktopError(f"there is no process {pid} in this session, or it is one of the session itself")
    _end([pid])


def _applications() -> Iterator[int]:
    """Return the processes below the session's agent, without those of the desktop and other parts of the runtime."""
    parents = {pid: _status(pid)[0] for pid in _numbers()}
    agent, own = os.getppid(), os.getpid()
    for pid in parents:
        above = _ancestors(pid, parents)
        if agent in above and own not in above and pid != own and not _is_runtime(pid):
            yield pid


def _ancestors(pid: int, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    while (pid := parents.get(pid, 0)) and pid not in found:
        found.add(pid)
    return found


def _is_runtime(pid: int) -> bool:
    return any(argument.startswith(_INSIDE) for argument in _arguments(pid)[1:5])


def _end(pids: Iterable[int]) -> None:
    handles = {}
    for pid in pids:
        try:
            handles[os.pidfd_open(pid)] = pid
        except ProcessLookupError:
            continue
    try:
        left = set(handles)
        for signum in (signal.SIGTERM, signal.SIGKILL):
            for handle in left:
                try:
                    signal.pidfd_send_signal(handle, signum)
                except ProcessLookupError:
                    continue
            left = _still_running(left)
            if not left:
                return
        raise DesktopError(f"the process {handles[left.pop()]} does not end")
    finally:
        for handle in handles:
            os.close(handle)


def _still_running(handles: Iterable[int]) -> set[int]:
    left = set(handles)
    end = time.monotonic() + _END_SECONDS
    while left and (seconds := end - time.monotonic()) > 0:
        left -= set(select.select(left, [], [], seconds)[0])
    return left


def _numbers() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _status(pid: int) -> tuple[int, int]:
    """Return the parent and the session (a group of processes, in the system's sense) of a process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0, 0
    return int(fields[1]), int(fields[3])


def _arguments(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().split("\0")[:-1]
    except OSError:
        return []
