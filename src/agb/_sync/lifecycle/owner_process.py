# Generated from src/agb/_async/lifecycle/owner_process.py by tools/unasync.py. Do not edit.
"""Owner processes: which process created a session, and whether it still runs, as far as this machine can know.

psutil is not used for this: it is not among the required packages, its start times follow changes of the clock, and it
does not distinguish process namespaces.
"""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from hashlib import blake2s
from pathlib import Path


class BlockProcess:
    """The process that has entered a ``with`` block.

    A forked child has copies of all objects, but neither the threads nor the sessions behind them: those belong to its
    parent, which goes on with them. So it leaves the blocks of its parent without doing anything.
    """

    __slots__ = ("_pid",)

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_current(self) -> bool:
        """Whether this is that process, and not a forked child of it."""
        return os.getpid() == self._pid

    def check(self, what: str) -> None:
        """Raise `RuntimeError` in a forked child."""
        if not self.is_current:
            raise RuntimeError(f"{what} belongs to the process that has entered it, and this is a forked child of that")


def this_process() -> str:
    """Return a unique name for this process that `is_alive` understands: host, id and start."""
    return _named(os.getpid())


@lru_cache(maxsize=1)
def _named(pid: int) -> str:
    return f"{_host()}/{pid}/{_start(pid) or '-'}"


def is_alive(name: str) -> bool | None:
    """Return whether the process runs that `this_process` has named so, None if that cannot be known here.

    It cannot be known for a process of another machine or container, or where the system does not report when a
    process was started: without the start, an id that was given to a new process would count as alive.
    """
    host, _, rest = name.partition("/")
    pid, _, start = rest.partition("/")
    if host != _host() or not pid.isdecimal() or not _reports_starts():
        return None
    return _start(int(pid)) == start


def _host() -> str:
    return "".join(c if c.isalnum() or c in "-." else "-" for c in platform.node())[:40] or "-"


def _reports_starts() -> bool:
    return bool(_start(os.getpid()))


def _start(pid: int) -> str:
    """Return when a process was started, counted by this boot and process namespace; ``""`` if it does not run."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        namespace = str(Path("/proc/self/ns/pid").readlink()).encode()
    except OSError:
        return ""
    if len(after_name) < 20 or after_name[0] == "Z":  # it has ended
        return ""
    return f"{int(after_name[19]):x}-{blake2s(boot + namespace, digest_size=4).hexdigest()}"
