"""One object for each event loop: the asynchronous flavour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from .loop import current_loop

T = TypeVar("T")


class LoopLocal(Generic[T]):
    """Objects that are made when they are first needed, one for each event loop."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._objects: WeakKeyDictionary[Any, T] = WeakKeyDictionary()

    def here(self) -> T:
        """Return the object of the running event loop."""
        loop = current_loop()
        found = self._objects.get(loop)
        if found is None:
            found = self._objects[loop] = self._make()
        return found
