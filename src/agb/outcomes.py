"""Outcomes: the result of each item of a batch, and how far the batch is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

from attrs import field, frozen

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")
RetryOn = type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]
"""Which exceptions: those of a class, of one of several classes, or those for which a function returns True."""


@frozen
class Outcome(Generic[ItemT, ValueT]):
    """The outcome of one item of ``client.map``; it pickles if its item, value and error do.

    Attributes:
        index: the item's number, from 0, in the order of the iterable.
        item: the item.
        value: what the function returned, None if it did not return.
        error: why there is no value, None if the function returned.
        attempts: how many attempts there were, also those for which no session could be created.
        seconds: how long it took from the first attempt to the end of the last, pauses between them included.
        session_id: the session of the last attempt, ``""`` if none was created.
        resumed: whether it was read from the journal of an earlier run; the function was not called in this one.
        repeated: whether the function may have been called for the item before: by an earlier run that did not finish
            it, as the journal says, or that failed and was to be redone, or by a worker that was lost.

    Example:
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
        """Whether the function returned, and its value is here."""
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
        total: how many items there are, None if the iterable has no length.
        taken: items taken from the iterable so far.
        running: items that are being processed.
        waiting: outcomes that wait for the consumer.
        succeeded: items of this run whose function returned.
        failed: items of this run that ended in an error.
        resumed: items that an earlier run had finished.
        repeated: items that this run has processed although they had been begun before.
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
        """How many items have an outcome."""
        return self.succeeded + self.failed + self.resumed
