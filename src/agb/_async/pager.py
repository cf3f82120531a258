"""The pager: iterates over a list of the service, one page after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from .._ops.pages import Listing
from ._compat.flavour import IterationHint
from ._compat.primitives import Lock

if TYPE_CHECKING:
    from .api import AsyncAPI

T = TypeVar("T")


class AsyncPager(IterationHint, Generic[T]):
    """The items of a list; a page is requested when the items of the page before are used up.

    After an error, the next step requests the same page again.

    Args:
        api: sends the calls.
        listing: which pages there are.
        timeout: seconds until the next item is there.
        convert: returns what the caller gets for an item; without it, the item.
    """

    def __init__(
        self,
        api: AsyncAPI,
        listing: Listing[Any],
        timeout: float | None,
        convert: Callable[[Any], T] | None = None,
    ) -> None:
        self._api, self._listing, self._timeout, self._convert = api, listing, timeout, convert
        self._ready: deque[Any] = deque()
        self._requesting = Lock()
        self._count = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self._count} items read>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        item: T = await self._next()
        self._count += 1
        return item if self._convert is None else self._convert(item)

    async def _next(self) -> Any:
        """Return the next item; tasks that share the list wait for one request, so no page is requested twice."""
        deadline = None
        while True:  # again for a page without a new item, and for one whose items other tasks have taken
            with suppress(IndexError):
                return self._ready.popleft()
            # The requests that are waited for began before, with the same time: they end before this deadline.
            deadline = deadline or self._api.deadline(self._timeout)
            async with self._requesting.within():
                if self._ready:
                    continue
                call = self._listing.next_call
                if call is None:
                    raise StopAsyncIteration
                page, request_id = await self._api.call(call, deadline=deadline)
                self._ready.extend(self._listing.read(page, request_id))
