"""Uploading a mount as one archive, merged with the files that other sessions have stored in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from attrs import frozen

from ..._wire.reply import FILE_CHANGED
from ..errors import Refused
from ..inside.mount_helper.selection import is_within
from ..inside.mount_helper.tree import ARCHIVE
from .binding import LastSynced, Signature, SyncFailed
from .download import send_file
from .helper_client import Rows, checked_path, checked_signature
from .stored import StoredFile
from .sync_work import SyncWork, is_directory
from .writing import Writing

_ATTEMPTS = 20


@frozen
class _Changes:
    """The state of the session's files, compared with their last synced versions."""

    files: Mapping[str, Signature]
    """The files that the session has."""
    changed: Set[str]
    gone: Set[str]
    """The files that were in the archive, and that the session removed."""
    separate: Set[str]
    """The files that are stored one by one, and not changed: they are not packed."""
    unreadable: set[str]
    """The files that cannot be packed; the stored archive's members of these names stay."""


class ArchiveUpload:
    """One upload of an archive.

    Two sessions may upload archives of one mount at the same time. Each commit names the version that it has merged,
    so the store refuses the later one, which then merges again. The archive is merged only if it has files that this
    session may not have: if it is not the version that this session stored or unpacked completely.
    """

    def __init__(self, work: SyncWork) -> None:
        self._work = work
        self._key = work.key(ARCHIVE)

    def run(self) -> None:
        """Store the whole mount as one archive."""
        work = self._work
        files, failures = work.list("")
        if "" in failures:
            raise SyncFailed(f"nothing was stored: {failures['']}")
        work.problems.update(failures)
        known = work.last_synced
        # Files that are stored one by one stay so until they change.
        versions = {path: last.version for path, last in known.items() if last.version and path != ARCHIVE}
        separate = versions.keys()
        changed = {path for path, now in files.items() if work.binding.has_changed(path, now)}
        gone = {
            path
            for path in known
            if path not in files and path != ARCHIVE and not any(is_within(path, failed) for failed in failures)
        }
        work.forget([path for path in gone if path in separate])
        gone -= separate
        if changed or gone:
            packed = self._store(_Changes(files, changed, gone, separate - changed, set(failures)))
            for path in separate & packed:
                work.store.remove(work.mount.context_id, work.key(path), versions[path])
        for path in gone:
            known.pop(path, None)

    def _store(self, changes: _Changes) -> set[str]:
        """Store the archive; return which of the session's files are in it."""
        for _ in range(_ATTEMPTS):
            last = self._work.store.stat(self._work.mount.context_id, self._key)
            merge = last is not None and self._must_merge(last, changes)
            if merge and last is not None and not self._send_last(last):
                continue
            if (packed := self._pack(changes, last, merge=merge)) is not None:
                return packed
        raise SyncFailed("other sessions stored the same archive again and again meanwhile; try again")

    def _must_merge(self, last: StoredFile, changes: _Changes) -> bool:
        keeps_gone = bool(changes.gone) and not self._work.mount.policy.delete.sync_local_file
        return last.version != self._work.binding.archive_version or bool(changes.unreadable) or keeps_gone

    def _pack(self, changes: _Changes, last: StoredFile | None, *, merge: bool) -> set[str] | None:
        """Pack and store the archive once; return which files are in it, None if that has to be repeated."""
        work, policy = self._work, self._work.mount.policy
        work.helper.note(self._notes(changes))
        with work.store.writing(
            work.mount.context_id, self._key, mode=0o600, size_limit=work.bounds.file_size
        ) as writing:
            deletes, discard = policy.delete.sync_local_file, policy.extract.extract
            work.helper.send({"op": "pack", "merge": merge, "deletes": deletes, "discard": discard})
            failure, unreadable = self._receive_archive(writing)
            rows = work.helper.rows()
            packed = _packed(rows)
            if unreadable:
                changes.unreadable.add(unreadable)
                work.problems[unreadable] = failure
                return None
            if failure:
                raise SyncFailed(failure)
            try:
                if last is not None and writing.etag == last.etag:
                    stored = last  # nothing has changed: files that were changed within a clock tick were read again
                else:
                    stored = writing.commit(None if last is None else last.version)
            except Refused as refusal:
                if refusal.code != FILE_CHANGED:
                    raise
                return None  # another session has stored the archive in between
        work.last_synced.update(packed)
        if not rows.end.get("foreign"):
            work.binding.archive_version = stored.version
            work.last_synced[ARCHIVE] = LastSynced((), stored.version, stored.etag, is_unpacked=True)
        return set(packed)

    def _notes(self, changes: _Changes) -> Iterator[list[Any]]:
        """Yield a row for each path: the action, as the helper's ``pack`` reads it."""
        known = self._work.last_synced
        for path, now in changes.files.items():
            if path in changes.unreadable or path in changes.separate:
                continue
            size = now[4] if is_directory(path) else now[0]
            last = known.get(path)
            digest = last.etag if last is not None and last.signature == now else ""
            yield [path, ("check" if digest else "take") if path in changes.changed else "same", size, now[1], digest]
        for path in changes.gone:
            last_seen = known[path].signature
            yield [path, "gone", last_seen[4] if is_directory(path) else last_seen[0], last_seen[1], ""]

    def _send_last(self, last: StoredFile) -> bool:
        """Send the stored archive to the mount, where the helper merges it; return False if it was replaced meanwhile.

        Its name is reserved, so it replaces no file of the session.
        """
        work = self._work
        problems = len(work.problems)
        sent = send_file(work, ARCHIVE, last)
        if sent is None:
            return False
        work.helper.send({"op": "results"})
        for _, signature, failure in work.helper.rows():
            if signature is None:
                raise SyncFailed(f"the archive of the mount cannot be merged: {failure}")
        return sent.version == last.version and len(work.problems) == problems

    def _receive_archive(self, writing: Writing) -> tuple[str, str]:
        """Write the archive that the helper packs; return what failed, and the path of the file that is unreadable."""
        failed: Refused | None = None
        while True:
            header, blob = self._work.helper.receive()
            if header.get("failed"):
                if header.get("end"):
                    raise SyncFailed(str(header["failed"]))
                return str(header["failed"]), checked_path(header["path"]) if "path" in header else ""
            try:
                if failed is None:
                    writing.write(blob)
            except Refused as refusal:
                failed = refusal  # the helper sends the rest all the same
            if header.get("done"):
                return "" if failed is None else failed.message, ""


def _packed(rows: Rows) -> dict[str, LastSynced]:
    return {
        checked_path(path): LastSynced(checked_signature(signature), None, str(digest), is_sure=unsure is False)
        for path, signature, unsure, digest in rows
    }
