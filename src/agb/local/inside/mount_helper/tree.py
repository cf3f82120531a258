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
DIRECTORY = ".agb-directory"
"""Represents a directory in lists, if it is empty or its mode is not the default: ``directory/.agb-directory``."""
DIRECTORY_MODE = 0o755
"""The mode of a directory that is not listed."""
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
    """Return the attributes that differ between a file and the same file after a change.

    The mode has the type bits of a symbolic link, and none for a file.
    """
    mode = found.st_mode & 0o777 | (stat.S_IFLNK if stat.S_ISLNK(found.st_mode) else 0)
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns, mode]


def directory_signature(mode: int) -> list[int]:
    """Return the signature of a directory."""
    return [0, 0, 0, 0, mode]


def link_fault(path: str, target: str) -> str:
    """Return why a symbolic link of a mount is not kept as a link, "" if it is.

    ``..`` is allowed at the beginning of a target only, where it leads from one real directory to the next one above:
    behind a name it would lead elsewhere than its text says if that name is another link. So however links are
    combined, and whenever they are replaced, none leads out of the mount.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if target.startswith("/"):
        return "it is a symbolic link with an absolute target"
    if ".." in parts[ups:]:
        return "it is a symbolic link whose target has '..' behind a name"
    return "it is a symbolic link that leads out of the mount" if ups > path.count("/") else ""


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
    """A directory and everything below it, reached by descriptors only.

    ``follow`` is whether a symbolic link stands for the file that it leads to, if that is in the tree. Otherwise links
    and the modes of directories are kept as they are.
    """

    def __init__(
        self,
        top: str,
        below: Sequence[str] = (),
        *,
        make: bool = False,
        parent: int | None = None,
        follow: bool = False,
    ) -> None:
        self.follow = follow
        self.keeps_top = bool(below) and not follow
        """Whether the mode of the top directory is kept; one that the runtime made has the mode that it needs."""
        self._chain: list[tuple[str, int]] = []
        self._modes: dict[str, int] = {}
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

    def writable(self, path: str) -> int:
        """Return the descriptor of a directory to write to, made if it is missing, valid until the next call.

        Its owner may write to it until `set_modes`.
        """
        directory = self.directory(path, make=True)
        mode = os.fstat(directory).st_mode & 0o777
        if mode & 0o300 != 0o300:
            os.fchmod(directory, mode | 0o700)
            self._modes.setdefault(path, mode)
        return directory

    def set_mode(self, path: str, mode: int) -> None:
        """Make a directory that has a mode from `set_modes` on, so that its files can be written before."""
        self.writable(path)
        self._modes[path] = mode

    def set_modes(self) -> dict[str, OSError]:
        """Set the modes of directories, the innermost first; return those for which that failed."""
        failures: dict[str, OSError] = {}
        for path in sorted(self._modes, reverse=True):
            try:
                os.fchmod(self.directory(path), self._modes[path])
            except OSError as error:
                failures[path] = error
        self._modes.clear()
        return failures

    def resolve(self, path: str) -> str | None:
        """Return the path in this tree that a path with links in it leads to; None if it leads out of the tree."""
        here = os.readlink(f"/proc/self/fd/{self.root}")
        found = os.path.realpath(f"{here}/{path}", strict=True)
        if found == here:
            return ""
        return found[len(here.rstrip("/")) + 1 :] if found.startswith(here.rstrip("/") + "/") else None

    def open(self, path: str) -> int:
        """Return a descriptor to read a file; a link is followed if it leads to a file in this tree, and ``follow``.

        A link is resolved by path, but the result is opened without following links: if the tree changes in between,
        the call fails and nothing outside the tree is opened.
        """
        directory, _, name = path.rpartition("/")
        try:
            file = os.open(name, _READ, dir_fd=self.directory(directory))
        except OSError as error:
            if not self.follow or error.errno not in (errno.ELOOP, errno.ENOTDIR):
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

    def link(self, path: str) -> tuple[str, os.stat_result]:
        """Return the target and the attributes of a symbolic link. Raises ``MountError`` for one that is not kept."""
        directory, _, name = path.rpartition("/")
        parent = self.directory(directory)
        target = os.readlink(name, dir_fd=parent)
        if fault := link_fault(path, target):
            raise MountError(fault)
        return target, os.stat(name, dir_fd=parent, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """Remove a file or a link; as `writable`, before `set_modes`."""
        directory, _, name = path.rpartition("/")
        os.unlink(name, dir_fd=self.writable(directory))


def _enter(parent: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)
