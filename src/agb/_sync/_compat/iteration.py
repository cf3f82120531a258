"""Iterables of either kind, as callers pass them: the synchronous flavour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
AnyIterable = Iterable[T]
"""Things one after the other, as a caller has them."""
AnyBytesIterable = Iterable[bytes]
"""Bytes piece by piece, as a caller has them."""


def each(things: Iterable[T]) -> Iterator[T]:
    """Return an iterator over an iterable."""
    return iter(things)


def close_iterator(iterator: Iterator[Any]) -> None:
    """Close an iterator that `each` gave, if it is a generator's; one that is left half-way would hold what it has."""
    from types import GeneratorType

    if isinstance(iterator, GeneratorType) and not iterator.gi_running:
        iterator.close()
