"""The SQLite database of a store: its schema, one connection, and transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CannotStart, stopping
from .blobs import disk_full_as_refusal

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


class Database:
    """One connection, used by one thread at a time.

    `reading` and `changing` hold the lock, which a thread may take several times. A file that a row names exists as
    long as the lock is held, because blobs are removed after the transaction that removes the row.
    """

    def __init__(self, path: Path) -> None:
        self.lock = threading.RLock()
        self._connection = _connect(path)
        self._is_closed = False

    def close(self) -> None:
        """Close the connection; then `reading` and `changing` raise ``Refused``. May be called more than once."""
        with self.lock:
            self._is_closed = True
            self._connection.close()

    @property
    def is_closed(self) -> bool:
        """Whether it is closed."""
        return self._is_closed

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold the lock and return the connection."""
        with self.lock:
            if self._is_closed:
                raise stopping()
            yield self._connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Change the database in one transaction, which is on the disk at the end, or not at all."""
        with self.reading() as db, disk_full_as_refusal():
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite may have rolled back already
                    db.execute("ROLLBACK")
                raise


def _connect(path: Path) -> sqlite3.Connection:
    """Open the database, or make it; raise `CannotStart` if it is not one of this runtime's version."""
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
