"""When contexts were last used: kept in memory for a while, because it is not worth a write each time."""

from __future__ import annotations

from contextlib import suppress

from ..errors import Refused
from .database import Database

_DELAY = 60.0
"""Seconds after which times of use are written to the database."""


class LastUse:
    """The times of use that are not in the database yet. All methods need the database's lock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._times: dict[str, float] = {}
        self._since = 0.0

    def of(self, context_id: str) -> float:
        """Return when a context was last used, 0 if that is in the database."""
        return self._times.get(context_id, 0.0)

    def set(self, context_id: str, now: float) -> None:
        """Set when a context was last used."""
        self._since = self._since if self._times else now
        self._times[context_id] = now
        if now - self._since >= _DELAY:
            self.write()

    def write(self) -> None:
        """Write the times to the database, unless the disk is full: then they stay in memory."""
        with suppress(Refused):
            if self._times:
                with self._database.changing() as db:
                    uses = [(at, context_id) for context_id, at in self._times.items()]
                    db.executemany("UPDATE contexts SET last_used = max(last_used, ?) WHERE id = ?", uses)
                self._times.clear()
