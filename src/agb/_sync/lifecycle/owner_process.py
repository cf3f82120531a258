# Generated from src/agb/_async/lifecycle/owner_process.py by tools/unasync.py. Do not edit.
"""Makers: which process made a session, and whether it still runs, as far as this machine can tell."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from hashlib import blake2s
from pathlib import Path


def this_process() -> str:
    """Return a name for this process that no other has, and that `is_alive` understands: host, id and start."""
    return _named(os.getpid())


@lru_cache(maxsize=1)
def _named(pid: int) -> str:
    return f"{_host()}/{pid}/{_start(pid) or '-'}"


def is_alive(maker: str) -> bool | None:
    """Return whether a process runs that `this_process` has named, None if it cannot be told here.

    It cannot for one of another machine or container, and on systems that do not tell when a process was started.
    """
    host, _, rest = maker.partition("/")
    pid, _, start = rest.partition("/")
    if host != _host() or not pid.isdecimal() or not _tells_starts():
        return None
    return _start(int(pid)) == start


def _host() -> str:
    return "".join(c if c.isalnum() or c in "-." else "-" for c in platform.node())[:40] or "-"


def _tells_starts() -> bool:
    return bool(_start(os.getpid()))


def _start(pid: int) -> str:
    """Return when a process was started, in this machine's and container's own count; ``""`` if that is not told."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        namespace = str(Path("/proc/self/ns/pid").readlink()).encode()
    except OSError:
        return ""
    if after_name[0] == "Z":  # it has ended, and nobody has asked how
        return ""
    return f"{int(after_name[19]):x}-{blake2s(boot + namespace, digest_size=4).hexdigest()}"
