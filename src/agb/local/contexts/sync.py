"""One sync: what has changed goes from a mount to the store, or from the store to a mount. Synchronous, for a thread.

Who wins: for each file the last upload that changed it. A file goes up only if it is another one than the session last
saw, and comes down only if the stored version is another one than the session last saw. So an untouched copy never
takes the place of a newer file, on either side, and what a session has not seen it cannot delete.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import IO, Any

from attrs import define, field, frozen

from ..._wire.reply import FILE_CHANGED, FILE_CONFLICT, FILE_TOO_LARGE
from ...context_sync import UploadMode
from ..errors import Refused
from ..inside.messages import MessageSocket
from ..inside.mount_helper.tree import ARCHIVE, CHUNK, EMPTY_DIRECTORY
from ..inside.mount_helper.walk import MOST_FILES
from ..validation import shown
from .keys import folder_key
from .mounts import Mount
from .store import ContextStore, StoredFile, Writing

QUIET_SECONDS = 60.0
"""A helper from which nothing has come for so long does not go on."""
_AT_ONCE = 500
_BYTES_AT_ONCE = 16 << 20
"""Files and bytes that are put before their results are asked for."""
_NAMES_AT_ONCE = 1 << 16
_SHOWN = 5
_ATTEMPTS = 20
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")

Signature = tuple[int, ...]


class SyncFailed(Exception):  # noqa: N818 - says what happened
    """A sync did not go through, or not for all files; the message is a sentence on it."""


@define
class Seen:
    """What a session last saw of a file."""

    signature: Signature
    """What the session's file looked like."""
    version: int | None
    """The stored version; None for a file that came out of an archive, and is stored in that only."""
    etag: str = ""
    mode: int = 0
    is_sure: bool = True
    """Whether the session's file looks different if it was changed since."""
    is_unpacked: bool = False
    """Whether it is an archive that was unpacked and deleted from the session, by us."""


@define
class Binding:
    """A mount in a running session, and what the session has seen of it."""

    mount: Mount
    top: str
    """The directory from which ``steps`` lead to the mount, one by one and over no link; seen from inside."""
    steps: tuple[str, ...]
    seen: dict[str, Seen] = field(factory=dict, repr=False)
    """By the path relative to the mount."""

    def has_changed(self, path: str, now: Signature) -> bool:
        """Return whether a file of the session may be another one than was last seen."""
        known = self.seen.get(path)
        return known is None or not known.is_sure or known.signature != now

    whole: int | None = None
    """The version of the mount's archive, if nothing is in it that the session has not."""


@frozen
class Bounds:
    """What one sync may take; seconds and bytes."""

    seconds: float
    file_size: int
    unpacked: int


