"""Outcomes: what became of each item of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

from attrs import field, frozen

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")
RetryOn = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]
"""Which exceptions: of a class, of one of several, or those that a function says yes to."""


@frozen
class Outcome(Generic[ItemT, ValueT]):
    """What became of one item of ``agb.map``; it pickles if its item, value and error do.

    Attributes:
        index: the item's number, counted from 0 as the items came.
        item: the item.
        value: what the function returned, None if it did not return.
        error: why there is no value, None if the function returned.
        attempts: how often the function was tried, or a session for it; 0 if neither was.
        seconds: how long it took from the first attempt to the end of the last, pauses between them included.
        session_id: the session of the last attempt, ``""`` if none was created.
        resumed: whether it was read from the journal of an earlier run, and nothing was done in this one.
        repeated: whether the item was begun in one run and done again in a later one, by the journal: the first did
            not finish it, and how far it came is not known, or it failed and was to be redone.

    >>> from agb import Outcome
    >>> Outcome(0, "a.py", 42, attempts=1).unwrap()
    42
    """

    index: int
    item: ItemT
    value: ValueT | None = None
    error: BaseException | None = field(default=None, eq=False)
    attempts: int = 0
    seconds: float = field(default=0.0, eq=False)
    session_id: str = ""
    resumed: bool = False
    repeated: bool = False

    @property
    def ok(self) -> bool:
        """Whether the function returned, and what it returned is here."""
        return self.error is None

    def unwrap(self) -> ValueT:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return cast("ValueT", self.value)


@frozen
class BatchStats:
    """How far a batch is.

    Attributes:
        total: how many items there are, None if that is not known beforehand.
        taken: items taken from the iterable so far.
        running: items that are worked on right now.
        waiting: outcomes that wait to be fetched.
        succeeded: items of this run whose function returned.
        failed: items of this run that ended in an error.
        resumed: items that an earlier run had finished.
        repeated: items that an earlier run had begun and not finished, and that this one did again.
        retried: attempts beyond the first of each item.
        sessions: sessions created.
        left_behind: the ids of sessions that could not be deleted so far.
        seconds: since the batch was entered.
    """

    total: int | None
    taken: int
    running: int
    waiting: int
    succeeded: int
    failed: int
    resumed: int
    repeated: int
    retried: int
    sessions: int
    left_behind: tuple[str, ...]
    seconds: float

    @property
    def done(self) -> int:
        """How many items have come to their end."""
        return self.succeeded + self.failed + self.resumed
