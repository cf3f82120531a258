"""Metrics: the resources a session uses, as the machine sees its processes, directories and network."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
from attrs import frozen


@frozen
class ProcessInfo:
    """One process of a session; ``pid`` is its number inside, ``cpu_seconds`` include those of its ended children."""

    pid: int
    name: str
    cmdline: str
    cpu_seconds: float
    memory_bytes: int


@frozen
class Sample:
    """The resources a session has used up to a point in time; seconds and bytes."""

    at: float
    cpu: float
    received: int
    sent: int


class Meter:
    """Measures one session; keeps the last sample, since rates need two."""

    def __init__(self, root: int, directories: Iterable[Path]) -> None:
        self._root = root
        self._directories = tuple(directories)
        self._last = Sample(time.monotonic(), 0.0, *_network(root))

    def measure(self) -> dict[str, object]:
        """Return the values of the tool ``get_metrics``: bytes, KB and percent of the whole machine.

        It reads many files, so it is not for an event loop.
        """
        tree = list(_tree(self._root))
        now = Sample(time.monotonic(), sum(map(_cpu, tree)), *_network(self._root))
        last, self._last = self._last, now
        # Two calls at the same time leave no interval; then the rate of the shortest one.
        seconds = max(now.at - last.at, 0.001)
        cores = os.cpu_count() or 1
        disk = shutil.disk_usage(self._directories[0])
        return {
            "cpu_count": cores,
            "cpu_used_pct": round(min(100.0, max(0.0, 100 * (now.cpu - last.cpu) / seconds / cores)), 2),
            "mem_total": psutil.virtual_memory().total,
            "mem_used": sum(map(_share_of_memory, tree)),
            "disk_total": disk.total,
            "disk_used": sum(map(disk_used, self._directories)),
            "rx_rate_kbyte_per_s": round(max(0, now.received - last.received) / 1024 / seconds, 2),
            "tx_rate_kbyte_per_s": round(max(0, now.sent - last.sent) / 1024 / seconds, 2),
            "rx_used_kbyte": round(now.received / 1024, 2),
            "tx_used_kbyte": round(now.sent / 1024, 2),
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }


def processes(root: int) -> list[ProcessInfo]:
    """Return the processes below the agent ``root``, by number. It reads many files, so it is not for an event loop."""
    found = []
    for process in _tree(root):
        if process.pid == root:
            continue
        with contextlib.suppress(psutil.Error, OSError):
            with process.oneshot():
                cmdline = " ".join(process.cmdline())
                info = ProcessInfo(_pid_inside(process.pid), process.name(), cmdline, _cpu(process), _memory(process))
            found.append(info)
    return sorted(found, key=lambda info: info.pid)


def _tree(root: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        agent = psutil.Process(root)
        yield agent
        yield from agent.children(recursive=True)


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _memory(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _share_of_memory(process: psutil.Process) -> int:
    """Return the memory of a process, with its share of what several processes use, so that shares can be added up.

    The processes of a browser share most of what each of them has. Where the runtime may not read it, all counts.
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _memory(process)


def _pid_inside(pid: int) -> int:
    """Return the number a process has in its own namespace."""
    for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return pid


def _network(root: int) -> tuple[int, int]:
    """Return the bytes received and sent in the network namespace of a process, without loopback."""
    received = sent = 0
    try:
        lines = Path(f"/proc/{root}/net/dev").read_text().splitlines()[2:]
    except OSError:
        return 0, 0
    for line in lines:
        name, _, counters = line.partition(":")
        if name.strip() != "lo":
            fields = counters.split()
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent


def disk_used(directory: Path) -> int:
    """Return the bytes a directory takes on disk; links are not followed."""
    total = 0
    waiting = [os.path.realpath(directory)]
    while waiting:
        # The session writes and removes files meanwhile, and may nest them deeper than the longest path.
        with contextlib.suppress(OSError), _opened(path := waiting.pop()) as opened, os.scandir(opened) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{path}/{entry.name}")
    return total


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    """Open a directory that has no link on its path; raises ``OSError``.

    The session may put a link in the place of a directory at any moment, also above it. So the path of what was opened
    is compared with the one that was meant.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()) != path:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        yield descriptor
    finally:
        os.close(descriptor)
