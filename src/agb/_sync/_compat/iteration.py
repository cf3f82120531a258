"""Iterables of either kind, as callers pass them: the synchronous flavour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
AnyIterable = Iterable[T]
"""An iterable that a caller passes."""
AnyBytesIterable = Iterable[bytes]
"""An iterable of bytes that a caller passes."""


def each(items: Iterable[T]) -> Iterator[T]:
    """Return an iterator over the items."""
    return iter(items)


def close_iterator(iterator: Iterator[Any]) -> None:
    """Close an iterator that `each` returned, if it is a generator; a suspended one would keep its resources open."""
    from types import GeneratorType

    if isinstance(iterator, GeneratorType) and not iterator.gi_running:
        iterator.close()
