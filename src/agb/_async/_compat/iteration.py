"""Iterables of either kind, as callers pass them: the asynchronous flavour."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
AnyIterable = AsyncIterable[T] | Iterable[T]
"""An iterable that a caller passes, of either kind."""
AnyBytesIterable = AsyncIterable[bytes] | Iterable[bytes]
"""An iterable of bytes that a caller passes, of either kind."""


def each(items: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    """Return an iterator over either kind of iterable."""
    if isinstance(items, AsyncIterable) and not isinstance(items, Iterator):  # an iterator of `agb.AGB` has __aiter__
        return items.__aiter__()
    return _AsyncIterator(iter(items))


class _AsyncIterator(Generic[T]):
    """An ordinary iterator, iterated over asynchronously."""

    def __init__(self, iterator: Iterator[T]) -> None:
        self.iterator = iterator

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return next(self.iterator)
        except StopIteration:
            raise StopAsyncIteration from None


async def close_iterator(iterator: AsyncIterator[Any]) -> None:
    """Close an iterator that `each` returned, if it is a generator; a suspended one would keep its resources open."""
    from types import AsyncGeneratorType, GeneratorType

    if isinstance(iterator, AsyncGeneratorType):
        await iterator.aclose()
    elif isinstance(iterator, _AsyncIterator) and isinstance(iterator.iterator, GeneratorType):
        iterator.iterator.close()
