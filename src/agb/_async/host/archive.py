"""Directories of this machine as tar archives, streamed in bounded memory.

`packed` yields an archive piece by piece; `unpack` reads one from a function that returns its pieces.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ...exceptions import FileError

_log = logging.getLogger("agb")

_PIECE = 1 << 20


def packed(directory: Path) -> Iterator[bytes]:
    """Yield the archive of a directory's content: files, directories and symbolic links, as they are.

    Raises:
        OSError: an entry cannot be read, or changed its size while it was read.
    """
    buffer = bytearray()
    for piece in _members(directory):
        buffer += piece
        if len(buffer) >= _PIECE:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)


def _members(directory: Path) -> Iterator[bytes]:
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as describing:
        for path in _walked(directory):
            member = describing.gettarinfo(path, path.relative_to(directory).as_posix())
            describing.inodes.clear()  # type: ignore[attr-defined]  # a second name of a file is stored as another file
            if member is None or not (member.isreg() or member.isdir() or member.issym()):
                _log.debug("%s is not a file, directory or link, and is left out", path)
                continue
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            yield member.tobuf(tarfile.PAX_FORMAT)
            if member.isreg():
                yield from _content(path, member.size)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


def _walked(directory: Path) -> Iterator[Path]:
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walked(Path(entry.path))


def _content(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb") as file:
        while left:
            piece = file.read(min(left, _PIECE))
            if not piece:
                raise OSError(f"{path} became shorter while it was read")
            left -= len(piece)
            yield piece
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


def unpack(receive: Callable[[], bytes], directory: Path) -> None:
    """Unpack an archive into a directory, which is made if needed; ``receive`` returns ``b""`` at the end.

    The data filter of `tarfile` keeps every member inside the directory.

    Raises:
        FileError: a member would be outside the directory, or the archive is damaged; earlier members are unpacked.
        OSError: a file cannot be written.
    """
    safe = _tarfile_with_data_filter()
    directory.mkdir(parents=True, exist_ok=True)
    source = _Source(receive)
    try:
        with safe.open(fileobj=source, mode="r|") as archive:
            while (member := archive.next()) is not None:
                if member.isdev():
                    _log.debug("%s is a device or a pipe, and is left out", member.name)
                else:
                    archive.extract(member, directory, filter="data")
                archive.members.clear()  # or a million files would fill the memory
        while source.read(_PIECE):
            pass  # the padding belongs to the archive
    except safe.TarError as error:
        raise FileError(f"the archive cannot be unpacked into {str(directory)!r}: {error}") from error


def _tarfile_with_data_filter() -> Any:
    """Return the standard library's `tarfile`, or its backport: the data filter is new in Python 3.11.4."""
    if hasattr(tarfile, "data_filter"):
        return tarfile
    from backports import tarfile as backport

    return backport


class _Source(io.BufferedIOBase):
    """The stream that tarfile reads from."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        super().__init__()
        self._receive = receive
        self._buffer = bytearray()
        self._is_over = False

    def read(self, size: int | None = -1, /) -> bytes:
        count = sys.maxsize if size is None or size < 0 else size
        while len(self._buffer) < count and not self._is_over:
            piece = self._receive()
            self._buffer += piece
            self._is_over = not piece
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data
