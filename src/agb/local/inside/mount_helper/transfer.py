"""Single files between a mount and the runtime."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time

from ..temporary import temporary_name
from .tree import (
    CHUNK,
    DIRECTORY,
    WRITE,
    MountError,
    Tree,
    directory_signature,
    is_settled,
    link_fault,
    reason,
    signature,
    write_all,
)

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..messages import MessageSocket


class Sender:
    """Sends files to the runtime."""

    def __init__(self, tree: Tree, messages: MessageSocket) -> None:
        self._tree = tree
        self._messages = messages

    def send(self, paths: Sequence[str]) -> None:
        """Send files, one after another."""
        for path in paths:
            try:
                self._send_one(path)
            except ConnectionError:
                raise
            except (OSError, MountError) as error:
                gone = isinstance(error, FileNotFoundError)
                self._messages.send({"path": path, "failed": reason(error), "gone": gone})

    def _send_one(self, path: str) -> None:
        try:
            file = self._tree.open(path)
        except OSError as error:
            if self._tree.follow or error.errno != errno.ELOOP:
                raise
            self._send_link(path)
            return
        try:
            self._send(path, file)
        finally:
            os.close(file)

    def _send_link(self, path: str) -> None:
        """Send the target of a link as its content."""
        begun = time.time_ns()
        target, found = self._tree.link(path)
        done = signature(found)
        header = {"path": path, "mode": done[4], "mtime": found.st_mtime_ns, "done": done}
        self._messages.send({**header, "unsure": not is_settled(found, found, begun)}, os.fsencode(target))

    def _send(self, path: str, file: int) -> None:
        """Send as many bytes as a file has now: one that grows all the time would never end."""
        begun = time.time_ns()
        before = os.fstat(file)
        header: dict[str, Any] = {"path": path, "mode": signature(before)[4], "mtime": before.st_mtime_ns}
        left = before.st_size
        while True:
            part = os.read(file, min(CHUNK, left)) if left else b""
            left -= len(part)
            if not left or not part:
                unsure = not is_settled(before, os.fstat(file), begun)
                self._messages.send({**header, "done": signature(before), "unsure": unsure}, part)
                return
            self._messages.send(header, part)
            header = {}


class Receiver:
    """Writes files of the runtime: a program of the session reads the old content or the new one, never a part.

    A file is written under a temporary name and renamed when it is complete. One file is open at a time; errors are
    kept for :meth:`results`, because the runtime sends the parts of many files before it reads an answer.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._results: list[list[Any]] = []
        self._path = ""
        self._temporary = ""
        self._file: int | None = None
        self._attributes: dict[str, Any] = {}

    def put(self, header: dict[str, Any], blob: bytes) -> None:
        """Write the next part of a file; :meth:`results` returns what failed."""
        try:
            if "path" in header:
                self._begin(header)
                if stat.S_ISLNK(header["mode"]):
                    self._make_link(os.fsdecode(blob))
                elif self._path.rpartition("/")[2] == DIRECTORY:
                    self._make_directory()
                else:
                    self._open()
            if self._file is not None:
                write_all(self._file, blob)
                if header.get("last"):
                    self._finish(self._file)
        except (OSError, MountError) as error:
            self._discard()
            self._results.append([self._path, None, reason(error)])

    def drop(self) -> None:
        """Discard the file that was begun, whose rest is not sent."""
        if self._file is not None:
            self._discard()
            self._results.append([self._path, None, "it could not be read in the store"])

    def results(self) -> list[list[Any]]:
        """Return a row ``[path, signature or None, failure]`` for each file since the last call."""
        results, self._results = self._results, []
        failures = self._tree.set_modes()
        for row in results:
            directory, _, name = row[0].rpartition("/")
            if name == DIRECTORY and directory in failures:
                row[1:] = [None, reason(failures[directory])]
        return results

    def _begin(self, header: dict[str, Any]) -> None:
        self._discard()
        self._path, self._attributes = header["path"], header
        self._temporary = temporary_name("new")

    def _make_directory(self) -> None:
        mode = self._attributes["mode"]
        self._tree.set_mode(self._path.rpartition("/")[0], mode)
        self._results.append([self._path, directory_signature(mode), ""])

    def _make_link(self, target: str) -> None:
        """Make a link, unless it leads out of this mount: the data may have been stored from a larger one."""
        if fault := link_fault(self._path, target):
            raise MountError(fault)
        directory, _, name = self._path.rpartition("/")
        parent = self._tree.writable(directory)
        os.symlink(target, self._temporary, dir_fd=parent)
        try:
            times = (self._attributes["mtime"], self._attributes["mtime"])
            os.utime(self._temporary, ns=times, dir_fd=parent, follow_symlinks=False)
            os.rename(self._temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=parent)
            raise
        self._results.append([self._path, signature(found), ""])

    def _open(self) -> None:
        parent = self._tree.writable(self._path.rpartition("/")[0])
        self._file = os.open(self._temporary, WRITE, 0o600, dir_fd=parent)

    def _finish(self, file: int) -> None:
        directory, _, name = self._path.rpartition("/")
        parent = self._tree.directory(directory)
        os.fchmod(file, self._attributes["mode"])
        os.utime(file, ns=(self._attributes["mtime"], self._attributes["mtime"]))
        os.rename(self._temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        self._results.append([self._path, signature(os.fstat(file)), ""])
        os.close(file)
        self._file = None

    def _discard(self) -> None:
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        with contextlib.suppress(OSError):
            os.unlink(self._temporary, dir_fd=self._tree.directory(self._path.rpartition("/")[0]))
