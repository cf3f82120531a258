"""The store: contexts and their files on disk, whatever happens to the process. Synchronous, for threads; no HTTP.

Metadata is in one SQLite database, the content of each version of a file in a blob of its own (`blobs`). A blob is on
the disk before the row that names it, and that row is there before anybody is told, so what was acknowledged is never
lost, and what was not is whole or absent.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

from attrs import astuple, field, frozen

from ..._wire.reply import CONTEXT_CLEARING, CONTEXT_NAME_TAKEN, FILE_CHANGED, FILE_CONFLICT, FILE_TOO_LARGE
from ..errors import CannotStart, Refused, context_not_found, file_not_found, invalid, stopping
from ..page_tokens import number_before, token_after
from .blobs import Blobs, sync_directory, told_when_full
from .keys import above, below, context_name, file_key, folder_key, parent_of

ContextState = Literal["available", "clearing"]

DAY = 86_400.0
"""Seconds of a day."""

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE contexts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT UNIQUE,  -- NULL once it is being deleted
    internal INTEGER NOT NULL DEFAULT 0,  -- a session's own
    state TEXT NOT NULL DEFAULT 'available',
    created REAL NOT NULL,
    last_used REAL NOT NULL
);
CREATE TABLE files (
    context INTEGER NOT NULL REFERENCES contexts,
    path TEXT NOT NULL,
    parent TEXT NOT NULL,
    kind TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    version INTEGER NOT NULL,
    number INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    mtime REAL NOT NULL,
    created REAL NOT NULL,
    modified REAL NOT NULL,
    blob TEXT,
    PRIMARY KEY (context, path)
) WITHOUT ROWID;
CREATE INDEX files_by_parent ON files (context, parent, path);
CREATE TABLE recycling (
    context INTEGER NOT NULL REFERENCES contexts,
    mount TEXT NOT NULL,
    key TEXT NOT NULL,
    days INTEGER NOT NULL,
    PRIMARY KEY (context, mount, key)
) WITHOUT ROWID;
CREATE TABLE counter (version INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
_AT_ONCE = 500
"""Files removed in one transaction, between which others have their turn."""
_USE_KEPT_BACK = 60.0
"""Seconds that the time of last use may be known to this process only; it is not worth a write each time."""


class _Any:
    def __repr__(self) -> str:
        return "ANY"


ANY: Final = _Any()
"""Whatever version is stored, or none."""


@frozen
class StoredContext:
    """A context as it was when it was asked for. Times are seconds since the epoch."""

    id: str
    name: str
    state: ContextState
    created: float
    last_used: float


@frozen
class ContextPage:
    """Some of the contexts; ``next_token`` is empty on the last page, ``count`` is of all pages."""

    contexts: list[StoredContext]
    next_token: str
    count: int


@frozen
class StoredFile:
    """A file (or an empty directory) as it was when asked for. Times are seconds since the epoch, sizes are bytes."""

    path: str
    kind: Literal["file", "directory"]
    size: int
    etag: str
    """The SHA-256 of the content, in hexadecimal; empty for a directory."""
    version: int
    """Another one after each write, greater than all before it in this store."""
    number: int
    """What stays when a file is overwritten; no other file of this store has it."""
    mode: int
    mtime: float
    """When whoever wrote it says that it was changed."""
    created: float
    """When a file was first stored under this path."""
    modified: float
    """When this version was stored."""
    blob: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@frozen
class FilePage:
    """Some of the files of a context; ``count`` is of all pages."""

    files: list[StoredFile]
    count: int


_FILE = "path, kind, size, etag, version, number, mode, mtime, created, modified, blob"


class ContextStore:
    """The contexts below one directory, which one process at a time may open. All methods are safe in any thread.

    Every method that takes a context's id raises ``Refused`` when there is no such context, every one that takes a path
    when that cannot be one, and every one that changes something when the disk is full: then nothing has changed.
    ``clock`` tells seconds since the epoch. Opening goes on with what a process that was killed had begun, and raises
    ``CannotStart`` where the directory holds something else.

    For example::

        store = ContextStore(Path("contexts"))
        context = store.find("my-data", create=True)
        with store.writing(context.id, "/tmp/x.txt") as writing:
            writing.write(b"hello")
            stored = writing.commit()
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._used: dict[str, float] = {}
        """When contexts were last used, as far as that is not in the database."""
        self._used_since = 0.0
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(directory.parent)
        self._blobs = Blobs(directory)
        self._db = _database(directory / "contexts.sqlite3")
        try:
            self._go_on()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the store; whoever still asks it is refused. May be called more than once."""
        with self._lock:
            if not self._closed:
                self._write_uses()
                self._closed = True
                self._db.close()

    # --- contexts ---

    def list(self, max_results: int, next_token: str | None = None) -> ContextPage:
        """Return a page of the contexts, oldest first, beginning after the last one of the page before.

        Raises ``Refused`` for a token that is none and a size below 1.
        """
        if max_results < 1:
            raise invalid("maxResults must be 1 or more")
        after = number_before(next_token) if next_token else 0
        with self._reading() as db:
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
        with self._reading() as db:
            row = db.execute(
                "SELECT id, name, state, created, last_used FROM contexts WHERE id = ? AND name IS NOT NULL",
                (context_id,),
            ).fetchone()
            if row is None:
                raise context_not_found(context_id)
            return self._context(row)

    def find(self, name: str, create: bool = False) -> StoredContext:
        """Return the context of that name, if need be a new one if ``create`` says so; else raise ``Refused``."""
        name = context_name(name)
        with self._lock:
            with self._reading() as db:
                row = db.execute(
                    "SELECT id, name, state, created, last_used FROM contexts WHERE name = ?", (name,)
                ).fetchone()
            if row is not None:
                return self._context(row)
            if not create:
                raise context_not_found(name=name)
            return self._make(name, internal=False)

    def make_internal(self, name: str) -> StoredContext:
        """Return a new context that no list shows and that is gone when the store is opened again."""
        return self._make(context_name(name), internal=True)

    def _make(self, name: str, *, internal: bool) -> StoredContext:
        context_id, now = f"SdkCtx-{secrets.token_hex(10)}", self._clock()
        with self._changing() as db:
            db.execute(
                "INSERT INTO contexts (id, name, internal, created, last_used) VALUES (?, ?, ?, ?, ?)",
                (context_id, name, internal, now, now),
            )
        return StoredContext(context_id, name, "available", now, now)

    def rename(self, context_id: str, name: str) -> StoredContext:
        """Give a context another name, and return it; raise ``Refused`` if another one has that name."""
        name = context_name(name)
        with self._changing() as db:
            number, _ = self._row_of(db, context_id)
            try:
                db.execute("UPDATE contexts SET name = ? WHERE number = ?", (name, number))
            except sqlite3.IntegrityError as error:
                taken = f"The name {name!a} is taken by another context; choose another one"
                raise Refused(CONTEXT_NAME_TAKEN, taken, http_status=409) from error
        return self.get(context_id)

    def delete(self, context_id: str) -> None:
        """Remove a context with all its files, and return when they are gone."""
        with self._changing() as db:
            number, _ = self._row_of(db, context_id)
            db.execute("UPDATE contexts SET name = NULL WHERE number = ?", (number,))
            db.execute("DELETE FROM recycling WHERE context = ?", (number,))
        self._finish_delete(number)

    def touch(self, context_id: str) -> None:
        """Note that a context is used now."""
        with self._lock:
            self.get(context_id)
            now = self._clock()
            self._used_since = self._used_since if self._used else now
            self._used[context_id] = now
            if now - self._used_since >= _USE_KEPT_BACK:
                self._write_uses()

    def begin_clear(self, context_id: str) -> None:
        """Begin to clear a context: it is ``clearing``, and takes no files, until `finish_clear` has removed them all.

        To begin again while it is being cleared changes nothing.
        """
        with self._changing() as db:
            number, _ = self._row_of(db, context_id)
            db.execute("UPDATE contexts SET state = 'clearing' WHERE number = ?", (number,))

    def finish_clear(self, context_id: str) -> None:
        """Remove all files of a context that is being cleared; it is ``available`` again when this returns."""
        with self._reading() as db:
            number, state = self._row_of(db, context_id)
        if state == "clearing":
            self._finish_clear(number)

    # --- files ---

    def stat(self, context_id: str, path: str) -> StoredFile | None:
        """Return the file or empty directory stored under a path, None if there is none."""
        key = folder_key(path)
        with self._reading() as db:
            number, _ = self._row_of(db, context_id)
            return self._file(db, number, key)

    def files(self, context_id: str, under: str = "") -> Sequence[StoredFile]:
        """Return all files and empty directories below a directory, those of the whole context if it is ``""``."""
        first, end = below(folder_key(under) if under else "")
        with self._reading() as db:
            number, _ = self._row_of(db, context_id)
            query = f"SELECT {_FILE} FROM files WHERE context = ? AND path >= ? AND path < ? ORDER BY path"  # noqa: S608
            return [StoredFile(*row) for row in db.execute(query, (number, first, end))]

    def page(self, context_id: str, parent: str | None, number: int, size: int) -> FilePage:
        """Return a page of the files right in a directory, of all files of the context if ``parent`` is None or empty.

        Pages are numbered from 1, and the files sorted by path. Empty directories are not shown. Raises ``Refused`` for
        a number or size below 1.
        """
        if number < 1 or size < 1:
            raise invalid("pageNumber and pageSize must be 1 or more")
        where, which = ("AND parent = ?", [folder_key(parent)]) if parent else ("", [])
        with self._reading() as db:
            context, _ = self._row_of(db, context_id)
            source = f"FROM files WHERE context = ? AND kind = 'file' {where}"
            (count,) = db.execute(f"SELECT count(*) {source}", (context, *which)).fetchone()
            rows = db.execute(
                f"SELECT {_FILE} {source} ORDER BY path LIMIT ? OFFSET ?",
                (context, *which, size, min((number - 1) * size, 2**62)),
            )
            return FilePage([StoredFile(*row) for row in rows], count)

    def open(self, context_id: str, path: str) -> tuple[IO[bytes], StoredFile]:
        """Return the content of a file, to be closed by the caller; later changes of the file do not change it."""
        key = file_key(path)
        with self._reading() as db:  # the lock is kept, so that the blob is there
            number, _ = self._row_of(db, context_id)
            found = self._file(db, number, key)
            if found is None or found.blob is None:
                raise file_not_found(key)
            return self._blobs.open(found.blob), found

    def use(self, context_id: str, path: str) -> tuple[IO[bytes], StoredFile]:
        """Return what `open` returns, and note that the context is used now."""
        with self._lock:
            self.touch(context_id)
            return self.open(context_id, path)

    def writing(
        self,
        context_id: str,
        path: str,
        *,
        mode: int = 0o644,
        mtime: float | None = None,
        size_limit: int | None = None,
        expected: int = 0,
    ) -> Writing:
        """Return a writing of a new version of a file: nothing is changed before its ``commit()``.

        ``mtime`` is the time of the commit if it is None. Raises ``Refused`` for a context that is being cleared, and
        when there is no room for the bytes ``expected``.
        """
        key = file_key(path)
        with self._reading() as db:
            self._available(db, context_id)
        self._blobs.check_space(expected)
        return Writing(self, self._blobs, context_id, key, mode & 0o7777, mtime, size_limit)

    def make_directory(
        self, context_id: str, path: str, *, mode: int = 0o755, mtime: float | None = None
    ) -> StoredFile:
        """Store a directory, so that it is there even when it is empty, and return it."""
        return self._put(context_id, file_key(path), "directory", mode=mode & 0o7777, mtime=mtime)

    def remove(self, context_id: str, path: str, if_version: int | _Any = ANY) -> bool:
        """Remove a file or an empty directory; return False, with nothing changed, unless that version is there."""
        key = file_key(path)
        with self._changing() as db:
            number, _ = self._row_of(db, context_id)
            found = self._file(db, number, key)
            if found is None or if_version not in (ANY, found.version):
                return False
            db.execute("DELETE FROM files WHERE context = ? AND path = ?", (number, key))
            self._note_use(db, number, self._clock())
        self._drop([found.blob])
        return True

    # --- recycling ---

    def set_recycle(self, context_id: str, mount: str, days: int | None, paths: Sequence[str] = ("",)) -> None:
        """Set for how many days after it was last stored a file below ``mount`` is kept; None is for ever.

        ``paths`` are files or directories relative to ``mount``, ``""`` everything. This replaces what was set for the
        same mount; where several mounts of a context say something about a file, the shortest time holds. `recycle`
        removes what is due.
        """
        mount = folder_key(mount)
        keys = {folder_key(f"{mount}/{path}") for path in paths}
        with self._changing() as db:
            number, _ = self._row_of(db, context_id)
            db.execute("DELETE FROM recycling WHERE context = ? AND mount = ?", (number, mount))
            if days is not None:
                rows = [(number, mount, key, days) for key in keys]
                db.executemany("INSERT INTO recycling (context, mount, key, days) VALUES (?, ?, ?, ?)", rows)

    def recycle(self) -> int:
        """Remove the files whose time has come, and return how many those were."""
        self._write_uses()
        with self._reading() as db:
            rules = db.execute("SELECT context, key, days FROM recycling").fetchall()
        now = self._clock()
        return sum(self._expire(number, key, now - days * DAY) for number, key, days in rules)

    def expire(self, context_id: str, under: str, seconds: float) -> int:
        """Remove a file, or all below a directory, last stored more than so many seconds ago; return how many."""
        key = folder_key(under) if under else ""
        with self._reading() as db:
            number, _ = self._row_of(db, context_id)
        return self._expire(number, key, self._clock() - seconds)

    def _expire(self, number: int, key: str, before: float) -> int:
        first, end = below(key)
        return self._remove_all(
            "context = ? AND kind = 'file' AND modified < ? AND (path = ? OR path >= ? AND path < ?)",
            (number, before, key, first, end),
        )

    # --- inside ---

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._closed:
                raise stopping()
            yield self._db

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Change the database as a whole or not at all; what was changed is on the disk at the end."""
        with self._reading() as db, told_when_full():
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite itself may have given up already
                    db.execute("ROLLBACK")
                raise

    def _go_on(self) -> None:
        """Finish what a process that was killed had begun, and remove what it has left."""
        with self._changing() as db:
            db.execute("UPDATE contexts SET name = NULL WHERE internal")
        with self._reading() as db:
            self._blobs.tidy({blob for (blob,) in db.execute("SELECT blob FROM files WHERE blob IS NOT NULL")})
            query = "SELECT number, name IS NULL FROM contexts WHERE name IS NULL OR state = 'clearing'"
            begun = db.execute(query).fetchall()
        for number, deleting in begun:
            (self._finish_delete if deleting else self._finish_clear)(number)
        self.recycle()

    def _context(self, row: tuple[Any, ...]) -> StoredContext:
        context_id, name, state, created, last_used = row
        return StoredContext(context_id, name, state, created, max(last_used, self._used.get(context_id, 0.0)))

    def _row_of(self, db: sqlite3.Connection, context_id: str) -> tuple[int, ContextState]:
        row = db.execute(
            "SELECT number, state FROM contexts WHERE id = ? AND name IS NOT NULL", (context_id,)
        ).fetchone()
        if row is None:
            raise context_not_found(context_id)
        return row[0], row[1]

    def _available(self, db: sqlite3.Connection, context_id: str) -> int:
        number, state = self._row_of(db, context_id)
        if state != "available":
            why = f"The context {context_id} is being cleared; try again when its state is available"
            raise Refused(CONTEXT_CLEARING, why, http_status=409)
        return number

    def _file(self, db: sqlite3.Connection, number: int, key: str) -> StoredFile | None:
        query = f"SELECT {_FILE} FROM files WHERE context = ? AND path = ?"  # noqa: S608 - a constant
        row = db.execute(query, (number, key)).fetchone()
        return None if row is None else StoredFile(*row)

    def _put(
        self,
        context_id: str,
        key: str,
        kind: Literal["file", "directory"],
        *,
        mode: int,
        mtime: float | None,
        size: int = 0,
        etag: str = "",
        blob: str | None = None,
        if_version: int | _Any | None = ANY,
    ) -> StoredFile:
        """Make a row name the new version of a file; the blob of the old one goes."""
        with self._changing() as db:
            number = self._available(db, context_id)
            old = self._file(db, number, key)
            stored = old.version if old is not None and old.kind == kind else None
            if if_version is not ANY and if_version != stored:
                raise Refused(FILE_CHANGED, f"Another version of {key!a} is stored", http_status=412)
            self._check_place(db, number, key, kind, old)
            db.execute("UPDATE counter SET version = version + 1")
            (version,) = db.execute("SELECT version FROM counter").fetchone()
            now = self._clock()
            new = StoredFile(
                path=key,
                kind=kind,
                size=size,
                etag=etag,
                version=version,
                number=old.number if old else version,
                mode=mode,
                mtime=now if mtime is None else mtime,
                created=old.created if old else now,
                modified=now,
                blob=blob,
            )
            db.execute(
                f"INSERT OR REPLACE INTO files (context, parent, {_FILE})"  # noqa: S608 - a constant
                f" VALUES (?, ?, {', '.join('?' * len(astuple(new)))})",
                (number, parent_of(key), *astuple(new)),
            )
            self._note_use(db, number, now)
        self._drop([old.blob] if old else [])
        return new

    def _check_place(self, db: sqlite3.Connection, number: int, key: str, kind: str, old: StoredFile | None) -> None:
        """Raise `Refused` unless all that is stored can be one tree of directories, as a mount has to make it."""
        if folders := above(key):
            marks = ", ".join("?" * len(folders))
            query = f"SELECT path FROM files WHERE context = ? AND kind = 'file' AND path IN ({marks}) LIMIT 1"  # noqa: S608
            if (row := db.execute(query, (number, *folders)).fetchone()) is not None:
                raise _no_place(key, f"{row[0]!a} is a file")
        if kind == "directory":
            if old is not None and old.kind == "file":
                raise _no_place(key, "it is a file")
        elif old is None or old.kind == "directory":
            query = "SELECT 1 FROM files WHERE context = ? AND path >= ? AND path < ? LIMIT 1"
            if db.execute(query, (number, *below(key))).fetchone() is not None:
                raise _no_place(key, "it is a directory with files in it")

    def _note_use(self, db: sqlite3.Connection, number: int, now: float) -> None:
        db.execute("UPDATE contexts SET last_used = ? WHERE number = ?", (now, number))

    def _write_uses(self) -> None:
        """Write when contexts were last used, unless the disk is full: then it stays known to this process only."""
        with self._lock, suppress(Refused):
            if self._used:
                with self._changing() as db:
                    uses = [(at, context_id) for context_id, at in self._used.items()]
                    db.executemany("UPDATE contexts SET last_used = max(last_used, ?) WHERE id = ?", uses)
                self._used.clear()

    def _finish_clear(self, number: int) -> None:
        self._remove_all("context = ?", (number,))
        with self._changing() as db:
            db.execute("UPDATE contexts SET state = 'available' WHERE number = ?", (number,))

    def _finish_delete(self, number: int) -> None:
        self._remove_all("context = ?", (number,))
        with self._changing() as db:
            db.execute("DELETE FROM contexts WHERE number = ?", (number,))

    def _remove_all(self, which: str, values: tuple[Any, ...]) -> int:
        """Remove the files that a condition names, some at a time, and return how many those were."""
        count = 0
        while True:
            with self._changing() as db:
                query = f"SELECT context, path, blob FROM files WHERE {which} LIMIT {_AT_ONCE}"  # noqa: S608
                rows = db.execute(query, values).fetchall()
                db.executemany("DELETE FROM files WHERE context = ? AND path = ?", [row[:2] for row in rows])
            self._drop([blob for _, _, blob in rows])
            count += len(rows)
            if len(rows) < _AT_ONCE:
                return count

    def _drop(self, blobs: Sequence[str | None]) -> None:
        for blob in blobs:
            if blob is not None:
                self._blobs.remove(blob)


