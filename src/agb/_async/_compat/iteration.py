"""Iterables of either kind, as callers pass them: the asynchronous flavour."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
AnyIterable = AsyncIterable[T] | Iterable[T]
"""Things one after the other, as a caller has them."""
AnyBytesIterable = AsyncIterable[bytes] | Iterable[bytes]
"""Bytes piece by piece, as a caller has them."""


def each(things: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    """Return an iterator over either kind of iterable."""
    return things.__aiter__() if isinstance(things, AsyncIterable) else _Each(iter(things))


class _Each(Generic[T]):
    """An ordinary iterator, iterated over asynchronously."""

    def __init__(self, things: Iterator[T]) -> None:
        self.things = things

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return next(self.things)
        except StopIteration:
            raise StopAsyncIteration from None


async def close_iterator(iterator: AsyncIterator[Any]) -> None:
    """Close an iterator that `each` gave, if it is a generator's; one that is left half-way would hold what it has."""
    from types import AsyncGeneratorType, GeneratorType

    if isinstance(iterator, AsyncGeneratorType):
        await iterator.aclose()
    elif isinstance(iterator, _Each) and isinstance(iterator.things, GeneratorType):
        iterator.things.close()
