"""Requests under way that a server which stops need not wait for: those of links."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class OpenRequests:
    """The requests under way through the links of a server."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()

    @contextmanager
    def tracked(self) -> Iterator[None]:
        """Count the block as a request; `cancel` leaves it."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def cancel(self) -> None:
        """Cancel all requests under way."""
        for scope in list(self._scopes):
            scope.cancel()
