# Generated from src/agb/_async/host/archive.py by tools/unasync.py. Do not edit.
"""Directories of this machine as tar archives, streamed in bounded memory.

`Packed` yields an archive piece by piece; `Unpacking` reads one from a function that returns its pieces. Both take
everything they can: an entry that cannot be read or written is a failure of its own, and the others follow.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import secrets
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ...exceptions import FileError

_log = logging.getLogger("agb")

_PIECE = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors that every further entry would have as well."""


class Packed:
    """The archive of a directory's content: files, directories and symbolic links, as they are; an iterator of bytes.

    Devices, pipes and sockets are left out. The top directory itself must be readable.

    Attributes:
        failures: the entries that could not be read, by their relative paths, with the reasons.
        damaged: those of them that are in the archive all the same, since they became shorter while they were read.
    """

    def __init__(self, directory: Path) -> None:
        self.failures: dict[str, str] = {}
        self.damaged: list[str] = []
        self._top = directory
        self._pieces = self._packed()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def _packed(self) -> Iterator[bytes]:
        buffer = bytearray()
        for piece in self._members():
            buffer += piece
            if len(buffer) >= _PIECE:
                yield bytes(buffer)
                buffer.clear()
        yield bytes(buffer)

    def _members(self) -> Iterator[bytes]:
        with tarfile.open(fileobj=io.BytesIO(), mode="w") as describing:
            folders = [self._entries(self._top)]
            while folders:
                path = next(folders[-1], None)
                if path is None:
                    folders.pop()
                    continue
                try:
                    member, file = self._described(describing, path)
                    if member.isdir():
                        folders.append(self._entries(path))
                except FileNotFoundError:
                    continue  # removed meanwhile
                except OSError as error:
                    self.failures[self._name(path)] = error.strerror or str(error)
                    continue
                if member.isreg() or member.isdir() or member.issym():
                    yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
                else:
                    _log.debug("%s is not a file, directory or link, and is left out", path)
                if file is not None:
                    with file:
                        yield from self._content(path, file, member.size)
        yield b"\0" * 2 * tarfile.BLOCKSIZE

    def _entries(self, directory: Path) -> Iterator[Path]:
        with os.scandir(directory) as found:
            return iter(sorted(directory / entry.name for entry in found))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._top).as_posix()

    def _described(self, describing: tarfile.TarFile, path: Path) -> tuple[tarfile.TarInfo, IO[bytes] | None]:
        """Return the member of an entry, and its content, which is opened first: what cannot be read has no member."""
        file = path.open("rb") if path.is_file() and not path.is_symlink() else None
        try:
            member = describing.gettarinfo(path, self._name(path))
            describing.inodes.clear()  # type: ignore[attr-defined]  # a second name of a file is stored as another file
            if member is None:  # a socket
                member = tarfile.TarInfo()
                member.type = tarfile.CHRTYPE
            if file is not None and member.isreg():
                member.size = os.fstat(file.fileno()).st_size
        except BaseException:
            if file is not None:
                file.close()
            raise
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member, file

    def _content(self, path: Path, file: IO[bytes], size: int) -> Iterator[bytes]:
        left = size
        while left:
            try:
                piece = file.read(min(left, _PIECE))
                reason = "it became shorter while it was read"
            except OSError as error:
                piece, reason = b"", error.strerror or str(error)
            if not piece:
                self.failures[self._name(path)] = reason
                self.damaged.append(self._name(path))
                yield from _zeros(left)
                break
            left -= len(piece)
            yield piece
        yield b"\0" * (-size % tarfile.BLOCKSIZE)


def _zeros(count: int) -> Iterator[bytes]:
    while count:
        yield bytes(min(count, _PIECE))
        count -= min(count, _PIECE)


