"""Queries for single contexts and files; each takes the connection of a transaction."""

from __future__ import annotations

import sqlite3

from attrs import astuple, evolve

from ..._wire.reply import CONTEXT_CLEARING, FILE_CHANGED, FILE_CONFLICT
from ..errors import Refused, context_not_found
from .keys import above, below, parent_of
from .stored import ANY, AnyVersion, ContextState, FileKind, StoredFile

FILE_COLUMNS = "path, kind, size, etag, version, number, mode, mtime, created, modified, blob"


def context_row(db: sqlite3.Connection, context_id: str) -> tuple[int, ContextState]:
    """Return the number and state of a context. Raises ``Refused`` if there is none."""
    row = db.execute("SELECT number, state FROM contexts WHERE id = ? AND name IS NOT NULL", (context_id,)).fetchone()
    if row is None:
        raise context_not_found(context_id)
    return row[0], row[1]


def available_context(db: sqlite3.Connection, context_id: str) -> int:
    """Return the number of a context that accepts files. Raises ``Refused`` if it does not."""
    number, state = context_row(db, context_id)
    if state != "available":
        why = f"The context {context_id} is being cleared; try again when its state is available"
        raise Refused(CONTEXT_CLEARING, why, http_status=409)
    return number


def set_last_used(db: sqlite3.Connection, number: int, now: float) -> None:
    """Store the time when a context was last used."""
    db.execute("UPDATE contexts SET last_used = ? WHERE number = ?", (now, number))


def get_file(db: sqlite3.Connection, number: int, key: str) -> StoredFile | None:
    """Return the file, directory or link with a key, None if there is none."""
    query = f"SELECT {FILE_COLUMNS} FROM files WHERE context = ? AND path = ?"  # noqa: S608 - a constant
    row = db.execute(query, (number, key)).fetchone()
    return None if row is None else StoredFile(*row)


def put_file(
    db: sqlite3.Connection, number: int, new: StoredFile, if_version: int | AnyVersion | None
) -> tuple[StoredFile, StoredFile | None]:
    """Store a new version of a file; return it as stored, and the version before it.

    Version, number and time of creation are set here. Raises ``Refused`` if another version than ``if_version`` is
    stored, or if the path has no place in the tree.
    """
    old = get_file(db, number, new.path)
    stored = old.version if old is not None and old.kind == new.kind else None
    if if_version is not ANY and if_version != stored:
        raise Refused(FILE_CHANGED, f"Another version of {new.path!a} is stored", http_status=412)
    _check_place(db, number, new.path, new.kind, old)
    db.execute("UPDATE counter SET version = version + 1")
    (version,) = db.execute("SELECT version FROM counter").fetchone()
    new = evolve(
        new,
        version=version,
        number=old.number if old else version,
        created=old.created if old else new.modified,
    )
    db.execute(
        f"INSERT OR REPLACE INTO files (context, parent, {FILE_COLUMNS})"  # noqa: S608 - a constant
        f" VALUES (?, ?, {', '.join('?' * len(astuple(new)))})",
        (number, parent_of(new.path), *astuple(new)),
    )
    set_last_used(db, number, new.modified)
    return new, old


def _check_place(db: sqlite3.Connection, number: int, key: str, kind: FileKind, old: StoredFile | None) -> None:
    """Raise `Refused` unless all stored files can be one tree of directories, as a mount has to create it."""
    if folders := above(key):
        marks = ", ".join("?" * len(folders))
        which = f"context = ? AND kind <> 'directory' AND path IN ({marks})"
        query = f"SELECT path, kind FROM files WHERE {which} LIMIT 1"  # noqa: S608
        if (row := db.execute(query, (number, *folders)).fetchone()) is not None:
            raise _conflict(key, f"{row[0]!a} is a {row[1]}")
    if kind == "directory":
        if old is not None and old.kind != "directory":
            raise _conflict(key, f"it is a {old.kind}")
    elif old is None or old.kind == "directory":
        query = "SELECT 1 FROM files WHERE context = ? AND path >= ? AND path < ? LIMIT 1"
        if db.execute(query, (number, *below(key))).fetchone() is not None:
            raise _conflict(key, "it is a directory with files in it")


def _conflict(key: str, why: str) -> Refused:
    return Refused(FILE_CONFLICT, f"Nothing can be stored as {key!a}: {why}", http_status=409)
