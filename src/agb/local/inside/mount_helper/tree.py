"""A directory tree that is reached by descriptors only, and the signatures of its files."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 1 << 20
"""Bytes of content in one message."""
EMPTY_DIRECTORY = ".agb-directory"
"""Represents an empty directory in lists: its path is ``directory/.agb-directory``."""
ARCHIVE = ".agb-archive.tar.gz"
"""Name of the archive of a whole mount."""

WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags to create a file."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Non-blocking: opening a pipe must not wait for a writer.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
_TICK = 50_000_000
"""Nanoseconds within which two changes of a file may get the same time from the kernel, generously."""

_REASONS = {
    errno.ENOENT: "it is not there",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "a directory is there",
    errno.ENOTDIR: "something on the way to it is a file or a symbolic link",
    errno.ELOOP: "a symbolic link is there",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "no space left in the quota",
    errno.EFBIG: "it is larger than a file of this session may be",
    errno.EROFS: "the file system there is read-only",
    errno.ENAMETOOLONG: "the name is too long",
}


class MountError(Exception):
    """A file of the mount cannot be used; the message is for the caller."""


def reason(error: OSError | MountError) -> str:
    """Return what failed, in words."""
    if isinstance(error, MountError):
        return str(error)
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def signature(found: os.stat_result) -> list[int]:
    """Return the attributes that differ between a file and the same file after a change."""
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns, stat.S_IMODE(found.st_mode) & 0o777]


def directory_signature(mode: int) -> list[int]:
    """Return the signature of an empty directory."""
    return [0, 0, 0, 0, mode]


def is_settled(before: os.stat_result, after: os.stat_result, begun: int) -> bool:
    """Return whether any later change of a file that was read from ``begun`` on will change its signature.

    The kernel's clock for files advances in ticks. A file whose time is older than one tick before the reading began
    gets another time with the next change. One that was changed within the last tick may be changed again and keep its
    times; its signature proves nothing, so the next sync has to read it again.
    """
    return signature(after) == signature(before) and max(after.st_mtime_ns, after.st_ctime_ns) < begun - _TICK


def write_all(file: int, data: bytes) -> None:
    """Write all bytes to a descriptor."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


class Tree:
    """A directory and everything below it, reached by descriptors only."""

    def __init__(self, top: str, below: Sequence[str] = (), *, make: bool = False, parent: int | None = None) -> None:
        self._chain: list[tuple[str, int]] = []
        self.root = os.open(top, _DIRECTORY, dir_fd=parent) if parent is not None else os.open(top, _DIRECTORY)
        for name in below:
            inner = _enter(self.root, name, make=make)
            os.close(self.root)
            self.root = inner

    def close(self) -> None:
        """Close all descriptors."""
        self._leave(0)
        os.close(self.root)

    def _leave(self, depth: int) -> None:
        while len(self._chain) > depth:
            os.close(self._chain.pop()[1])

    def directory(self, path: str, *, make: bool = False) -> int:
        """Return the descriptor of a directory, valid until the next call.

        The descriptors on the way to the last directory stay open, so that neighbours are opened in one step.
        """
        parts = path.split("/") if path else []
        depth = 0
        while depth < min(len(parts), len(self._chain)) and self._chain[depth][0] == parts[depth]:
            depth += 1
        self._leave(depth)
        for name in parts[depth:]:
            self._chain.append((name, _enter(self._chain[-1][1] if self._chain else self.root, name, make=make)))
        return self._chain[-1][1] if self._chain else self.root

    def resolve(self, path: str) -> str | None:
        """Return the path in this tree that a path with links in it leads to; None if it leads out of the tree."""
        here = os.readlink(f"/proc/self/fd/{self.root}")
        found = os.path.realpath(f"{here}/{path}", strict=True)
        if found == here:
            return ""
        return found[len(here.rstrip("/")) + 1 :] if found.startswith(here.rstrip("/") + "/") else None

    def open(self, path: str) -> int:
        """Return a descriptor to read a file; a link is followed if it leads to a file in this tree.

        A link is resolved by path, but the result is opened without following links: if the tree changes in between,
        the call fails and nothing outside the tree is opened.
        """
        directory, _, name = path.rpartition("/")
        try:
            file = os.open(name, _READ, dir_fd=self.directory(directory))
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            place = self.resolve(path)
            if place is None:
                raise MountError("it is a symbolic link that leads out of the mount") from error
            directory, _, name = place.rpartition("/")
            file = os.open(name, _READ, dir_fd=self.directory(directory))
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise MountError("it is not a file")
        return file

    def unlink(self, path: str) -> None:
        """Remove a file or a link."""
        directory, _, name = path.rpartition("/")
        os.unlink(name, dir_fd=self.directory(directory))


def _enter(parent: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)
