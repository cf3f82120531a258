"""The journal of a batch: a file that is held by one run at a time, and written to the disk line by line."""

from __future__ import annotations

import os
import secrets
import stat
import threading
from functools import partial
from pathlib import Path
from typing import Any

from ..._ops import journal as ops
from ...exceptions import JournalError
from .._compat.loop import in_thread
from .._compat.primitives import Lock


class AsyncJournal:
    """The journal of a batch that runs.

    A line is on the disk (``fsync``) when `write` returns; lines that come at the same time go there together. The file
    is locked until it is closed, or its process ends.
    """

    def __init__(self, path: Path, file: int, contents: ops.Contents, header: ops.Header) -> None:
        self.path = path
        self.contents = contents
        self.header = header
        self._file = file
        self._size = contents.size
        self._turn = Lock()
        self._waiting: list[bytes] = []
        self._count = self._written = 0
        self._problem: JournalError | None = None
        self._lock = threading.Lock()  # never held across a wait; the file's own may be, in a thread
        self._at_file = threading.Lock()

    @classmethod
    async def open(cls, path: Path, name: str, params: str, is_keyed: bool) -> AsyncJournal:
        """Open or make a journal.

        Raises:
            JournalError: it is of another batch, in use, damaged, or cannot be read or written.
        """
        return await in_thread(partial(cls._open, path, ops.Header(name, params, is_keyed, secrets.token_hex(8))))

    @classmethod
    def _open(cls, path: Path, header: ops.Header) -> AsyncJournal:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            raise JournalError(f"Could not open the journal {str(path)!r}: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise JournalError(f"The journal {str(path)!r} is no file")
            if not locked(file):
                raise JournalError(
                    f"The journal {str(path)!r} is in use: another run holds it, and two would do the same items twice"
                )
            with os.fdopen(os.dup(file), "rb") as lines:
                contents = ops.read(lines)
            if contents.header is None:
                os.ftruncate(file, 0)
                contents.size = _append(file, 0, header.line())
                _sync_directory(path.parent)
            else:
                if why := header.differs(contents.header):
                    raise JournalError(f"The journal {str(path)!r} belongs to something else: {why}")
                os.ftruncate(file, contents.size)
            return cls(path, file, contents, contents.header or header)
        except BaseException as error:
            os.close(file)
            if isinstance(error, OSError):
                raise JournalError(f"Could not use the journal {str(path)!r}: {error.strerror}") from error
            if isinstance(error, ValueError):
                raise JournalError(f"Could not read the journal {str(path)!r}: {error}") from error
            raise

    def ending(self, key: str) -> ops.Ending | None:
        """Return how an item ended in an earlier run, None if it did not.

        Raises:
            JournalError: its value cannot be read.
        """
        place = self.contents.done.get(key)
        if place is None:
            return None
        try:
            with self._at_file:
                os.lseek(self._file, place[0], os.SEEK_SET)
                line = b""
                while len(line) < place[1]:
                    piece = os.read(self._file, place[1] - len(line))
                    if not piece:
                        raise ValueError("it has become shorter")
                    line += piece
            return ops.read_ending(line)
        except OSError as error:
            raise JournalError(f"Could not read the journal {str(self.path)!r}: {error.strerror}") from error
        except ValueError as error:
            raise JournalError(f"Could not read the journal {str(self.path)!r}: {error}") from error

    async def write(self, line: bytes) -> None:
        """Write a line; it is on the disk when this returns.

        Raises:
            JournalError: the line could not be written, or an earlier one could not; the file holds whole lines only.
        """
        with self._lock:
            self._waiting.append(line)
            self._count += 1
            number = self._count
        async with self._turn.within(threading.TIMEOUT_MAX):
            if self._problem is None and self._written < number:
                await in_thread(self._flush)
        if self._problem is not None and self._written < number:
            raise self._problem

    def _flush(self) -> None:
        with self._at_file:
            with self._lock:
                lines, self._waiting = self._waiting, []
                count = self._count
            if self._problem is not None or not lines:
                return
            try:
                self._size += _append(self._file, self._size, b"".join(lines))
                self._written = count
            except OSError as error:
                why = f"Could not write the journal {str(self.path)!r}: {error.strerror}"
                self._problem = JournalError(f"{why}. What it holds is whole: make room and start again")
                self._problem.__cause__ = error

    async def aclose(self) -> None:
        """Close the file, which ends the lock."""
        await in_thread(self._close)

    def _close(self) -> None:
        self._flush()
        with self._at_file:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
                if self._problem is None:
                    self._problem = JournalError(f"The journal {str(self.path)!r} is closed")


def _append(file: int, size: int, data: bytes) -> int:
    """Write at the end and wait until it is on the disk; if that fails, the file is as before."""
    try:
        os.lseek(file, size, os.SEEK_SET)
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)
        raise
    return len(data)


def locked(file: int) -> bool:
    """Lock a file for this process, if no other has."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        windows: Any = msvcrt
        try:
            windows.locking(file, windows.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync_directory(path: Path) -> None:
    """Write a new name in a directory to the disk."""
    if os.name != "nt":
        directory = os.open(path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
