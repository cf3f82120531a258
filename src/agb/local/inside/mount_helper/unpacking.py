"""Unpacking an archive that was downloaded into a mount."""

from __future__ import annotations

import contextlib
import os
import stat
import struct

from ..temporary import temporary_name
from .selection import Selection, above, joined
from .tree import (
    ARCHIVE,
    CHUNK,
    DIRECTORY,
    DIRECTORY_MODE,
    WRITE,
    MountError,
    Tree,
    directory_signature,
    link_fault,
    reason,
    signature,
    write_all,
)

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO, Any

MOST_MEMBERS = 200_000
"""Files in one archive."""


class Member:
    """One file of an archive."""

    def __init__(self, path: str, *, mode: int, mtime: float, target: str = "", is_directory: bool = False) -> None:
        self.path = path
        self.mode = mode & 0o777
        self.mtime = mtime
        self.target = target
        """Where a symbolic link leads."""
        self.is_directory = is_directory


class Unpacking:
    """Unpacks one archive: first into a temporary directory, so that an invalid archive changes nothing.

    Members are read one by one and written by this class; ``tarfile`` and ``zipfile`` extract nothing themselves. So
    the rules are the same for both and for every Python, and do not need ``tarfile.data_filter``, which Python 3.11.2
    (Debian 12) does not have. They are at least as strict: no absolute path and no ``..``, regular files, directories
    and symbolic links only, permission bits only (no owner, set-user-id or sticky bit). A link must lead to a place
    below the archive's own top; its target is normalised, because ``..`` behind another link would lead elsewhere than
    its text says. Directories are opened without following links, so no member is written through a link.
    """

    def __init__(self, tree: Tree, most: int, kept: Iterable[str], selection: Selection) -> None:
        self.left = 0
        """How many files were left out: not selected, or not to be replaced."""
        self._tree = tree
        self._most = most
        self._room = most
        self._kept = set(kept)
        self._selection = selection
        self._members: dict[str, Member] = {}
        self._is_whole = False

    def unpack(self, path: str, into: str) -> Iterator[list[Any]]:
        """Unpack an archive into a directory and yield a row for each file; directories get their modes by `set_modes`.

        Raises ``MountError``.
        """
        import shutil

        self._is_whole = path == ARCHIVE
        name = temporary_name("new")
        os.mkdir(name, dir_fd=self._tree.writable(""))
        try:
            aside = Tree(name, parent=self._tree.root)
            try:
                with os.fdopen(self._tree.open(path), "rb") as file:
                    for member, content in self._contents(path, file):
                        self._write(aside, member, content)
                yield from self._move(aside, into)
            finally:
                aside.close()
        except ConnectionError:
            raise
        except OSError as error:
            raise MountError(f"it cannot be unpacked: {reason(error)}") from error
        except _invalid_archive() as error:
            raise MountError(f"it cannot be unpacked: {error}") from error
        finally:
            shutil.rmtree(name, dir_fd=self._tree.root, ignore_errors=True)

    def _contents(self, path: str, file: IO[bytes]) -> Iterator[tuple[Member, IO[bytes] | None]]:
        return _of_zip(file) if path.lower().endswith(".zip") else _of_tar(file)

    def _write(self, aside: Tree, member: Member, content: IO[bytes] | None) -> None:
        if len(self._members) >= MOST_MEMBERS:
            raise MountError(f"it cannot be unpacked: it has more than {MOST_MEMBERS:,} members")
        path = _checked_path(member)
        if member.is_directory:
            if path:
                aside.directory(path, make=True)
            if path or (self._is_whole and self._tree.keeps_top):
                self._members[path] = member
            return
        directory, _, name = path.rpartition("/")
        parent = aside.directory(directory, make=True)
        with contextlib.suppress(FileNotFoundError):  # the later one of two members with one name counts
            os.unlink(name, dir_fd=parent)
        if member.target:
            os.symlink(_checked_target(member, directory), name, dir_fd=parent)
        else:
            self._write_file(parent, name, member, content)
        self._members[path] = member

    def _write_file(self, parent: int, name: str, member: Member, content: IO[bytes] | None) -> None:
        file = os.open(name, WRITE, 0o600, dir_fd=parent)
        try:
            while content is not None and (part := content.read(CHUNK)):
                self._room -= len(part)
                if self._room < 0:
                    raise MountError(f"it cannot be unpacked: it unpacks to more than {self._most:,} bytes")
                write_all(file, part)
            os.fchmod(file, member.mode or 0o644)
            with contextlib.suppress(OverflowError, ValueError):
                os.utime(file, (member.mtime, member.mtime))
        finally:
            os.close(file)

    def _move(self, aside: Tree, into: str) -> Iterator[list[Any]]:
        """Move everything to its place in the mount."""
        filled = {"", *(directory for path in self._members for directory in above(path))}
        for path, member in self._members.items():
            place = joined(into, path)
            row = joined(place, DIRECTORY) if member.is_directory else place
            if place in self._kept or row in self._kept or not self._selection.wants(place):
                self.left += not member.is_directory
                continue
            if member.is_directory:
                # An archive of another origin may have no modes.
                mode = member.mode if self._is_whole else member.mode | 0o700
                self._tree.set_mode(place, mode)
                if path not in filled or mode != DIRECTORY_MODE:
                    yield [row, directory_signature(mode)]
                continue
            directory, _, name = path.rpartition("/")
            parent = self._tree.writable(place.rpartition("/")[0])
            os.rename(name, name, src_dir_fd=aside.directory(directory), dst_dir_fd=parent)
            yield [place, signature(os.stat(name, dir_fd=parent, follow_symlinks=False))]


