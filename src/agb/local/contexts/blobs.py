"""Blobs: the content of stored files on disk, one file for each version, which never changes in its place."""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..._wire.reply import DISK_FULL
from ..errors import Refused

RESERVE = 4 << 20
"""Bytes of the disk that stay free, because removing files needs some."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_ZEROS = bytes(1 << 20)


class Blobs:
    """A directory of blobs: ``blobs/a/b/ab…``, and ``incoming`` for those that are being written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._incoming = directory / "incoming"
        self._blobs = directory / "blobs"
        self._known: set[Path] = set()
        """Directories that exist and are synced to the disk."""
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        self._blobs.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory)

    def path(self, name: str) -> Path:
        """Return where a blob is."""
        return self._blobs / name[0] / name[1] / name

    def new(self) -> IncomingBlob:
        """Return a new blob, still incoming."""
        name = secrets.token_hex(16)
        return IncomingBlob(name, self._incoming / name)

    def keep(self, incoming: IncomingBlob) -> None:
        """Put a blob into its place; when this returns, it survives a crash and a power failure."""
        incoming.sync()
        place = self.path(incoming.name)
        for directory in (place.parent.parent, place.parent):
            if directory not in self._known:
                directory.mkdir(mode=0o700, exist_ok=True)
                sync_directory(directory.parent)
                self._known.add(directory)
        incoming.path.rename(place)
        sync_directory(place.parent)

    def open(self, name: str) -> IO[bytes]:
        """Return a blob's content; it stays readable when the blob is removed meanwhile."""
        return self.path(name).open("rb", buffering=0)

    def remove(self, name: str) -> None:
        """Remove a blob that no row names (any more)."""
        with suppress(OSError):  # then `tidy` removes it when the store is opened again
            self.path(name).unlink()

    def tidy(self, wanted: Container[str]) -> None:
        """Remove the garbage of a killed process: incoming blobs, and all that are not wanted."""
        left = [*self._incoming.iterdir(), *(path for path in self._blobs.glob("?/?/*") if path.name not in wanted)]
        for path in left:
            path.unlink()

    def check_space(self, size: int) -> None:
        """Raise `Refused` unless so many bytes can be written and the reserve is left."""
        disk = os.statvfs(self._directory)
        if disk.f_bavail * disk.f_frsize < size + RESERVE:
            raise disk_full()


class IncomingBlob:
    """A blob that is being written; its file exists from the first byte on."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self._file: IO[bytes] | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes at the end; a long run of zeros becomes a hole, which takes no room on the disk."""
        file = self._opened()
        if 4096 <= len(data) <= len(_ZEROS) and _ZEROS.startswith(data):
            file.seek(len(data), os.SEEK_CUR)
            return
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]

    def sync(self) -> None:
        """Write everything to the disk, and close."""
        file = self._opened()
        file.truncate(file.tell())
        os.fsync(file.fileno())
        file.close()

    def discard(self) -> None:
        """Remove its file."""
        if self._file is not None:
            self._file.close()
            self.path.unlink(missing_ok=True)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = open(self.path, "xb", buffering=0, opener=_private)  # noqa: SIM115 - Path.open has no opener
        return self._file


@contextmanager
def disk_full_as_refusal() -> Iterator[None]:
    """Raise ``Refused`` in place of the errors of a full disk, the system's and SQLite's."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise disk_full() from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        raise disk_full() from error


def disk_full() -> Refused:
    """Return the refusal of a write that the disk has no room for."""
    return Refused(
        DISK_FULL, "The disk of the runtime is full: delete files or contexts, or make room", http_status=507
    )


def sync_directory(directory: Path) -> None:
    """Write the entries of a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
