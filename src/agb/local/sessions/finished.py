"""Finished sessions: the memory of a bounded number of sessions that have ended."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

_FINISHED_KEPT = 1000
_ROWS_KEPT = 100
"""Sessions that ended of which the sync tasks are kept."""


class FinishedSessions:
    """The ids of the latest sessions that have ended, and the sync tasks of the latest that had any."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._rows: OrderedDict[str, Sequence[dict[str, Any]]] = OrderedDict()

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._ids

    def add(self, session_id: str, rows: Sequence[dict[str, Any]]) -> None:
        """Remember a session with its sync tasks, and forget the oldest ones."""
        self._ids[session_id] = None
        if rows:
            self._rows[session_id] = rows
        for kept, limit in ((self._ids, _FINISHED_KEPT), (self._rows, _ROWS_KEPT)):
            while len(kept) > limit:
                kept.popitem(last=False)

    def rows(self, session_id: str) -> Sequence[dict[str, Any]]:
        """Return the sync tasks of a session, an empty list if none are kept."""
        return self._rows.get(session_id, [])
