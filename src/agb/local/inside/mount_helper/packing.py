"""Packing a mount into one archive, which replaces the archive that is stored."""

from __future__ import annotations

import errno
import os
import time

from .selection import joined
from .tree import ARCHIVE, CHUNK, DIRECTORY, MountError, Tree, directory_signature, is_settled, reason, signature

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable
    from typing import IO, Any

    from ..messages import MessageSocket


_TOP = "."
"""The name of the member for the mount's top directory."""


class Packing:
    """Packs a mount into one archive, on the way to the runtime; files that other sessions stored in the last one stay.

    The runtime notes an action for each path that this session has, or had:

    - ``take``: the session's file is new or changed; it is packed, whatever the last archive has.
    - ``same``: it is as last synced; it is packed, unless the last archive has another version or none.
    - ``check``: its signature is not conclusive; with the noted digest it is ``same``, else ``take``.
    - ``gone``: the session removed it; the last archive's member is dropped, unless it is another version.

    Every other member of the last archive is copied. So a session changes or removes only versions that it has had.
    """

    def __init__(self, tree: Tree, messages: MessageSocket, notes: Iterable[tuple[str, str, int, int, str]]) -> None:
        self.foreign = 0
        """How many members were copied: the session has no copy of them, or another version."""
        self._tree = tree
        self._messages = messages
        self._notes = {
            path: (self._compared(path, digest) if action == "check" else action, size, mtime)
            for path, action, size, mtime, digest in notes
        }
        self._rows: list[list[Any]] = []

    def pack(self, *, merge: bool, deletes: bool) -> list[list[Any]]:
        """Send the archive and return a row for each of the session's files in it. Raises ``UnreadableFile``."""
        import gzip
        import tarfile

        taken = dict.fromkeys(path for path, (action, _, _) in self._notes.items() if action in ("take", "same"))
        with (
            _MessageWriter(self._messages) as writer,
            gzip.GzipFile("", "wb", 4, writer, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            if merge:
                with os.fdopen(self._tree.open(ARCHIVE), "rb") as file, tarfile.open(fileobj=file, mode="r:*") as last:
                    taken = self._merge(last, archive, taken, deletes=deletes)
            for path in taken:
                self._add(archive, path)
        return self._rows

    def _merge(
        self, last: tarfile.TarFile, archive: tarfile.TarFile, taken: dict[str, None], *, deletes: bool
    ) -> dict[str, None]:
        """Copy the members of the last archive that stay; return the session's files that are still to be added."""
        present = set()
        for info in last:
            path = info.name.strip("/")
            if info.isdir():
                path = joined("" if path == _TOP else path, DIRECTORY)
            action, size, mtime = self._notes.get(path, ("", 0, 0))
            is_known = _size(info) == size and (info.isdir() or abs(info.mtime - mtime / 1e9) < 0.001)
            present.add(path)
            if action == "take" or (action == "same" and is_known) or (action == "gone" and is_known and deletes):
                continue
            taken.pop(path, None)
            self.foreign += 1
            archive.addfile(info, last.extractfile(info) if info.isfile() else None)
        # An unchanged file that is not in the last archive was removed from it by another session.
        return {path: None for path in taken if path in present or self._notes[path][0] == "take"}

    def _compared(self, path: str, digest: str) -> str:
        try:
            file = self._tree.open(path)
        except (OSError, MountError):
            return "take"  # a link, or a file that cannot be read, which is reported then
        with os.fdopen(file, "rb", buffering=0) as content:
            reader = _SizedReader(content, os.fstat(file).st_size)
            while reader.read(CHUNK):
                pass
            return "same" if reader.digest.hexdigest() == digest else "take"

    def _add(self, archive: tarfile.TarFile, path: str) -> None:
        import tarfile

        directory, _, name = path.rpartition("/")
        if name == DIRECTORY:
            info = tarfile.TarInfo(directory or _TOP)
            info.type, info.mode = tarfile.DIRTYPE, self._notes[path][1]
            archive.addfile(info)
            self._rows.append([path, directory_signature(info.mode), False, ""])
            return
        try:
            file = self._tree.open(path)
        except (OSError, MountError) as error:
            if isinstance(error, OSError) and error.errno == errno.ELOOP:
                self._add_link(archive, path)
                return
            raise UnreadableFile(path, reason(error)) from error
        with os.fdopen(file, "rb", buffering=0) as content:
            begun = time.time_ns()
            before = os.fstat(file)
            info = tarfile.TarInfo(path)
            info.size, info.mode, info.mtime = before.st_size, signature(before)[4], before.st_mtime_ns / 1e9
            reader = _SizedReader(content, before.st_size)
            archive.addfile(info, reader)  # type: ignore[arg-type]  # it is only read
            unsure = not is_settled(before, os.fstat(file), begun)
        self._rows.append([path, signature(before), unsure, reader.digest.hexdigest()])

    def _add_link(self, archive: tarfile.TarFile, path: str) -> None:
        import tarfile

        begun = time.time_ns()
        try:
            target, found = self._tree.link(path)
        except (OSError, MountError) as error:
            raise UnreadableFile(path, reason(error)) from error
        info = tarfile.TarInfo(path)
        info.type, info.linkname, info.mode, info.mtime = tarfile.SYMTYPE, target, 0o777, found.st_mtime_ns / 1e9
        archive.addfile(info)
        self._rows.append([path, signature(found), not is_settled(found, found, begun), ""])


def _size(info: tarfile.TarInfo) -> int:
    """Return the size in a member's note: of a file, or of a link's target; for a directory its mode."""
    if info.isdir():
        return info.mode & 0o777
    return len(os.fsencode(info.linkname)) if info.issym() else info.size


class UnreadableFile(Exception):
    """A file cannot be read while an archive is packed."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


class _SizedReader:
    """Reads exactly as many bytes of a file as its member's header says; zeros where the file has become shorter."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        import hashlib

        self.digest = hashlib.sha256()
        """The digest of the bytes that were read."""
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        data = self._file.read(size) or bytes(size)
        self._left -= len(data)
        self.digest.update(data)
        return data


class _MessageWriter:
    """A writable file whose content is sent to the runtime."""

    def __init__(self, messages: MessageSocket) -> None:
        self._messages = messages
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        if len(self._waiting) >= CHUNK:
            self._messages.send({}, bytes(self._waiting))
            self._waiting.clear()
        return len(data)

    def flush(self) -> None:
        """Do nothing: smaller messages have no advantage."""

    def __enter__(self) -> _MessageWriter:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._messages.send({"done": True}, bytes(self._waiting))
