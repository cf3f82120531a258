# Generated from src/agb/_async/host/local_files.py by tools/unasync.py. Do not edit.
"""Files of this machine that are uploaded or downloaded: read and written by threads, in pieces of bounded memory."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

from attrs import frozen

from .._compat.cancellation import shielded
from .._compat.loop import in_thread

OnMoved = Callable[[int], object]
"""Called with the size of each piece that was read or written; with a negative number when an attempt is given up."""

_log = logging.getLogger("agb")

PIECE = 1 << 20
"""Bytes sent at a time."""
_BLOCK = 4 * PIECE
"""Bytes read or written by one call of a thread: changing to a thread costs as much as copying some 100 kB."""


class _LocalFile:
    """A file of this machine on which threads work.

    Invariant: the file is closed by `close`, and nothing works on it afterwards. A caller that is cancelled does not
    stop the thread that reads or writes for it. So every piece of work and the closing hold one lock: closing waits for
    work that has begun, and work that begins after the closing does nothing.

    Args:
        path: the file.
        on_moved: is called for each piece.
        to_error: returns the exception that is raised for an `OSError`.
    """

    def __init__(self, path: Path, on_moved: OnMoved, to_error: Callable[[OSError], Exception]) -> None:
        self.path = path
        self._on_moved = on_moved
        self._to_error = to_error
        self._reported = 0
        self._lock = threading.Lock()  # held by threads only, never across a wait of an event loop
        self._file: IO[bytes] | None = None
        self._is_busy = self._is_closed = False

    def _work(self, function: Callable[[], Any]) -> Any:
        def work() -> Any:
            with self._lock:
                return None if self._is_closed else function()

        self._is_busy = True
        try:
            result = in_thread(work)
        except OSError as error:
            self._is_busy = False
            raise self._to_error(error) from error
        self._is_busy = False
        return result

    def _report(self, count: int) -> None:
        self._reported += count
        self._on_moved(count)

    def _report_restart(self) -> None:
        reported, self._reported = self._reported, 0
        self._on_moved(-reported)

    def close(self) -> None:
        """Close the file, also when the caller is cancelled."""
        if self._is_busy or self._file is not None:
            shielded(partial(in_thread, self._close))

    def _close(self) -> None:
        with self._lock:
            self._is_closed = True
            if self._file is not None:
                self._file.close()
                self._remove_remains()
                self._file = None

    def _remove_remains(self) -> None:
        """Remove what an unfinished transfer leaves."""


class SourceFile(_LocalFile):
    """A file that is uploaded: as many bytes as it has when it is opened."""

    _block = memoryview(b"")
    _left = _size = 0
    mode = 0o644
    """Its permissions when it was opened."""
    mtime = 0.0
    """Its time of modification then, in seconds since the epoch."""

    def open(self) -> int:
        """Open the file, and return its size."""
        self._work(self._open)
        return self._size

    def _open(self) -> None:
        if not stat.S_ISREG(self.path.stat().st_mode):  # opening a pipe would block
            raise OSError(errno.EINVAL, "it is not a regular file", str(self.path))
        self._file = self.path.open("rb", buffering=0)
        found = os.fstat(self._file.fileno())
        self._size, self.mode, self.mtime = found.st_size, stat.S_IMODE(found.st_mode) & 0o777, found.st_mtime
        self._left = self._size
        self._read()

    def __iter__(self) -> SourceFile:
        return self

    def __next__(self) -> bytes:
        piece = self.receive()
        if not piece:
            raise StopIteration
        return piece

    def receive(self) -> bytes:
        """Return the next bytes, ``b""`` at the end."""
        if not self._block and self._left:
            self._work(self._read)
        piece, self._block = self._block[:PIECE], self._block[PIECE:]
        if piece:
            self._report(len(piece))
        return piece  # type: ignore[return-value]  # a view of the block, which is not copied

    def _read(self) -> None:
        assert self._file is not None  # it was opened
        block = self._file.read(min(self._left, _BLOCK)) or b""
        if self._left and not block:
            raise OSError(errno.EIO, f"it became shorter while it was read: {self._left:,} bytes are missing")
        self._left -= len(block)
        self._block = memoryview(block)
        if not self._left:
            self._file.close()
            self._file = None

    def rewind(self) -> None:
        """Start again from the beginning, with the present content of the file."""
        self._report_restart()
        self._work(self._reopen)

    def _reopen(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        size = self._size
        self._open()
        if self._size != size:
            raise OSError(errno.EIO, f"its size changed from {size:,} to {self._size:,} bytes while it was read")


class TargetFile(_LocalFile):
    """A file that is downloaded: written beside its place, and moved there when it is complete."""

    def __init__(
        self,
        path: Path,
        on_moved: OnMoved,
        to_error: Callable[[OSError], Exception],
        *,
        overwrite: bool,
        max_size: int | None = None,
    ) -> None:
        super().__init__(path, on_moved, to_error)
        self._overwrite = overwrite
        self._max_size = max_size
        self._temporary = path.with_name(f".agb-{secrets.token_hex(8)}.part")
        self._pieces: list[bytes] = []
        self._buffered = self._size = 0

    def open(self) -> None:
        """Raise if the file cannot be written; nothing is created yet."""
        self._work(self._check)

    def _check(self) -> None:
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "there is a directory", str(self.path))
        if not self._overwrite and os.path.lexists(self.path):
            raise FileExistsError(errno.EEXIST, "Destination exists and overwrite=False", str(self.path))

    def write(self, piece: bytes) -> None:
        """Add the next bytes."""
        self._pieces.append(piece)
        self._buffered += len(piece)
        if self._max_size is not None and self._size + self._buffered > self._max_size:
            reason = f"there are more than {self._max_size:,} bytes; max_size allows more"
            raise self._to_error(OSError(errno.EFBIG, reason, str(self.path)))
        if self._buffered >= _BLOCK:
            self._work(self._flush)
        self._report(len(piece))

    def _flush(self) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("xb", buffering=0)
        pieces, self._pieces, self._buffered = self._pieces, [], 0
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]
            self._size += len(piece)

    def rewind(self) -> None:
        """Start again from the beginning."""
        self._report_restart()
        self._work(self._truncate)

    def _truncate(self) -> None:
        self._pieces, self._buffered, self._size = [], 0, 0
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()

    def commit(self, mode: int | None = None, mtime: float | None = None) -> int:
        """Move the complete file to its place, with a mode and a time if they are known; return its size."""
        self._work(partial(self._move, mode, mtime))
        return self._size

    def _move(self, mode: int | None, mtime: float | None) -> None:
        self._flush()
        assert self._file is not None  # it was opened
        self._file.close()
        self._check()
        if mode is not None:
            self._temporary.chmod(mode)
        if mtime is not None:
            os.utime(self._temporary, (mtime, mtime))
        self._temporary.replace(self.path)
        self._file = None

    def _remove_remains(self) -> None:
        self._temporary.unlink(missing_ok=True)


# --- directories -------------------------------------------------------------------------------------------------


@frozen
class FoundFile:
    """A file of a directory: its path relative to it, and its size, or why it cannot be uploaded."""

    path: Path
    relative: str
    size: int = 0
    reason: str = ""


def files_below(directory: Path) -> list[FoundFile]:
    """Return the files of a directory and of those in it, with the symbolic links that lead to such files.

    Other links are returned with the reason why they are not uploaded; devices and pipes are left out.

    Raises:
        OSError: a directory cannot be read.
    """
    found: list[FoundFile] = []
    root = directory.resolve()
    folders = [directory]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        for entry in entries:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
                continue
            relative = path.relative_to(directory).as_posix()
            reason = _why_link_is_left_out(path, root) if entry.is_symlink() else ""
            if reason:
                found.append(FoundFile(path, relative, reason=reason))
            elif entry.is_file():
                found.append(FoundFile(path, relative, entry.stat().st_size))
            else:
                _log.debug("%s is not a file, directory or link, and is left out", path)
    return found


def _why_link_is_left_out(link: Path, root: Path) -> str:
    """Return why a symbolic link is not uploaded, ``""`` if it leads to a file of the directory."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        return f"the symbolic link leads nowhere ({error})"
    if not target.is_relative_to(root):
        return f"the symbolic link leads out of the directory, to {str(target)!r}"
    if target.is_dir():
        return "it is a symbolic link to a directory, which is uploaded itself"
    return ""
