"""Group commit: the changes of several threads in one transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define

from ..errors import Refused
from .database import Database

T = TypeVar("T")


class GroupCommit:
    """Makes changes of a database, each complete or not at all, with as few commits as possible.

    A commit waits for the disk much longer than the statements before it take. So the changes of threads that arrive
    meanwhile are collected, and the thread that is next makes all of them in one transaction.

    Invariants: a change is taken from ``_waiting`` by one thread only, the one that holds ``_leader_lock``; and it has
    an outcome before that thread releases it. So a thread that gets ``_leader_lock`` either finds its change made, and
    committed, or finds it still waiting, and makes it. Each change has a savepoint of its own: one that is refused
    changes nothing, and does not concern the others. If the transaction fails, all of its changes have failed.

    ``_leader_lock`` is taken before the lock of the database, so a thread must not hold that one when it calls `run`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leader_lock = threading.Lock()
        self._waiting: deque[_Change] = deque()

    def run(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a change returns, when it is on the disk; raise the error with which it or its commit fails."""
        own = _Change(change)
        self._waiting.append(own)
        with self._leader_lock:
            if not own.has_ended:
                self._make_all()
        if own.error is not None:
            raise own.error
        value: T = own.value
        return value

    def _make_all(self) -> None:
        group: list[_Change] = []
        error: BaseException | None = None
        try:
            with self._database.changing() as db:
                while self._waiting:
                    group.append(self._waiting.popleft())
                    group[-1].make(db)
        except BaseException as failure:  # raised by the threads of all its changes
            error = failure
            # Without a transaction, none was taken.
            group += [self._waiting.popleft() for _ in range(len(self._waiting))]
        for change in group:
            change.error = change.error or error
            change.has_ended = True


@define(eq=False)
class _Change:
    """A change that waits, or its outcome."""

    function: Callable[[sqlite3.Connection], Any]
    value: Any = None
    error: BaseException | None = None
    has_ended: bool = False

    def make(self, db: sqlite3.Connection) -> None:
        """Make it in the transaction that was begun; any error but a refusal ends that one."""
        db.execute("SAVEPOINT change")
        try:
            self.value = self.function(db)
        except Refused as refused:
            self.error = refused
            db.execute("ROLLBACK TO change")
        db.execute("RELEASE change")