class Sync:
    """One sync of a binding, over the line to a helper that was started for it."""

    def __init__(self, store: ContextStore, binding: Binding, channel: socket.socket, bounds: Bounds) -> None:
        self._store = store
        self._binding = binding
        self._mount = binding.mount
        self._selection = binding.mount.selection
        self._channel = channel
        self._line = MessageSocket(channel, largest=4 * CHUNK)
        self._bounds = bounds
        self._end = time.monotonic() + bounds.seconds
        self._problems: dict[str, str] = {}
        self._broken_off = ""

    def break_off(self, why: str) -> None:
        """End it from any thread, as failed, for a reason."""
        self._broken_off = self._broken_off or why
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._line.close()

    def run(self, *, upload: bool, below: str = "") -> None:
        """Bring everything below a path of the mount to the other side. Raises ``SyncFailed``."""
        try:
            self._open(make=not upload)
            is_archive = self._mount.policy.upload.upload_mode is UploadMode.ARCHIVE
            if upload and is_archive:
                self._upload_archive()
            elif upload:
                self._upload(below)
            elif is_archive:
                self._download("")
            else:
                self._download(below)
        except Refused as refusal:
            raise SyncFailed(refusal.message) from refusal
        except TimeoutError as error:
            raise SyncFailed(self._broken_off or self._why_too_late()) from error
        except (OSError, EOFError) as error:
            raise SyncFailed(self._broken_off or f"the program that works on the mount ended: {error}") from error
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            raise SyncFailed("the program that works on the mount answered something that makes no sense") from error
        if self._problems:
            verb = "stored" if upload else "brought into the session"
            raise SyncFailed(_told(f"all was {verb} but for", self._problems))

    def _why_too_late(self) -> str:
        if time.monotonic() >= self._end:
            return f"it was not done within {self._bounds.seconds:.0f} seconds"
        return f"nothing has come from the session for {QUIET_SECONDS:.0f} seconds"

    # --- the line ---

    def _send(self, header: dict[str, Any], blob: bytes = b"") -> None:
        self._wait_at_most()
        self._line.send(header, blob)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Return the next message of the helper, within the time there is."""
        self._wait_at_most()
        return self._line.receive()

    def _wait_at_most(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._channel.settimeout(min(left, QUIET_SECONDS))

    def _note(self, rows: Iterable[Sequence[Any]]) -> None:
        """Send rows ahead of what they are for."""
        some: list[Sequence[Any]] = []
        size = 0
        for row in rows:
            some.append(row)
            size += len(row[0]) + 64
            if size > _NAMES_AT_ONCE:
                self._send({"op": "note"}, json.dumps(some).encode())
                some, size = [], 0
        self._send({"op": "note"}, json.dumps(some).encode())

    def _open(self, *, make: bool) -> None:
        binding = self._binding
        self._send({"op": "open", "top": binding.top, "below": binding.steps, "make": make})
        header, _ = self.receive()
        if header.get("failed"):
            raise SyncFailed(f"the directory {shown(self._mount.path)} cannot be used: {header['failed']}")

    def _list(self, below: str, *, everything: bool = False) -> tuple[dict[str, Signature], dict[str, str]]:
        """Return the files below a path, wanted or all, and what cannot be listed, with the reason."""
        lists = [] if everything else self._mount.policy.white_lists
        self._send({"op": "list", "lists": lists, "below": below})
        files: dict[str, Signature] = {}
        failures: dict[str, str] = {}
        for path, signature, failure in _Rows(self):
            if signature is None or not _is_plain(path) or not _is_plain(self._key(path)[1:]):
                failures[str(path)] = str(failure) or "its name is not UTF-8, or too long"
            elif everything or self._is_wanted(path, below):
                files[path] = _signature(signature)
        return files, failures

    def _is_wanted(self, path: str, below: str) -> bool:
        inside = not below or path == below or path.startswith(f"{below}/")
        return inside and self._selection.wants(path.removesuffix(f"/{EMPTY_DIRECTORY}"))

    def _key(self, path: str) -> str:
        return f"{self._mount.keys}/{path}".removesuffix(f"/{EMPTY_DIRECTORY}")

    # --- from the session to the store ---

    def _upload(self, below: str) -> None:
        files, failures = self._list(below)
        if below in failures:
            raise SyncFailed(f"nothing was stored: {shown(below or self._mount.path)}: {failures[below]}")
        self._problems.update(failures)
        seen = self._binding.seen
        changed = {path: now for path, now in files.items() if self._binding.has_changed(path, now)}
        conflicts = self._store_all(changed)
        gone = [path for path in seen if path not in files and self._is_wanted(path, below)]
        self._forget([path for path in gone if not any(_is_within(path, failed) for failed in failures)])
        # A file where a directory was, or the other way round: now there is room for it.
        self._problems.update(self._store_all({path: changed[path] for path in conflicts}))

    def _store_all(self, files: Mapping[str, Signature]) -> dict[str, str]:
        """Store files as they are now; return those for which there is no room in the tree of what is stored."""
        conflicts: dict[str, str] = {}
        directories = [path for path in files if _is_directory(path)]
        for path in directories:
            self._store_directory(path, files[path], conflicts)
        for some in _batches(path for path in files if not _is_directory(path)):
            self._send({"op": "send"}, json.dumps(some).encode())
            waiting = set(some)
            while True:
                header, blob = self.receive()
                if header.get("end"):
                    break
                waiting.remove(header["path"])
                if header.get("gone"):
                    continue
                if header.get("failed"):
                    self._problems[header["path"]] = str(header["failed"])
                else:
                    self._store_file(header, blob, conflicts)
        return conflicts

    def _store_directory(self, path: str, signature: Signature, conflicts: dict[str, str]) -> None:
        try:
            stored = self._store.make_directory(self._mount.context_id, self._key(path), mode=signature[4])
        except Refused as refusal:
            _note(refusal, path, conflicts)
        else:
            self._binding.seen[path] = Seen(signature, stored.version)

    def _store_file(self, header: dict[str, Any], blob: bytes, conflicts: dict[str, str]) -> None:
        """Store the file whose first part has come."""
        path, mode, mtime = header["path"], _number(header["mode"]) & 0o777, _number(header["mtime"]) / 1e9
        limit = self._bounds.file_size
        with self._store.writing(
            self._mount.context_id, self._key(path), mode=mode, mtime=mtime, size_limit=limit
        ) as writing:
            failed: Refused | None = None
            while True:
                try:
                    if failed is None:
                        writing.write(blob)
                except Refused as refusal:
                    if refusal.code != FILE_TOO_LARGE:
                        raise
                    failed = refusal  # the rest of the file is on its way already
                if "done" in header or header.get("failed"):
                    break
                header, blob = self.receive()
            if header.get("failed"):
                self._problems[path] = str(header["failed"])
            elif failed is not None:
                self._problems[path] = failed.message
            else:
                self._commit(writing, path, mode, header, conflicts)

    def _commit(
        self, writing: Writing, path: str, mode: int, header: dict[str, Any], conflicts: dict[str, str]
    ) -> None:
        signature, is_sure = _signature(header["done"]), header.get("unsure") is False
        seen = self._binding.seen.get(path)
        if seen is not None and seen.version is not None and seen.etag == writing.etag and seen.mode == mode:
            seen.signature, seen.is_sure = signature, is_sure  # it only looked changed
            return
        try:
            stored = writing.commit()
        except Refused as refusal:
            _note(refusal, path, conflicts)
        else:
            self._binding.seen[path] = Seen(signature, stored.version, stored.etag, mode, is_sure)

    def _forget(self, paths: Sequence[str]) -> None:
        """Remove from the store what is gone from the session, unless somebody has stored another version meanwhile."""
        seen = self._binding.seen
        for path in paths:
            version = seen[path].version
            if seen[path].is_unpacked:
                continue
            del seen[path]
            if version is not None and self._mount.policy.delete.sync_local_file:
                self._store.remove(self._mount.context_id, self._key(path), version)

    # --- from the store to the session ---

    def _download(self, below: str) -> None:
        stored = self._stored(below)
        news = {
            path: file
            for path, file in stored.items()
            if path not in self._binding.seen or self._binding.seen[path].version != file.version
        }
        archives = {path for path in news if self._mount.policy.extract.extract and path.lower().endswith(_ARCHIVES)}
        self._put({path: file for path, file in news.items() if path not in archives})
        for path in sorted(archives):
            self._put({path: news[path]})
            if path not in self._problems:
                self._unpack(path, stored.keys() - archives)

    def _stored(self, below: str) -> dict[str, StoredFile]:
        """Return what is stored below a path and wanted, by the path relative to the mount."""
        top = f"{self._mount.keys}/{below}" if below else self._mount.keys
        found = list(self._store.files(self._mount.context_id, top))
        if below and (single := self._store.stat(self._mount.context_id, top)) is not None:
            found.append(single)
        stored: dict[str, StoredFile] = {}
        for file in found:
            path = file.path[len(self._mount.keys) + 1 :]
            if self._selection.wants(path) or path == ARCHIVE:
                stored[f"{path}/{EMPTY_DIRECTORY}" if file.kind == "directory" else path] = file
        return stored

    def _put(self, files: dict[str, StoredFile]) -> None:
        """Put files into the mount, in the order in which directories are entered once."""
        waiting: dict[str, StoredFile] = {}
        size = 0
        for path, file in sorted(files.items()):
            sent = self._put_one(path, file)
            if sent is None:
                continue  # gone from the store meanwhile
            waiting[path] = sent
            size += sent.size
            if len(waiting) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
                self._settle(waiting)
                waiting, size = {}, 0
        self._settle(waiting)

    def _put_one(self, path: str, file: StoredFile) -> StoredFile | None:
        if file.kind == "directory":
            self._send({"op": "put", "path": path, "mode": file.mode & 0o777})
            return file
        try:
            content, found = self._store.open(self._mount.context_id, file.path)
        except Refused:
            self._store.get(self._mount.context_id)  # or else the context itself is gone
            return None
        with content:
            header = {"op": "put", "path": path, "mode": found.mode & 0o777, "mtime": int(found.mtime * 1e9)}
            left = found.size
            while True:
                part = _read(content, min(CHUNK, left))
                left -= len(part)
                if left and not part:
                    self._send({"op": "drop"})
                    break
                self._send({**header, "last": not left}, part)
                if not left:
                    break
                header = {"op": "put"}
        return found

    def _settle(self, waiting: dict[str, StoredFile]) -> None:
        """Learn what became of the files that were put."""
        if not waiting:
            return
        self._send({"op": "results"})
        for path, signature, failure in _Rows(self):
            file = waiting.pop(path)
            if signature is None:
                self._problems[path] = str(failure)
            else:
                self._binding.seen[path] = Seen(_signature(signature), file.version, file.etag, file.mode & 0o777)

    # --- archives ---

    def _unpack(self, path: str, stored: Collection[str]) -> None:
        """Unpack an archive that has come; it takes the place of nothing that is stored, or is the session's own."""
        policy = self._mount.policy
        is_whole = path == ARCHIVE
        directory = path.rpartition("/")[0]
        into = directory if is_whole or policy.extract.extract_current_folder else _without_suffix(path)
        seen = self._binding.seen
        present, _ = self._list(into, everything=True)
        own = [name for name, now in present.items() if name not in seen or seen[name].signature != now]
        gone = [name for name in seen if _is_within(name, into) and name not in present]
        self._note([name] for name in {*own, *gone, *stored})
        self._send(
            {
                "op": "extract",
                "path": path,
                "into": into,
                "delete": policy.extract.delete_src_file,
                "most": self._bounds.unpacked,
                "lists": policy.white_lists if is_whole else [],
            }
        )
        rows = _Rows(self)
        try:
            for name, signature in rows:
                seen[_checked(name)] = Seen(_signature(signature), None)
        except SyncFailed as error:
            self._problems[path] = str(error)
            return
        if policy.extract.delete_src_file:
            seen[path].is_unpacked = True
        if is_whole:
            self._binding.whole = None if rows.end.get("left") else seen[path].version

    def _upload_archive(self) -> None:
        """Store the whole mount as one archive, with what other sessions have put into it meanwhile."""
        files, failures = self._list("")
        if "" in failures:
            raise SyncFailed(f"nothing was stored: {failures['']}")
        self._problems.update(failures)
        seen = self._binding.seen
        # Files that are stored one by one stay so until they change.
        apart = {path for path, known in seen.items() if known.version is not None and path != ARCHIVE}
        changed = {path for path, now in files.items() if self._binding.has_changed(path, now)}
        gone = {
            path
            for path in seen
            if path not in files and path != ARCHIVE and not any(_is_within(path, failed) for failed in failures)
        }
        self._forget([path for path in gone if path in apart])
        gone -= apart
        if changed or gone:
            packed = self._pack(files, changed, gone, apart - changed, failures)
            for path in apart & packed:
                self._store.remove(self._mount.context_id, self._key(path), seen[path].version or 0)
        for path in gone:
            seen.pop(path, None)

    def _pack(
        self,
        files: Mapping[str, Signature],
        changed: Set[str],
        gone: Set[str],
        apart: Set[str],
        failures: Mapping[str, str],
    ) -> set[str]:
        """Store the archive and return which of the session's files are in it."""
        seen = self._binding.seen
        key = self._key(ARCHIVE)
        unreadable = set(failures)
        for _ in range(_ATTEMPTS):
            last = self._store.stat(self._mount.context_id, key)
            deletes = self._mount.policy.delete.sync_local_file
            merge = last is not None and (
                last.version != self._binding.whole or bool(unreadable) or (bool(gone) and not deletes)
            )
            if merge and last is not None and not self._bring_last(last):
                continue
            self._note(self._instructions(files, changed, gone, apart, unreadable))
            with self._store.writing(
                self._mount.context_id, key, mode=0o600, size_limit=self._bounds.file_size
            ) as writing:
                self._send(
                    {"op": "pack", "merge": merge, "deletes": deletes, "discard": self._mount.policy.extract.extract}
                )
                failure, culprit = self._take_archive(writing)
                rows = _Rows(self)
                packed = {
                    _checked(path): Seen(_signature(signature), None, str(digest), is_sure=unsure is False)
                    for path, signature, unsure, digest in rows
                }
                if culprit:
                    unreadable.add(culprit)
                    self._problems[culprit] = failure
                    continue
                if failure:
                    raise SyncFailed(failure)
                try:
                    stored = writing.commit(None if last is None else last.version)
                except Refused as refusal:
                    if refusal.code != FILE_CHANGED:
                        raise
                    continue  # somebody else was faster
            seen.update(packed)
            if not rows.end.get("foreign"):
                self._binding.whole = stored.version
                seen[ARCHIVE] = Seen((), stored.version, stored.etag, is_unpacked=True)
            return set(packed)
        raise SyncFailed("other sessions stored the same archive again and again meanwhile; try again")

    def _instructions(
        self,
        files: Mapping[str, Signature],
        changed: Set[str],
        gone: Set[str],
        apart: Set[str],
        unreadable: Set[str],
    ) -> Iterator[list[Any]]:
        """Yield what is to be done with each path, as the helper's ``pack`` takes it."""
        seen = self._binding.seen
        for path, now in files.items():
            if path in unreadable or path in apart:
                continue
            size = now[4] if _is_directory(path) else now[0]
            known = seen.get(path)
            digest = known.etag if known is not None and known.signature == now else ""
            yield [path, ("check" if digest else "take") if path in changed else "same", size, now[1], digest]
        for path in gone:
            yield [path, "gone", seen[path].signature[0], seen[path].signature[1], ""]

    def _bring_last(self, last: StoredFile) -> bool:
        """Put the archive that is stored beside the files, for the helper to merge; return whether it was still there.

        In a place of its own, whether or not the policy leaves one there.
        """
        problems = len(self._problems)
        sent = self._put_one(ARCHIVE, last)
        if sent is None:
            return False
        self._send({"op": "results"})
        for _, signature, failure in _Rows(self):
            if signature is None:
                raise SyncFailed(f"the archive of the mount cannot be merged: {failure}")
        return sent.version == last.version and len(self._problems) == problems

    def _take_archive(self, writing: Writing) -> tuple[str, str]:
        """Take what the helper packs; return what failed, and the file for which it did."""
        failed: Refused | None = None
        while True:
            header, blob = self.receive()
            if header.get("failed"):
                return str(header["failed"]), _checked(header["path"]) if "path" in header else ""
            try:
                if failed is None:
                    writing.write(blob)
            except Refused as refusal:
                failed = refusal  # the rest is on its way already
            if header.get("done"):
                return "" if failed is None else failed.message, ""


