"""Removing many files of a context: when it is cleared or deleted, and by recycling rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .blobs import Blobs
from .database import Database
from .keys import below, folder_key
from .rows import context_row

DAY = 86_400.0
"""Seconds of a day."""

_AT_ONCE = 500
"""Files removed in one transaction; other threads get the lock between two of them."""


class Removal:
    """Removes files, some at a time.

    The rows go first and their blobs after the commit. A process that is killed in between leaves blobs without rows,
    which are removed when the store is opened again; it never leaves a row without its blob.
    """

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def clear(self, number: int) -> None:
        """Remove all files of a context that is being cleared, then make it available."""
        self.remove("context = ?", (number,))
        with self._database.changing() as db:
            db.execute("UPDATE contexts SET state = 'available' WHERE number = ?", (number,))

    def delete(self, number: int) -> None:
        """Remove all files of a context that is being deleted, then the context."""
        self.remove("context = ?", (number,))
        with self._database.changing() as db:
            db.execute("DELETE FROM contexts WHERE number = ?", (number,))

    def remove(self, condition: str, values: tuple[Any, ...]) -> int:
        """Remove the files that match an SQL condition, and return their number."""
        count = 0
        while True:
            with self._database.changing() as db:
                query = f"SELECT context, path, blob FROM files WHERE {condition} LIMIT {_AT_ONCE}"  # noqa: S608
                rows = db.execute(query, values).fetchall()
                db.executemany("DELETE FROM files WHERE context = ? AND path = ?", [row[:2] for row in rows])
            self.drop([blob for _, _, blob in rows])
            count += len(rows)
            if len(rows) < _AT_ONCE:
                return count

    def drop(self, blobs: Sequence[str | None]) -> None:
        """Remove blobs that no row names any more."""
        for blob in blobs:
            if blob is not None:
                self._blobs.remove(blob)


class Recycling:
    """The recycling rules of a store: for how long files are kept after they were last stored."""

    def __init__(self, database: Database, removal: Removal, clock: Callable[[], float]) -> None:
        self._database = database
        self._removal = removal
        self._clock = clock

    def set_rule(self, context_id: str, mount: str, days: int | None, paths: Sequence[str] = ("",)) -> None:
        """Set for how many days a file below ``mount`` is kept; None is for ever.

        ``paths`` are files or directories relative to ``mount``, ``""`` everything. This replaces the rule of the same
        mount; if several mounts of a context have a rule for a file, the shortest time applies. `apply` removes the
        files.
        """
        mount = folder_key(mount)
        keys = {folder_key(f"{mount}/{path}") for path in paths}
        with self._database.changing() as db:
            number, _ = context_row(db, context_id)
            db.execute("DELETE FROM recycling WHERE context = ? AND mount = ?", (number, mount))
            if days is not None:
                rows = [(number, mount, key, days) for key in keys]
                db.executemany("INSERT INTO recycling (context, mount, key, days) VALUES (?, ?, ?, ?)", rows)

    def apply(self) -> int:
        """Remove the files that the rules do not keep any longer, and return their number."""
        with self._database.reading() as db:
            rules = db.execute("SELECT context, key, days FROM recycling").fetchall()
        now = self._clock()
        return sum(self._expire(number, key, now - days * DAY) for number, key, days in rules)

    def expire(self, context_id: str, under: str, seconds: float) -> int:
        """Remove a file, or all below a directory, last stored more than so many seconds ago; return their number."""
        key = folder_key(under) if under else ""
        with self._database.reading() as db:
            number, _ = context_row(db, context_id)
        return self._expire(number, key, self._clock() - seconds)

    def _expire(self, number: int, key: str, before: float) -> int:
        first, end = below(key)
        return self._removal.remove(
            "context = ? AND kind <> 'directory' AND modified < ? AND (path = ? OR path >= ? AND path < ?)",
            (number, before, key, first, end),
        )
