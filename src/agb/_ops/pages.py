"""Lists that are read page by page, without I/O: which call comes next, and which items of a page are new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import frozen

from .._wire.call import Call
from ..exceptions import ErrorKind, Sent

T = TypeVar("T")

FRUITLESS_READINGS = 2
"""Readings of all pages of a changing list without a new item after which it is not read again."""
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
        if not new and (self._leads_back(page) or self._repeated > self._most_repeated()):
            why = f"Could not {call.description}: the service returns the same page again and again"
            raise call.error(why, kind=ErrorKind.INVALID_ANSWER, request_id=request_id, sent=Sent.YES)
        self._seen.update(new)
        self.next_call = self._after(page)
        return list(new.values())

    def _leads_back(self, page: Page[T]) -> bool:
        """Return whether a page without new items leads to one that was read already."""
        raise NotImplementedError

    def _most_repeated(self) -> int:
        """Return how many pages in a row may bring no new item."""
        return MOST_REPEATED

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

    A number counts items, so when items of earlier pages are removed meanwhile, others move to pages that were read
    already, and the next page begins behind them. Therefore:

    - A page may name a token: the place where it ends. The next call has it beside the number, and a service that
      knows it begins there, whatever was removed or added. A list with tokens ends with the page that has none.
    - Without tokens, the total shows a change. If it was not the same on all pages, they are read again from the first
      one, until it is, or until reading all of them twice has brought no new item.

    Without tokens and totals, nothing shows a change. Then the last page is the first one that is not full: a service
    may return fewer items at a time than were requested.

    Args:
        call_for: returns the call for the page of a number, and the token that the page before it named.
        key: returns what identifies an item.
        size: items requested at a time.
    """

    def __init__(self, call_for: Callable[[int, str], Call[Page[T]]], key: Callable[[T], str], size: int) -> None:
        super().__init__(call_for(1, ""), key)
        self._call_for = call_for
        self._size = size
        self._number = 1
        self._tokens: set[str] = set()
        self._most_pages = 0
        """Pages of the longest reading before this one; 0 if this is the first."""
        self._fruitless = 0
        """Readings in a row without a new item."""
        self._before = 0
        """Items that were returned before this reading of the pages."""
        self._in_reading: set[str] = set()
        """The items on the pages of this reading."""
        self._totals: set[int | None] = set()
        """The totals on them."""

    def _leads_back(self, page: Page[T]) -> bool:
        if page.next_token:
            return page.next_token in self._tokens
        has_moved = self._most_pages or len(self._totals | {page.total_count}) > 1
        return bool(page.items) and not has_moved and not self._tokens

    def _most_repeated(self) -> int:
        return MOST_REPEATED + FRUITLESS_READINGS * self._most_pages

    def _after(self, page: Page[T]) -> Call[Page[T]] | None:
        self._in_reading.update(map(self._key, page.items))
        self._totals.add(page.total_count)
        if page.next_token:
            self._tokens.add(page.next_token)
        elif self._tokens:
            return None
        elif self._is_last(page):
            return self._read_again()
        self._number += 1
        return self._call_for(self._number, page.next_token)

    def _is_last(self, page: Page[T]) -> bool:
        if not page.items:
            return True
        total = page.total_count
        return len(page.items) < self._size if total is None else len(self._in_reading) >= total

    def _read_again(self) -> Call[Page[T]] | None:
        """Return the call for the first page if all of them are to be read again, else None."""
        self._fruitless = 0 if len(self._seen) > self._before else self._fruitless + 1
        if len(self._totals) == 1 or self._fruitless == FRUITLESS_READINGS:
            return None
        self._most_pages = max(self._most_pages, self._number)
        self._number = 1
        self._before = len(self._seen)
        self._in_reading.clear()
        self._totals.clear()
        return self._call_for(1, "")
