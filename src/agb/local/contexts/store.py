"""The store: contexts and their files on disk, which survive any end of the process. Synchronous, for threads; no HTTP.

Metadata is in one SQLite database (`database`), the content of each version of a file in a blob of its own (`blobs`).

**Blob before row.** A blob is written, synced to the disk and renamed to its place before the transaction that inserts
the row that names it; and the row of a removed version is deleted, and that committed, before its blob is unlinked. So
at any moment, also after a power failure, every row has its blob, and the only possible garbage is a blob without a
row, which the next opening removes. A write is reported as successful only after its commit: what was acknowledged is
never lost, and what was not is complete or absent.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from ..._wire.reply import CONTEXT_NAME_TAKEN
from ..errors import Refused, context_not_found, file_not_found, invalid
from ..page_tokens import number_before, path_before, token_after
from .blobs import Blobs, sync_directory
from .database import Database
from .group_commit import GroupCommit
from .keys import below, context_name, file_key, folder_key
from .last_use import LastUse
from .removal import Recycling, Removal
from .rows import FILE_COLUMNS, available_context, context_row, get_file, put_file, set_last_used
from .stored import ANY, AnyVersion, ContextPage, FileKind, FilePage, StoredContext, StoredFile
from .writing import Writing


class ContextStore:
    """The contexts below one directory, which one process at a time may open. All methods are safe in any thread.

    Every method that takes a context's id raises ``Refused`` when there is no such context, every one that takes a path
    when that cannot be one, and every one that changes something when the disk is full: then nothing has changed.
    ``clock`` returns seconds since the epoch. Opening completes the clearing and deleting that a killed process had
    begun, and raises ``CannotStart`` if the directory has other contents.

    For example::

        store = ContextStore(Path("contexts"))
        context = store.find("my-data", create=True)
        with store.writing(context.id, "/tmp/x.txt") as writing:
            writing.write(b"hello")
            stored = writing.commit()
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(directory.parent)
        self._clock = clock
        self._blobs = Blobs(directory)
        self._database = Database(directory / "contexts.sqlite3")
        self._commits = GroupCommit(self._database)
        self._removal = Removal(self._database, self._blobs)
        self._last_use = LastUse(self._database)
        self.recycling = Recycling(self._database, self._removal, clock)
        """The rules for how long files are kept."""
        try:
            self._resume()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the store; every later call is refused. May be called more than once."""
        with self._database.lock:
            if not self._database.is_closed:
                self._last_use.write()
                self._database.close()

    def _resume(self) -> None:
        """Complete the work that a killed process had begun, and remove its garbage."""
        with self._database.changing() as db:
            db.execute("UPDATE contexts SET name = NULL WHERE internal")
        with self._database.reading() as db:
            self._blobs.tidy({blob for (blob,) in db.execute("SELECT blob FROM files WHERE blob IS NOT NULL")})
            query = "SELECT number, name IS NULL FROM contexts WHERE name IS NULL OR state = 'clearing'"
            begun = db.execute(query).fetchall()
        for number, deleting in begun:
            (self._removal.delete if deleting else self._removal.clear)(number)
        self.recycle()

    # --- contexts ---

    def list(self, max_results: int, next_token: str | None = None) -> ContextPage:
        """Return a page of the contexts, oldest first, beginning after the last one of the page before.

        Raises ``Refused`` for an invalid token and a size below 1.
        """
        if max_results < 1:
            raise invalid("maxResults must be 1 or more")
        after = number_before(next_token) if next_token else 0
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT number, id, name, state, created, last_used FROM contexts"
                " WHERE number > ? AND name IS NOT NULL AND NOT internal ORDER BY number LIMIT ?",
                (after, max_results + 1),
            ).fetchall()
            (count,) = db.execute("SELECT count(*) FROM contexts WHERE name IS NOT NULL AND NOT internal").fetchone()
            contexts = [self._context(row[1:]) for row in rows[:max_results]]
        token = token_after(rows[max_results - 1][0]) if len(rows) > max_results else ""
        return ContextPage(contexts, token, count)

    def get(self, context_id: str) -> StoredContext:
        """Return a context."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT id, name, state, created, last_used FROM contexts WHERE id = ? AND name IS NOT NULL",
                (context_id,),
            ).fetchone()
            if row is None:
                raise context_not_found(context_id)
            return self._context(row)

    def find(self, name: str, create: bool = False) -> StoredContext:
        """Return the context of a name, made if ``create`` is true and there is none; else raise ``Refused``."""
        name = context_name(name)
        with self._database.lock:
            with self._database.reading() as db:
                row = db.execute(
                    "SELECT id, name, state, created, last_used FROM contexts WHERE name = ?", (name,)
                ).fetchone()
            if row is not None:
                return self._context(row)
            if not create:
                raise context_not_found(name=name)
            return self._make(name, internal=False)

    def make_internal(self, name: str) -> StoredContext:
        """Return a new context that no list has, and that is removed when the store is opened again."""
        return self._make(context_name(name), internal=True)

    def _make(self, name: str, *, internal: bool) -> StoredContext:
        context_id, now = f"SdkCtx-{secrets.token_hex(10)}", self._clock()
        with self._database.changing() as db:
            db.execute(
                "INSERT INTO contexts (id, name, internal, created, last_used) VALUES (?, ?, ?, ?, ?)",
                (context_id, name, internal, now, now),
            )
        return StoredContext(context_id, name, "available", now, now)

    def rename(self, context_id: str, name: str) -> StoredContext:
        """Give a context another name, and return it; raise ``Refused`` if another one has that name."""
        name = context_name(name)
        with self._database.changing() as db:
            number, _ = context_row(db, context_id)
            try:
                db.execute("UPDATE contexts SET name = ? WHERE number = ?", (name, number))
            except sqlite3.IntegrityError as error:
                taken = f"The name {name!a} is taken by another context; choose another one"
                raise Refused(CONTEXT_NAME_TAKEN, taken, http_status=409) from error
        return self.get(context_id)

    def delete(self, context_id: str) -> None:
        """Remove a context with all its files, and return when they are gone."""
        with self._database.changing() as db:
            number, _ = context_row(db, context_id)
            db.execute("UPDATE contexts SET name = NULL WHERE number = ?", (number,))
            db.execute("DELETE FROM recycling WHERE context = ?", (number,))
        self._removal.delete(number)

    def touch(self, context_id: str) -> None:
        """Set the time of last use of a context to now."""
        with self._database.lock:
            self.get(context_id)
            self._last_use.set(context_id, self._clock())

    def begin_clear(self, context_id: str) -> None:
        """Begin to clear a context: it is ``clearing``, and takes no files, until `finish_clear` has removed them all.

        To begin again while it is being cleared changes nothing.
        """
        with self._database.changing() as db:
            number, _ = context_row(db, context_id)
            db.execute("UPDATE contexts SET state = 'clearing' WHERE number = ?", (number,))

    def finish_clear(self, context_id: str) -> None:
        """Remove all files of a context that is being cleared; it is ``available`` again when this returns."""
        with self._database.reading() as db:
            number, state = context_row(db, context_id)
        if state == "clearing":
            self._removal.clear(number)

    # --- files ---

    def stat(self, context_id: str, path: str) -> StoredFile | None:
        """Return the file, directory or link stored under a path, None if there is none."""
        key = folder_key(path)
        with self._database.reading() as db:
            number, _ = context_row(db, context_id)
            return get_file(db, number, key)

    def files(self, context_id: str, under: str = "") -> Sequence[StoredFile]:
        """Return all that is stored below a directory: files, directories, links. ``""`` is the whole context."""
        first, end = below(folder_key(under) if under else "")
        with self._database.reading() as db:
            number, _ = context_row(db, context_id)
            query = f"SELECT {FILE_COLUMNS} FROM files WHERE context = ? AND path >= ? AND path < ? ORDER BY path"  # noqa: S608
            return [StoredFile(*row) for row in db.execute(query, (number, first, end))]

    def page(
        self, context_id: str, parent: str | None, number: int, size: int, next_token: str | None = None
    ) -> FilePage:
        """Return a page of the files right in a directory, of all files of the context if ``parent`` is None or empty.

        The files are sorted by path; directories and links are left out. A page begins after the last file of the page
        that named ``next_token``, whatever was stored or removed since. Without a token it is counted: the first page
        has number 1. Raises ``Refused`` for a number or size below 1, and for an invalid token.
        """
        if number < 1 or size < 1:
            raise invalid("pageNumber and pageSize must be 1 or more")
        where, which = ("AND parent = ?", [folder_key(parent)]) if parent else ("", [])
        after = path_before(next_token) if next_token else ""
        skipped = 0 if next_token else min((number - 1) * size, 2**62)
        with self._database.reading() as db:
            context, _ = context_row(db, context_id)
            source = f"FROM files WHERE context = ? AND kind = 'file' {where}"
            (count,) = db.execute(f"SELECT count(*) {source}", (context, *which)).fetchone()
            found = db.execute(
                f"SELECT {FILE_COLUMNS} {source} AND path > ? ORDER BY path LIMIT ? OFFSET ?",
                (context, *which, after, min(size + 1, 2**62), skipped),
            ).fetchall()
        files = [StoredFile(*row) for row in found[:size]]
        return FilePage(files, token_after(files[-1].path) if len(found) > size else "", count)

    def open(self, context_id: str, path: str) -> tuple[IO[bytes], StoredFile]:
        """Return the content of a file, or the target of a link, to be closed by the caller.

        Later changes of the file do not change it.
        """
        key = file_key(path)
        with self._database.reading() as db:  # the lock is held, so that the blob exists
            number, _ = context_row(db, context_id)
            found = get_file(db, number, key)
            if found is None or found.blob is None:
                raise file_not_found(key)
            return self._blobs.open(found.blob), found

    def use(self, context_id: str, path: str) -> tuple[IO[bytes], StoredFile]:
        """Return what `open` returns, but for a link, and set the time of last use of the context."""
        with self._database.lock:
            self.touch(context_id)
            content, found = self.open(context_id, path)
            if found.kind != "file":
                content.close()
                raise file_not_found(found.path)
            return content, found

    def writing(
        self,
        context_id: str,
        path: str,
        *,
        kind: FileKind = "file",
        mode: int = 0o644,
        mtime: float | None = None,
        size_limit: int | None = None,
        expected: int = 0,
    ) -> Writing:
        """Return a writing of a new version of a file: nothing changes before its ``commit()``.

        The content of a link is its target. ``mtime`` is the time of the commit if it is None. Raises ``Refused`` for a
        context that is being cleared, and when there is no room for the bytes ``expected``.
        """
        key = file_key(path)
        with self._database.reading() as db:
            available_context(db, context_id)
        self._blobs.check_space(expected)
        return Writing(self, self._blobs, context_id, key, kind, mode & 0o7777, mtime, size_limit)

    def make_directory(
        self, context_id: str, path: str, *, mode: int = 0o755, mtime: float | None = None
    ) -> StoredFile:
        """Store a directory, with its mode and so that it exists even when it is empty, and return it."""
        return self.put(context_id, file_key(path), "directory", mode=mode & 0o7777, mtime=mtime)

    def remove(self, context_id: str, path: str, if_version: int | AnyVersion = ANY) -> bool:
        """Remove a file, link or empty directory; return False, with nothing changed, unless that version is there."""
        key = file_key(path)
        with self._database.changing() as db:
            number, _ = context_row(db, context_id)
            found = get_file(db, number, key)
            if found is None or if_version not in (ANY, found.version):
                return False
            db.execute("DELETE FROM files WHERE context = ? AND path = ?", (number, key))
            set_last_used(db, number, self._clock())
        self._removal.drop([found.blob])
        return True

    def put(
        self,
        context_id: str,
        key: str,
        kind: FileKind,
        *,
        mode: int,
        mtime: float | None,
        size: int = 0,
        etag: str = "",
        blob: str | None = None,
        if_version: int | AnyVersion | None = ANY,
    ) -> StoredFile:
        """Make a row name a new version of a file, whose blob is in its place; then remove the blob before it."""

        def change(db: sqlite3.Connection) -> tuple[StoredFile, StoredFile | None]:
            number = available_context(db, context_id)
            now = self._clock()
            new = StoredFile(
                path=key,
                kind=kind,
                size=size,
                etag=etag,
                version=0,
                number=0,
                mode=mode,
                mtime=now if mtime is None else mtime,
                created=now,
                modified=now,
                blob=blob,
            )
            return put_file(db, number, new, if_version)

        stored, old = self._commits.run(change)
        self._removal.drop([old.blob] if old else [])
        return stored

    def recycle(self) -> int:
        """Remove the files that the recycling rules do not keep any longer, and return their number."""
        with self._database.lock:
            self._last_use.write()
        return self.recycling.apply()

    def _context(self, row: tuple[Any, ...]) -> StoredContext:
        context_id, name, state, created, last_used = row
        return StoredContext(context_id, name, state, created, max(last_used, self._last_use.of(context_id)))
