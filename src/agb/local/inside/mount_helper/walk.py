"""Walking through a mount: a row for each of its files."""

from __future__ import annotations

import errno
import os
import re
import stat

from ..temporary import TEMPORARY_NAME
from .selection import Selection, is_within, joined
from .tree import ARCHIVE, DIRECTORY, DIRECTORY_MODE, MountError, Tree, directory_signature, reason, signature

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MOST_FILES = 300_000
"""Files of one mount; links to directories multiply them if they are followed."""

_INTERNAL = re.compile(f"{TEMPORARY_NAME}|{re.escape(DIRECTORY)}|{re.escape(ARCHIVE)}")
"""Names of the runtime's own files."""


class Walk:
    """One walk through a mount: rows ``[path, signature, failure]``, in no particular order.

    If links are followed, a link has the rows of the file or directory that it leads to, and directories have rows
    only if they are empty. Otherwise a link has a row of its own, as does a directory that is empty or whose mode is
    not the default.
    """

    def __init__(self, tree: Tree, selection: Selection) -> None:
        self._tree = tree
        self._selection = selection
        # For each directory: its path, where it really is if the path has links in it, and the real directories that
        # contain these links. A link to one of those would make the walk endless.
        self._waiting: list[tuple[str, str, tuple[str, ...]]] = []

    def rows(self, below: str) -> Iterator[list[Any]]:
        """Yield a row for each file below a path, or for the file there. Raises ``MountError`` for too many files."""
        for count, row in enumerate(self._rows(below)):
            if count >= MOST_FILES:
                raise MountError(f"there are more than {MOST_FILES:,} files")
            yield row

    def _rows(self, below: str) -> Iterator[list[Any]]:
        self._waiting.append((below, below, ()))
        while self._waiting:
            path, place, chain = self._waiting.pop()
            try:
                with os.scandir(self._tree.directory(place)) as found:
                    entries = [entry for entry in found if not _INTERNAL.fullmatch(entry.name)]
                    # Links last: resolving them opens other directories, which closes this one.
                    entries.sort(key=os.DirEntry.is_symlink)
            except OSError as error:
                if path == below and error.errno == errno.ENOTDIR:
                    yield from self._single(path)
                else:
                    yield [path, None, reason(error)]
                continue
            if self._selection.wants(path):
                mode = os.fstat(self._tree.directory(place)).st_mode & 0o777
                has_mode = mode != DIRECTORY_MODE and not self._tree.follow
                if (not entries or has_mode) if path else (has_mode and self._tree.keeps_top):
                    yield [joined(path, DIRECTORY), directory_signature(mode), ""]
            for entry in entries:
                row = self._row(entry, joined(path, entry.name), joined(place, entry.name), (*chain, place))
                if row is not None:
                    yield row

    def _single(self, path: str) -> Iterator[list[Any]]:
        try:
            file = self._tree.open(path)
        except (OSError, MountError) as error:
            is_link = isinstance(error, OSError) and error.errno == errno.ELOOP and not self._tree.follow
            yield self._kept_link(path) if is_link else [path, None, reason(error)]
        else:
            yield [path, signature(os.fstat(file)), ""]
            os.close(file)

    def _row(self, entry: os.DirEntry[str], path: str, place: str, chain: tuple[str, ...]) -> list[Any] | None:
        """Return the row of an entry, None if it has none; a directory is added to those still to be read."""
        try:
            if entry.is_dir(follow_symlinks=False):
                if self._selection.leads_to(path):
                    self._waiting.append((path, place, chain[:-1]))
                return None
            wanted = self._selection.wants(path)
            if entry.is_symlink() and not self._tree.follow:
                return self._kept_link(path) if wanted else None
            if entry.is_symlink():
                return self._link(path, place, chain) if wanted or self._selection.leads_to(path) else None
            if not wanted:
                return None
            found = entry.stat(follow_symlinks=False)
            return [path, signature(found), ""] if stat.S_ISREG(found.st_mode) else None
        except FileNotFoundError:
            return None  # removed meanwhile
        except OSError as error:
            return [path, None, reason(error)]

    def _kept_link(self, path: str) -> list[Any]:
        try:
            return [path, signature(self._tree.link(path)[1]), ""]
        except (OSError, MountError) as error:
            return [path, None, reason(error)]

    def _link(self, path: str, place: str, chain: tuple[str, ...]) -> list[Any] | None:
        try:
            real = self._tree.resolve(place)
        except OSError as error:
            where = "leads in a circle" if error.errno == errno.ELOOP else "leads to nothing"
            return [path, None, f"it is a symbolic link that {where}"]
        if real is None:
            return [path, None, "it is a symbolic link that leads out of the mount"]
        directory, _, name = real.rpartition("/")
        found = os.stat(name, dir_fd=self._tree.directory(directory), follow_symlinks=False) if real else None
        if found is not None and stat.S_ISREG(found.st_mode):
            return [path, signature(found), ""] if self._selection.wants(path) else None
        if found is not None and not stat.S_ISDIR(found.st_mode):
            return None
        if any(is_within(containing, real) for containing in chain):
            return [path, None, "it is a symbolic link to a directory that it is in"]
        self._waiting.append((path, real, chain))
        return None