def _checked_path(member: Member) -> str:
    """Return the path of a member, without ``.`` and empty parts."""
    parts = [part for part in member.path.split("/") if part not in ("", ".")]
    if member.path.startswith("/") or ".." in parts or "\0" in member.path or not (parts or member.is_directory):
        raise MountError(f"it cannot be unpacked: its member {member.path[:200]!r} does not stay in its directory")
    return "/".join(parts)


def _checked_target(member: Member, directory: str) -> str:
    """Return the target of a link; normalised if it has ``..`` behind a name, which may be that of another link."""
    target = os.path.normpath(member.target)
    top = os.path.normpath(joined(directory, target))
    if target.startswith("/") or top == ".." or top.startswith("../"):
        raise MountError(f"it cannot be unpacked: its link {member.path[:200]!r} leads out of its directory")
    return target if link_fault(joined(directory, "link"), member.target) else member.target


def _invalid_archive() -> tuple[type[Exception], ...]:
    """Return the errors that reading a broken archive raises."""
    import zlib
    from lzma import LZMAError
    from tarfile import TarError
    from zipfile import BadZipFile

    return (BadZipFile, TarError, zlib.error, LZMAError, EOFError, struct.error, ValueError, RuntimeError, KeyError)


def _of_zip(file: IO[bytes]) -> Iterator[tuple[Member, IO[bytes] | None]]:
    import calendar
    import zipfile

    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            mtime = calendar.timegm((*info.date_time, 0, 0, 0))
            member = Member(info.filename, mode=mode, mtime=mtime, is_directory=info.is_dir())
            if info.is_dir():
                yield member, None
                continue
            with archive.open(info) as content:
                if stat.S_ISLNK(mode):
                    member.target = content.read(4096).decode("utf-8", "surrogateescape")
                yield member, content


def _of_tar(file: IO[bytes]) -> Iterator[tuple[Member, IO[bytes] | None]]:
    import tarfile

    with tarfile.open(fileobj=file, mode="r:*") as archive:
        for info in archive:
            target = info.linkname if info.issym() else ""
            member = Member(info.name, mode=info.mode, mtime=info.mtime, target=target, is_directory=info.isdir())
            if info.isdir() or info.issym():
                yield member, None
            elif info.isfile() or info.islnk():
                yield member, archive.extractfile(info)  # of a hard link: the content of the file it refers to
            else:
                raise MountError(f"it cannot be unpacked: its member {info.name[:200]!r} is not a file")