class _Rows:
    """The rows of an answer, and what its end says. What arrives is not trusted. Raises ``SyncFailed``."""

    def __init__(self, sync: Sync) -> None:
        self.end: dict[str, Any] = {}
        self._sync = sync

    def __iter__(self) -> Iterator[list[Any]]:
        count = 0
        while True:
            header, blob = self._sync.receive()
            if header.get("failed"):
                raise SyncFailed(str(header["failed"]))
            if header.get("end"):
                self.end = header
                return
            for row in json.loads(blob):
                count += 1
                if count > MOST_FILES:
                    raise SyncFailed(f"there are more than {MOST_FILES:,} files")
                yield row


def _note(refusal: Refused, path: str, conflicts: dict[str, str]) -> None:
    if refusal.code != FILE_CONFLICT:
        raise refusal
    conflicts[path] = refusal.message


def _is_plain(path: Any) -> bool:
    """Return whether a path that was sent to us is one below the mount, in the form in which we write them."""
    if not isinstance(path, str):
        return False
    try:
        return bool(path) and folder_key(f"/{path}") == f"/{path}"
    except Refused:
        return False


def _checked(path: Any) -> str:
    if not _is_plain(path):
        raise ValueError("a path makes no sense")
    return str(path)


def _number(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise ValueError("a number makes no sense")
    return value


def _signature(value: Any) -> Signature:
    if not isinstance(value, list) or len(value) != 5:
        raise ValueError("a signature makes no sense")
    return tuple(map(_number, value))


def _is_within(path: str, top: str) -> bool:
    return not top or path == top or path.startswith(f"{top}/")


def _is_directory(path: str) -> bool:
    return path.endswith(f"/{EMPTY_DIRECTORY}")


def _without_suffix(path: str) -> str:
    return next((path[: -len(suffix)] for suffix in _ARCHIVES if path.lower().endswith(suffix)), path)


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    """Yield the paths, so many at once as fit into a message."""
    some: list[str] = []
    size = 0
    for path in paths:
        some.append(path)
        size += len(path) + 16
        if size > _NAMES_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _read(content: IO[bytes], size: int) -> bytes:
    """Return so many bytes, fewer only at the end."""
    data = content.read(size)
    while len(data) < size and (more := content.read(size - len(data))):
        data += more
    return data


def _told(what: str, problems: Mapping[str, str]) -> str:
    told = [f"{shown(path, 200)} ({why})" for path, why in list(problems.items())[:_SHOWN]]
    more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return f"{what} {', '.join(told)}{more}"
