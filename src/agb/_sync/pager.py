# Generated from src/agb/_async/pager.py by tools/unasync.py. Do not edit.
"""The pager: iterates over a list of the service, one page after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from .._ops.pages import Listing
from ._compat.primitives import Lock

if TYPE_CHECKING:
    from .api import API

T = TypeVar("T")


class Pager(Generic[T]):
    """The items of a list; a page is requested when the items of the page before are used up.

    After an error, the next step requests the same page again.

    Args:
        api: sends the calls.
        listing: which pages there are.
        timeout: seconds for each request.
        convert: returns what the caller gets for an item; without it, the item.
    """

    def __init__(
        self,
        api: API,
        listing: Listing[Any],
        timeout: float | None,
        convert: Callable[[Any], T] | None = None,
    ) -> None:
        self._api, self._listing, self._timeout, self._convert = api, listing, timeout, convert
        self._ready: deque[Any] = deque()
        self._requesting = Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        item: T = self._next()
        return item if self._convert is None else self._convert(item)

    def _next(self) -> Any:
        """Return the next item; tasks that share the list wait for one request, so no page is requested twice."""
        while True:
            with suppress(IndexError):
                return self._ready.popleft()
            with self._requesting.within():
                if self._ready:
                    continue
                call = self._listing.next_call
                if call is None:
                    raise StopIteration
                page, request_id = self._api.call(call, timeout=self._timeout)
                self._ready.extend(self._listing.read(page, request_id))
