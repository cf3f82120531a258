# Generated from src/agb/_async/host/archive.py by tools/unasync.py. Do not edit.
"""Directories of this machine as tar, in streams of bounded memory.

`packed` gives an archive piece by piece, `unpack` reads one from a function that gives pieces.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ...exceptions import FileError

_log = logging.getLogger("agb")

_PIECE = 1 << 20


def packed(directory: Path) -> Iterator[bytes]:
    """Yield the archive of what a directory holds: files, directories and symbolic links, as they are.

    Raises:
        OSError: something cannot be read, or changed its size while it was read.
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
            describing.inodes.clear()  # type: ignore[attr-defined]  # a second name of a file is a file of its own
            if member is None or not (member.isreg() or member.isdir() or member.issym()):
                _log.debug("%s is no file, directory or link, and is left out", path)
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
    """Unpack an archive into a directory, which is made if need be; ``receive`` gives ``b""`` at its end.

    Raises:
        FileError: a member would lie outside the directory, or the archive is damaged; what came before is there.
        OSError: something cannot be written.
    """
    if not hasattr(tarfile, "data_filter"):
        raise FileError("unpacking safely needs Python 3.11.4 or later: its tarfile has the data filter")
    directory.mkdir(parents=True, exist_ok=True)
    source = _Source(receive)
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            while (member := archive.next()) is not None:
                if member.isdev():
                    _log.debug("%s is a device or a pipe, and is left out", member.name)
                else:
                    archive.extract(member, directory, filter="data")
                archive.members.clear()  # type: ignore[attr-defined]  # or a million files would fill the memory
        while source.read(_PIECE):
            pass  # what pads the archive belongs to it
    except tarfile.TarError as error:
        raise FileError(f"the archive cannot be unpacked into {str(directory)!r}: {error}") from error


class _Source(io.BufferedIOBase):
    """What tarfile reads from."""

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
        given = bytes(self._buffer[:count])
        del self._buffer[:count]
        return given
