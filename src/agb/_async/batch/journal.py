"""The journal of a batch: a file that one run at a time has locked, and that is written to the disk line by line."""

from __future__ import annotations

import os
import secrets
import stat
import threading
from functools import partial
from pathlib import Path

from ..._ops import journal as ops
from ...exceptions import JournalError
from .._compat.cancellation import run_to_completion
from .._compat.loop import in_thread
from .._compat.primitives import Lock
from .file_lock import try_lock


class AsyncJournal:
    """The journal of a batch that runs; the file is locked until it is closed, or its process ends.

    **Group commit.** A line is on the disk (``fsync``) when `write` returns. Lines are numbered as they are put in the
    buffer. The writer that holds the flush lock writes the whole buffer with one ``fsync``; the writers that wait for
    the lock meanwhile find their numbers written when they get it, and return at once.

    **Errors.** The file always ends with a complete line: a write that fails is undone by truncating the file to its
    size before. After the first error nothing is written any more, so each `write` whose line is not on the disk
    raises, and the file says nothing about items after one that is missing.
    """

    def __init__(self, path: Path, file: int, contents: ops.Contents, header: ops.Header) -> None:
        self.path = path
        self.contents = contents
        self.header = header
        self._file = file
        self._size = contents.size
        self._flush_lock = Lock()
        self._buffer: list[bytes] = []
        self._count = self._written = 0  # lines that were put in the buffer, and of these on the disk
        self._problem: JournalError | None = None
        self._lock = threading.Lock()  # around the buffer, never held across a wait
        self._file_lock = threading.Lock()  # held while the file is read or written, in a thread

    @classmethod
    async def open(cls, path: Path, name: str, params: str, is_keyed: bool) -> AsyncJournal:
        """Open or make a journal.

        A thread opens the file, and it cannot be cancelled. So a cancellation waits for it and closes the file again;
        otherwise the lock would stay as long as the process, and the next run would find the journal in use.

        Raises:
            JournalError: it is of another batch, in use, damaged, or cannot be read or written.
        """
        header = ops.Header(name, params, is_keyed, secrets.token_hex(8))
        return await run_to_completion(
            partial(in_thread, partial(cls._open, path, header)), lambda journal: journal.aclose()
        )

    @classmethod
    def _open(cls, path: Path, header: ops.Header) -> AsyncJournal:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            raise JournalError(f"Could not open the journal {str(path)!r}: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise JournalError(f"The journal {str(path)!r} is no file")
            if not try_lock(file):
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
                _check_resumes(path, header, contents.header)
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
        """Return how an item ended in an earlier run, None if it did not end.

        Raises:
            JournalError: its value cannot be read.
        """
        location = self.contents.done.get(key)
        if location is None:
            return None
        try:
            with self._file_lock:
                position, length = location
                os.lseek(self._file, position, os.SEEK_SET)
                line = b""
                while len(line) < length:
                    piece = os.read(self._file, length - len(line))
                    if not piece:
                        raise ValueError("it was truncated meanwhile")
                    line += piece
            return ops.read_ending(line)
        except OSError as error:
            raise JournalError(f"Could not read the journal {str(self.path)!r}: {error.strerror}") from error
        except ValueError as error:
            raise JournalError(f"Could not read the journal {str(self.path)!r}: {error}") from error

    async def write(self, line: bytes) -> None:
        """Write a line; it is on the disk when this returns.

        Raises:
            JournalError: the line could not be written, or an earlier one could not; the file has complete lines only.
        """
        with self._lock:
            self._buffer.append(line)
            self._count += 1
            number = self._count
        async with self._flush_lock.within():
            if self._problem is None and self._written < number:
                await in_thread(self._flush)
        if self._problem is not None and self._written < number:
            raise self._problem

    def _flush(self) -> None:
        with self._file_lock:
            with self._lock:
                lines, self._buffer = self._buffer, []
                count = self._count
            if self._problem is not None or not lines:
                return
            try:
                self._size += _append(self._file, self._size, b"".join(lines))
                self._written = count
            except OSError as error:
                why = f"Could not write the journal {str(self.path)!r}: {error.strerror}"
                self._problem = JournalError(f"{why}. Its content is complete: make room and start again")
                self._problem.__cause__ = error

    async def aclose(self) -> None:
        """Close the file, which ends the lock."""
        await in_thread(self._close)

    def _close(self) -> None:
        self._flush()
        with self._file_lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
                if self._problem is None:
                    self._problem = JournalError(f"The journal {str(self.path)!r} is closed")


def _check_resumes(path: Path, header: ops.Header, found: ops.Header) -> None:
    try:
        header.check_resumes(found)
    except ValueError as error:
        raise JournalError(f"The journal {str(path)!r} belongs to another batch: {error}") from None


def _append(file: int, size: int, data: bytes) -> int:
    """Write at the end, wait until it is on the disk, and return the length; if that fails, the file is as before."""
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


def _sync_directory(path: Path) -> None:
    """Write the entry of a new file in its directory to the disk."""
    if os.name != "nt":
        directory = os.open(path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
