# Generated from src/agb/_async/batch/lease.py by tools/unasync.py. Do not edit.
"""The lease of a distributed batch: workers on the driver's machine notice when the driver no longer waits."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

from .._compat.loop import sleep
from .file_lock import try_lock

INTERVAL = 0.25
"""Seconds between two checks of a lease."""


class LeaseEnded(Exception):
    """The driver does not wait for the chunk any more."""


class DriverLease:
    """The driver's half: a file that is locked as long as the driver waits for the batch.

    The driver deletes the file at its end; if it is killed, the operating system ends the lock. For each chunk there is
    a second file, which its worker creates when it starts (`WorkerLease.claim`) and the driver deletes when it
    does not wait for that chunk any more. So a worker knows that its chunk is wanted as long as the first file is
    locked and the second is there.
    """

    def __init__(self) -> None:
        self.path = ""
        self.host = ""
        self._file = -1

    def open(self) -> None:
        """Create the file and lock it."""
        self._file, self.path = tempfile.mkstemp(prefix="agb-map-")
        self.host = host_id(self.path)
        try_lock(self._file)

    def release_chunk(self, number: int) -> None:
        """End the lease of one chunk."""
        Path(f"{self.path}.{number}").unlink(missing_ok=True)

    def close(self) -> None:
        """End the lease of all chunks."""
        if self._file >= 0:
            Path(self.path).unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1


class WorkerLease:
    """The worker's half. On another machine, or in another container, nothing is known, and no lease ends."""

    def __init__(self, path: str, host: str, number: int) -> None:
        self._path = path
        self._chunk_path = f"{path}.{number}"
        self._is_claimed = False
        self._is_local = host == host_id(path)

    def claim(self) -> bool | None:
        """Record that the chunk starts; return whether another worker started it before, None if that is unknown."""
        if not self._is_local:
            return None
        self._is_claimed = True
        try:
            os.close(os.open(self._chunk_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return True
        return False

    def has_ended(self) -> bool:
        """Return whether it is known that the driver does not wait any more."""
        if not self._is_local:
            return False
        if self._is_claimed and not Path(self._chunk_path).exists():
            return True
        try:
            file = os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            return try_lock(file)
        finally:
            os.close(file)

    def until_ended(self) -> None:
        """Raise `LeaseEnded` when the driver does not wait any more."""
        while not self.has_ended():
            sleep(INTERVAL)
        raise LeaseEnded


def host_id(path: str) -> str:
    """Return a text that is the same where a file's directory is the same directory of the same running machine."""
    try:
        directory = os.stat(os.path.dirname(path))  # noqa: PTH116, PTH120 - fails for "", which `Path` takes for "."
        boot_id = Path("/proc/sys/kernel/random/boot_id")
        boot = boot_id.read_text().strip() if boot_id.exists() else ""
    except OSError:
        return ""
    return f"{platform.node()} {boot} {directory.st_dev}.{directory.st_ino}"