class Unpacking:
    """Unpacks an archive into a directory, which is made if needed.

    **Nothing is written outside the directory.** The path of a member is walked from the top, one name after the other,
    and every directory on the way is either a real one or a link that leads to a directory inside. A link is never
    written through: a member replaces what is in its place, by a rename. So any link can be kept as it is, wherever it
    leads. A member whose name leads out is a failure.

    Devices and pipes are left out.

    Attributes:
        failures: the members that could not be written, by their names, with the reasons.
    """

    def __init__(self, directory: Path, max_size: int | None = None) -> None:
        self.failures: dict[str, str] = {}
        self._top = directory
        self._max_size = max_size
        self._size = 0
        self._directories: list[tuple[Path, tarfile.TarInfo]] = []

    def run(self, receive: Callable[[], bytes]) -> None:
        """Unpack; ``receive`` returns the next bytes, ``b""`` at the end.

        Raises:
            FileError: the archive is damaged, or unpacks to more than allowed; earlier members are unpacked.
            OSError: the directory cannot be made, or the disk is full.
        """
        self._top.mkdir(parents=True, exist_ok=True)
        self._top = self._top.resolve(strict=True)
        source = _Source(receive)
        try:
            with tarfile.open(fileobj=source, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
                while (member := archive.next()) is not None:
                    self._unpack(archive, member)
                    archive.members.clear()  # type: ignore[attr-defined]  # or a million files would fill the memory
            while source.read(_PIECE):
                pass  # the padding belongs to the archive
        except tarfile.TarError as error:
            raise FileError(f"the archive cannot be unpacked into {str(self._top)!r}: {error}") from error
        # Last: a directory may be read-only, and writing into it changes its times.
        for path, member in reversed(self._directories):
            self._set_attributes(path, member)

    def _unpack(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if member.isdev():
            _log.debug("%s is a device or a pipe, and is left out", member.name)
            return
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        name = "/".join(parts)
        if not parts:  # the directory itself, which may have been there before
            return
        try:
            if member.isdir():
                self._directories.append((self._directory(parts), member))
            else:
                self._replace(archive, member, self._directory(parts[:-1]) / _plain(parts[-1]))
        except OSError as error:
            if error.errno in _FULL:
                raise
            self.failures[name] = error.strerror or str(error)

    def _directory(self, parts: list[str]) -> Path:
        """Return a directory of the target, made if needed, without a link in its path."""
        here = self._top
        for part in parts:
            here /= _plain(part)
            if here.is_symlink():
                here = here.resolve(strict=True)
                if not here.is_relative_to(self._top):
                    raise OSError(errno.ELOOP, "a symbolic link that leads out of the directory is in its way")
            here.mkdir(exist_ok=True)
        return here

    def _replace(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, "a directory is in its place")
        temporary = path.with_name(f".agb-{secrets.token_hex(8)}.part")
        try:
            if member.issym():
                temporary.symlink_to(member.linkname)
            elif member.islnk():
                self._copy(member, temporary)
            else:
                self._write(archive, member, temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _copy(self, member: tarfile.TarInfo, temporary: Path) -> None:
        """Copy the file whose second name a member is; it was unpacked before."""
        *above, name = [part for part in member.linkname.split("/") if part not in ("", ".")] or [".."]
        source = self._directory(above) / _plain(name)
        if source.is_symlink() or not source.is_file():
            raise FileNotFoundError(errno.ENOENT, f"the file that it is another name of was not unpacked: {name}")
        self._count(source.stat().st_size)  # a member of a few bytes, and a file of any size
        shutil.copy2(source, temporary)

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, temporary: Path) -> None:
        content = archive.extractfile(member)
        with temporary.open("xb") as file:
            while content is not None and (piece := content.read(_PIECE)):
                self._count(len(piece))
                file.write(piece)
        self._set_attributes(temporary, member)

    def _count(self, size: int) -> None:
        """Count bytes before they are written; raise `FileError` if they are more than allowed."""
        self._size += size
        if self._max_size is not None and self._size > self._max_size:
            raise FileError(f"there are more than {self._max_size:,} bytes; max_size allows more")

    def _set_attributes(self, path: Path, member: tarfile.TarInfo) -> None:
        try:
            path.chmod(member.mode & 0o777)
            os.utime(path, (member.mtime, member.mtime))
        except (OSError, OverflowError, ValueError) as error:
            self.failures.setdefault(member.name, f"its mode or time cannot be set: {error}")


def _plain(name: str) -> str:
    """Return a name that stays in its directory; raise ``OSError`` for any other."""
    if name == ".." or "\0" in name or (os.name == "nt" and any(char in name for char in '\\:*?"<>|')):
        raise OSError(errno.EINVAL, "its name leads out of the directory, or cannot be a name on this machine")
    return name


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
