"""What a batch knows of its items: which are done already, and what the journal keeps of the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from ..._ops import journal as ops
from ...exceptions import JournalError
from ...outcomes import Outcome
from .counters import BatchCounters
from .journal import AsyncJournal
from .options import BatchOptions


@frozen
class Task:
    """An item that is to be processed."""

    index: int
    item: Any
    key: str
    """Its key in the journal, ``""`` without one."""
    is_repeated: bool
    """Whether an earlier run began it."""


class AsyncRecords:
    """The items of a batch, as its journal has them; without a journal nothing is kept.

    Invariant: the line that an item begins is on the disk before its function is called, and the line that it ended is
    on the disk before its outcome is delivered. So an outcome that was delivered is never computed again, and an item
    that may have been processed in part is known as such.
    """

    def __init__(
        self, path: str | PathLike[str] | None, name: str, options: BatchOptions, counters: BatchCounters
    ) -> None:
        self._path = None if path is None else Path(fspath(path))
        self._name = name
        self._options = options
        self._counters = counters
        self._journal: AsyncJournal | None = None
        self._keys: set[str] = set()
        self._lock = threading.Lock()  # around the keys, never held across a wait

    async def open(self) -> str:
        """Open or make the journal, if there is one; return its id, which all runs of a batch share, or ``""``.

        Raises:
            JournalError: it is of another batch, in use, damaged, or cannot be read or written.
        """
        if self._path is None:
            return ""
        params = ops.digest_of_params(self._options.session_params)
        self._journal = await AsyncJournal.open(self._path, self._name, params, self._options.key is not None)
        return self._journal.header.id

    @property
    def was_interrupted(self) -> bool:
        """Whether an earlier run left items that began and did not end."""
        return self._journal is not None and bool(self._journal.contents.begun)

    def find(self, index: int, item: Any) -> Task | Outcome[Any, Any]:
        """Return the outcome that an item has already, or else the task of processing it.

        Raises:
            JournalError: the journal is of other items, or cannot be read; the batch ends.
        """
        if self._journal is None:
            return Task(index, item, "", False)
        try:
            key = self._key(self._journal, index, item)
        except JournalError:
            raise
        except Exception as error:  # the item's outcome
            self._counters.add("failed")
            return Outcome(index, item, error=error)
        ending = self._journal.ending(key)
        if ending is None or (ending.error is not None and self._options.redo_failed):
            return Task(index, item, key, ending is not None or key in self._journal.contents.begun)
        self._counters.add("resumed")
        return Outcome(
            index,
            item,
            ending.value,
            ending.error,
            ending.attempts,
            ending.seconds,
            ending.session_id,
            resumed=True,
            repeated=ending.is_repeated,
        )

    def _key(self, journal: AsyncJournal, index: int, item: Any) -> str:
        if self._options.key is None:
            key = ops.key_of(index, item)
            if journal.contents.keys.get(index, key) != key:
                raise JournalError(
                    f"The journal {str(journal.path)!r} has another item with the number {index}: the items are not "
                    "those of the earlier run, or come in another order. Name them by key=..., or take another journal"
                )
            return key
        key = self._options.key(item)
        if not isinstance(key, str) or not key:
            raise TypeError(f"key returns a string that names the item, not {key!r}")
        with self._lock:
            is_known = key in self._keys
            self._keys.add(key)
        if is_known:
            raise ValueError(f"item {index} has the key {key!r}, as has an item before it: it was not done")
        return key

    async def begin(self, tasks: Sequence[Task]) -> None:
        """Record that items begin."""
        if self._journal is not None and tasks:
            await self._journal.write(b"".join(ops.begun(task.key, task.index) for task in tasks))

    async def end(self, task: Task, outcome: Outcome[Any, Any]) -> Outcome[Any, Any]:
        """Record an item's outcome, and return it.

        Raises:
            JournalError: the outcome could not be written; the error has it in ``unrecorded``.
        """
        outcome = evolve(outcome, repeated=task.is_repeated or outcome.repeated)
        if self._journal is not None:
            outcome = await self._write(self._journal, task.key, outcome)
        self._counters.add("succeeded" if outcome.error is None else "failed")
        self._counters.add("repeated", int(outcome.repeated))
        return outcome

    async def _write(self, journal: AsyncJournal, key: str, outcome: Outcome[Any, Any]) -> Outcome[Any, Any]:
        try:
            line = ops.done(key, outcome.index, _ending(outcome))
        except TypeError as problem:
            error = JournalError(
                f"item {outcome.index} was done, but the journal cannot keep its value, a "
                f"{type(outcome.value).__name__}, which can be written neither as JSON nor by pickle ({problem})"
            )
            outcome = evolve(outcome, error=error)
            line = ops.done(key, outcome.index, _ending(evolve(outcome, value=None)))
        try:
            await journal.write(line)
        except JournalError as error:
            error.unrecorded.append(outcome)
            raise
        return outcome

    async def aclose(self) -> None:
        """Close the journal, which ends its lock: from then on another run may take it."""
        if self._journal is not None:
            await self._journal.aclose()


def _ending(outcome: Outcome[Any, Any]) -> ops.Ending:
    return ops.Ending(
        outcome.value, outcome.error, outcome.attempts, outcome.seconds, outcome.session_id, outcome.repeated
    )
