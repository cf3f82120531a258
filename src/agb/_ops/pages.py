"""Lists that are read page by page, without I/O: which call comes next, and which items of a page are new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import frozen

from .._wire.call import Call
from ..exceptions import ErrorKind, Sent

T = TypeVar("T")

MOST_REPEATED = 10
"""Pages in a row without a new item after which a list is not read any further."""


@frozen
class Page(Generic[T]):
    """One page of a list."""

    items: list[T]
    next_token: str
    max_results: int | None
    total_count: int | None


class Listing(Generic[T]):
    """The state of reading a list: the next call, and the items that were returned.

    Invariant: each item is returned once, and reading ends. `next_call` changes only when `read` accepts a page, so a
    call that failed is the next call again. A list that grows while it is read moves items to a later page, which
    repeats them; so items are compared by their key. A service may also repeat a page for ever; so a page without a
    new item is an error when it leads to a page that was read already, or when too many such pages follow each other.

    Attributes:
        next_call: the call that returns the next page; None after the last one.
    """

    def __init__(self, first: Call[Page[T]], key: Callable[[T], str]) -> None:
        self.next_call: Call[Page[T]] | None = first
        self._key = key
        self._seen: set[str] = set()
        self._repeated = 0

    def read(self, page: Page[T], request_id: str) -> list[T]:
        """Return the new items of the page that `next_call` returned, and move on to the next page.

        Raises:
            AGBError: the service repeats its pages.
        """
        call = self.next_call
        assert call is not None  # a page was read
        new = {key: item for item in page.items if (key := self._key(item)) not in self._seen}
        self._repeated = 0 if new else self._repeated + 1
        if not new and (self._leads_back(page) or self._repeated > MOST_REPEATED):
            why = f"Could not {call.description}: the service returns the same page again and again"
            raise call.error(why, kind=ErrorKind.INVALID_ANSWER, request_id=request_id, sent=Sent.YES)
        self._seen.update(new)
        self.next_call = self._after(page)
        return list(new.values())

    def _leads_back(self, page: Page[T]) -> bool:
        """Return whether a page without new items leads to one that was read already."""
        raise NotImplementedError

    def _after(self, page: Page[T]) -> Call[Page[T]] | None:
        """Return the call for the page after this one."""
        raise NotImplementedError


class TokenListing(Listing[T]):
    """A list whose pages name the token of the next page.

    Args:
        call_for: returns the call for the page of a token; ``""`` is the first page.
        key: returns what identifies an item.
    """

    def __init__(self, call_for: Callable[[str], Call[Page[T]]], key: Callable[[T], str]) -> None:
        super().__init__(call_for(""), key)
        self._call_for = call_for
        self._tokens: set[str] = set()

    def _leads_back(self, page: Page[T]) -> bool:
        return page.next_token in self._tokens

    def _after(self, page: Page[T]) -> Call[Page[T]] | None:
        self._tokens.add(page.next_token)
        return self._call_for(page.next_token) if page.next_token else None


class NumberedListing(Listing[T]):
    """A list whose pages have numbers from 1.

    The last page is the one that completes the total, or, when the service reports no total, the first one that is
    not full: a service may return fewer items at a time than were requested.

    Args:
        call_for: returns the call for the page of a number.
        key: returns what identifies an item.
        size: items requested at a time.
    """

    def __init__(self, call_for: Callable[[int], Call[Page[T]]], key: Callable[[T], str], size: int) -> None:
        super().__init__(call_for(1), key)
        self._call_for = call_for
        self._size = size
        self._number = 1

    def _leads_back(self, page: Page[T]) -> bool:
        return bool(page.items)

    def _after(self, page: Page[T]) -> Call[Page[T]] | None:
        if not page.items:
            return None
        is_last = len(page.items) < self._size if page.total_count is None else len(self._seen) >= page.total_count
        if is_last:
            return None
        self._number += 1
        return self._call_for(self._number)
