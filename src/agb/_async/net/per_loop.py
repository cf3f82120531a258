"""One object for each event loop and process: connections can be shared by neither."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

from .._compat.loop import current_loop, is_over

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Objects made when they are first needed, one for each event loop that runs in this process."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._pid = os.getpid()
        self._by_loop: dict[object, T] = {}

    def here(self) -> T:
        """Return the object of the running event loop, made if there is none."""
        if self._pid != os.getpid():  # after a fork the parent goes on with its connections; the child makes its own
            self._pid, self._by_loop = os.getpid(), {}
        loop = current_loop()
        found = self._by_loop.get(loop)
        if found is None:
            # Connections of a loop that has ended are of no use; they were not closed, and Python warns of that itself.
            for other in [other for other in list(self._by_loop) if is_over(other)]:
                self._by_loop.pop(other, None)
            found = self._by_loop.setdefault(loop, self._make())
        return found

    def all(self) -> list[T]:
        """Return the objects of all event loops of this process."""
        return list(self._by_loop.values()) if self._pid == os.getpid() else []

    def pop(self) -> T | None:
        """Remove and return the object of the running event loop."""
        return self._by_loop.pop(current_loop(), None) if self._pid == os.getpid() else None
