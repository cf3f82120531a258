"""Uploading a mount file by file: the files that differ from their last synced version are stored."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from ..._wire.reply import FILE_CONFLICT, FILE_TOO_LARGE
from ..errors import Refused
from ..inside.mount_helper.selection import is_within
from ..inside.mount_helper.tree import link_fault
from ..validation import shown
from .binding import LastSynced, Signature, SyncFailed
from .helper_client import batches, checked_number, checked_signature
from .keys import LONGEST_PATH
from .sync_work import SyncWork, is_directory
from .writing import Writing


class Upload:
    """One upload."""

    def __init__(self, work: SyncWork) -> None:
        self._work = work
        self._conflicts: dict[str, str] = {}
        """Files that the tree of stored files has no place for, with the reason."""

    def run(self, below: str) -> None:
        """Store the changed files below a path, and remove those that the session removed."""
        work = self._work
        files, failures = work.list(below)
        if below in failures:
            raise SyncFailed(f"nothing was stored: {shown(below or work.mount.path)}: {failures[below]}")
        work.problems.update(failures)
        changed = {path: now for path, now in files.items() if work.binding.has_changed(path, now)}
        self._store(changed)
        gone = [path for path in work.last_synced if path not in files and work.is_wanted(path, below)]
        work.forget([path for path in gone if not any(is_within(path, failed) for failed in failures)])
        # A file where a directory was, or the reverse: the removals above have made the place free.
        conflicts, self._conflicts = self._conflicts, {}
        self._store({path: changed[path] for path in conflicts})
        work.problems.update(self._conflicts)

    def _store(self, files: Mapping[str, Signature]) -> None:
        """Store files as they are now."""
        helper = self._work.helper
        for path, signature in files.items():
            if is_directory(path):
                self._store_directory(path, signature)
        for batch in batches((path for path in files if not is_directory(path)), lambda path: len(path) + 16):
            helper.send({"op": "send"}, json.dumps(batch).encode())
            waiting = set(batch)
            while True:
                header, blob = helper.receive()
                if header.get("end"):
                    break
                waiting.remove(header["path"])
                if header.get("gone"):
                    continue
                if header.get("failed"):
                    self._work.problems[header["path"]] = str(header["failed"])
                else:
                    self._store_file(header, blob)

    def _store_directory(self, path: str, signature: Signature) -> None:
        work = self._work
        try:
            stored = work.store.make_directory(work.mount.context_id, work.key(path), mode=signature[4])
        except Refused as refusal:
            self._note_conflict(refusal, path)
        else:
            work.last_synced[path] = LastSynced(signature, stored.version)

    def _store_file(self, header: dict[str, Any], blob: bytes) -> None:
        """Store a file, or a link, whose first part was received."""
        work = self._work
        path, mode = header["path"], checked_number(header["mode"])
        is_link = stat.S_ISLNK(mode)
        if is_link:
            _check_link(path, header, blob)
        mode = mode & 0o777 | (stat.S_IFLNK if is_link else 0)
        with work.store.writing(
            work.mount.context_id,
            work.key(path),
            kind="link" if is_link else "file",
            mode=mode & 0o777,
            mtime=checked_number(header["mtime"]) / 1e9,
            size_limit=work.bounds.file_size,
        ) as writing:
            failed: Refused | None = None
            while True:
                try:
                    if failed is None:
                        writing.write(blob)
                except Refused as refusal:
                    if refusal.code != FILE_TOO_LARGE:
                        raise
                    failed = refusal  # the helper sends the rest of the file all the same
                if "done" in header or header.get("failed"):
                    break
                header, blob = work.helper.receive()
            if header.get("failed"):
                work.problems[path] = str(header["failed"])
            elif failed is not None:
                work.problems[path] = failed.message
            else:
                self._commit(writing, path, mode, header)

    def _commit(self, writing: Writing, path: str, mode: int, header: dict[str, Any]) -> None:
        signature, is_sure = checked_signature(header["done"]), header.get("unsure") is False
        known = self._work.last_synced.get(path)
        if known is not None and known.version is not None and known.etag == writing.etag and known.mode == mode:
            # Only the signature changed. A new version would make other sessions download the same content, and would
            # replace a version that another session has stored since.
            known.signature, known.is_sure = signature, is_sure
            return
        try:
            stored = writing.commit()
        except Refused as refusal:
            self._note_conflict(refusal, path)
        else:
            self._work.last_synced[path] = LastSynced(signature, stored.version, stored.etag, mode, is_sure)

    def _note_conflict(self, refusal: Refused, path: str) -> None:
        if refusal.code != FILE_CONFLICT:
            raise refusal
        self._conflicts[path] = refusal.message


def _check_link(path: str, header: dict[str, Any], target: bytes) -> None:
    """Raise ``ValueError`` unless an answer has a whole link that may be kept."""
    whole = "done" in header and 0 < len(target) <= LONGEST_PATH and b"\0" not in target
    if not whole or link_fault(path, os.fsdecode(target)):
        raise ValueError("a link is invalid")
