"""One object for each thread, where the other flavour has one for each event loop: the synchronous flavour."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import local
from typing import Generic, TypeVar

T = TypeVar("T")


class LoopLocal(Generic[T]):
    """Objects that are made when they are first needed, one for each thread of each process."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._objects = local()

    def here(self) -> T:
        """Return the object of this thread; a forked child has none of its parent's."""
        found: dict[int, T] = self._objects.__dict__.setdefault("by_process", {})
        if os.getpid() not in found:
            found[os.getpid()] = self._make()
        return found[os.getpid()]
