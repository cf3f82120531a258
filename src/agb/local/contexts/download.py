"""Downloading into a mount: the stored versions that differ from the last synced ones; archives are unpacked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..errors import Refused
from ..inside.mount_helper.selection import is_within, joined
from ..inside.mount_helper.tree import ARCHIVE, DIRECTORY
from .binding import LastSynced, SyncFailed
from .helper_client import checked_path, checked_signature
from .stored import StoredFile
from .sync_work import SyncWork, is_directory, read_part

_FILES_AT_ONCE = 500
_BYTES_AT_ONCE = 16 << 20
"""Files and bytes that are sent before their results are requested."""
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


class Download:
    """One download."""

    def __init__(self, work: SyncWork) -> None:
        self._work = work

    def run(self, below: str) -> None:
        """Write the stored files below a path into the mount."""
        work = self._work
        stored = self._stored(below)
        new = {
            path: file
            for path, file in stored.items()
            if path not in work.last_synced or work.last_synced[path].version != file.version
        }
        archives = {path for path in new if work.mount.policy.extract.extract and path.lower().endswith(_ARCHIVES)}
        self._put({path: file for path, file in new.items() if path not in archives})
        for path in sorted(archives):
            self._put({path: new[path]})
            if path not in work.problems:
                self._unpack(path, stored.keys() - archives)

    def _stored(self, below: str) -> dict[str, StoredFile]:
        """Return the selected files that are stored below a path, by the path relative to the mount."""
        mount, store = self._work.mount, self._work.store
        top = f"{mount.keys}/{below}" if below else mount.keys
        found = list(store.files(mount.context_id, top))
        if (single := store.stat(mount.context_id, top)) is not None and self._has_place(single):
            found.append(single)
        stored: dict[str, StoredFile] = {}
        for file in found:
            path = file.path[len(mount.keys) + 1 :]
            if mount.selection.wants(path) or path == ARCHIVE:
                stored[joined(path, DIRECTORY) if file.kind == "directory" else path] = file
        return stored

    def _has_place(self, file: StoredFile) -> bool:
        """Return whether a file is below the mount's top directory, or that is it and its mode is kept."""
        is_top = file.path == self._work.mount.keys
        return not is_top or (file.kind == "directory" and self._work.binding.keeps_top)

    def _put(self, files: dict[str, StoredFile]) -> None:
        """Write files into the mount, sorted, so that each directory is opened once."""
        waiting: dict[str, StoredFile] = {}
        size = 0
        for path, file in sorted(files.items()):
            sent = send_file(self._work, path, file)
            if sent is None:
                continue  # removed from the store meanwhile
            waiting[path] = sent
            size += sent.size
            if len(waiting) >= _FILES_AT_ONCE or size >= _BYTES_AT_ONCE:
                self._receive_results(waiting)
                waiting, size = {}, 0
        self._receive_results(waiting)

    def _receive_results(self, waiting: dict[str, StoredFile]) -> None:
        """Receive the results for the files that were sent."""
        if not waiting:
            return
        work = self._work
        work.helper.send({"op": "results"})
        for path, signature, failure in work.helper.rows():
            file = waiting.pop(path)
            if signature is None:
                work.problems[path] = str(failure)
            else:
                work.last_synced[path] = LastSynced(
                    checked_signature(signature), file.version, file.etag, file.sync_mode
                )

    def _unpack(self, path: str, stored: Collection[str]) -> None:
        """Unpack an archive that was written; it replaces no stored file, and no file that the session changed."""
        work = self._work
        extract = work.mount.policy.extract
        is_whole = path == ARCHIVE
        directory = path.rpartition("/")[0]
        into = directory if is_whole or extract.extract_current_folder else _without_suffix(path)
        known = work.last_synced
        present, _ = work.list(into, everything=True)
        own = [name for name, now in present.items() if name not in known or known[name].signature != now]
        gone = [name for name in known if is_within(name, into) and name not in present]
        work.helper.note([name] for name in {*own, *gone, *stored})
        request: dict[str, Any] = {
            "op": "extract",
            "path": path,
            "into": into,
            "delete": extract.delete_src_file,
            "most": work.bounds.unpacked,
            "lists": work.mount.policy.white_lists if is_whole else [],
        }
        work.helper.send(request)
        rows = work.helper.rows()
        try:
            for name, signature in rows:
                known[checked_path(name)] = LastSynced(checked_signature(signature), None)
        except SyncFailed as error:
            work.problems[path] = str(error)
            return
        if extract.delete_src_file:
            known[path].is_unpacked = True
        if is_whole:
            work.binding.archive_version = None if rows.end.get("left") else known[path].version


def send_file(work: SyncWork, path: str, file: StoredFile) -> StoredFile | None:
    """Send a stored file to the mount; return the version that was sent, None if the file is not stored any more."""
    if is_directory(path):
        work.helper.send({"op": "put", "path": path, "mode": file.sync_mode})
        return file
    try:
        content, found = work.store.open(work.mount.context_id, file.path)
    except Refused:
        work.store.get(work.mount.context_id)  # raises if the context itself was deleted
        return None
    with content:
        header: dict[str, Any] = {
            "op": "put",
            "path": path,
            "mode": found.sync_mode,
            "mtime": int(found.mtime * 1e9),
        }
        left = found.size
        while True:
            part = read_part(content, left)
            left -= len(part)
            if left and not part:
                work.helper.send({"op": "drop"})
                break
            work.helper.send({**header, "last": not left}, part)
            if not left:
                break
            header = {"op": "put"}
    return found


def _without_suffix(path: str) -> str:
    return next((path[: -len(suffix)] for suffix in _ARCHIVES if path.lower().endswith(suffix)), path)