class Writing:
    """A new version of a file, written piece by piece; a context manager. Left without `commit`, it leaves nothing."""

    def __init__(
        self,
        store: ContextStore,
        blobs: Blobs,
        context_id: str,
        key: str,
        mode: int,
        mtime: float | None,
        size_limit: int | None,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._blob = blobs.new()
        self._context_id = context_id
        self._key = key
        self._mode = mode
        self._mtime = mtime
        self._size_limit = size_limit
        self._size = 0
        self._digest = sha256()
        self._lock = threading.Lock()  # a writer whose caller gave up may still be at work when it is closed
        self._ended = False

    @property
    def etag(self) -> str:
        """The etag of what was written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes at the end. Raises ``Refused`` when the file becomes larger than the limit, or the disk is full."""
        with self._lock, told_when_full():
            self._check_open()
            size = self._size + len(data)
            if self._size_limit is not None and size > self._size_limit:
                raise too_large(self._size_limit)
            self._blobs.check_space(len(data))
            self._blob.write(data)
            self._digest.update(data)
            self._size = size

    def commit(self, if_version: int | _Any | None = ANY) -> StoredFile:
        """Make this the file's stored version and return it, once it is safely on the disk.

        ``if_version`` is the version that must be the stored one until then, None if there must be none. Raises
        ``Refused``, and changes nothing, if it is not, if the context is gone or is being cleared, if the path leads
        through a file or is a directory's, and when the disk is full.
        """
        with self._lock, told_when_full():
            self._check_open()
            self._ended = True
            try:
                self._blobs.check_space(0)
                self._blobs.keep(self._blob)
            except BaseException:
                self._blob.discard()
                raise
            try:
                return self._store._put(
                    self._context_id,
                    self._key,
                    "file",
                    mode=self._mode,
                    mtime=self._mtime,
                    size=self._size,
                    etag=self._digest.hexdigest(),
                    blob=self._blob.name,
                    if_version=if_version,
                )
            except Refused:  # after any other error nobody can tell whether the row is on the disk; `tidy` will see
                self._blobs.remove(self._blob.name)
                raise

    def close(self) -> None:
        """Leave nothing of what was not committed. May be called more than once."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._blob.discard()

    def _check_open(self) -> None:
        if self._ended:
            raise ValueError("this writing has ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def too_large(limit: int) -> Refused:
    """Return the refusal of a file that is larger than a file may be."""
    return Refused(
        FILE_TOO_LARGE, f"The file is larger than {limit:,} bytes, the most this runtime stores", http_status=413
    )


def _no_place(key: str, why: str) -> Refused:
    return Refused(FILE_CONFLICT, f"Nothing can be stored as {key!a}: {why}", http_status=409)


def _database(path: Path) -> sqlite3.Connection:
    """Open the database, made if there is none; raise `CannotStart` if it is not one of ours."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        path.chmod(0o600)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _SCHEMA_VERSION):
            raise CannotStart(f"the contexts in {path.parent} were written by another version of this runtime")
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            db.execute(f"PRAGMA {setting}")
        if version == 0:
            db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
    except sqlite3.DatabaseError as error:
        db.close()
        raise CannotStart(f"the contexts in {path.parent} cannot be read: {error}; move the directory away") from error
    except BaseException:
        db.close()
        raise
    return db
