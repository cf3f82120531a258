# Generated from src/agb/_async/net/per_loop.py by tools/unasync.py. Do not edit.
"""One object for each event loop and process: connections can be shared by neither."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

from .._compat.loop import LoopEnd, current_loop, is_over, run_in_loop


class Closable(Protocol):
    """What belongs to an event loop."""

    def close(self) -> None:
        """Close the connections, in their event loop."""
        ...

    def abort(self) -> None:
        """Close the connections at once: their event loop ends, has ended, or does not run."""
        ...


T = TypeVar("T", bound=Closable)


class PerLoop(Generic[T]):
    """Objects made when they are first needed, one for each event loop that runs in this process.

    An object is closed when its event loop ends. All of them are closed by `close`, from any event loop or thread:
    each in its own loop if that runs, at once if it does not. Objects made after that are closed from the beginning.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._pid = os.getpid()
        self._by_loop: dict[object, tuple[T, LoopEnd]] = {}
        self._is_closed = False

    def here(self) -> T:
        """Return the object of the running event loop, made if there is none."""
        self._leave_after_fork()
        loop = current_loop()
        found = self._by_loop.get(loop)
        if found is None:
            for other in [other for other in list(self._by_loop) if is_over(other)]:
                self._abort(self._by_loop.pop(other, None))
            made = self._make()
            if self._is_closed:
                made.abort()
            found = self._by_loop.setdefault(loop, (made, LoopEnd(made.abort)))
        return found[0]

    def all(self) -> list[T]:
        """Return the objects of all event loops of this process."""
        self._leave_after_fork()
        return [made for made, _ in list(self._by_loop.values())]

    def close(self) -> None:
        """Close the objects of all event loops, that of the running one before this returns."""
        self._leave_after_fork()
        self._is_closed = True
        loop = current_loop()
        for other in [other for other in list(self._by_loop) if other is not loop]:
            found = self._by_loop.pop(other, None)
            if found is not None and not run_in_loop(other, partial(self._end, found)):
                self._abort(found)
        found = self._by_loop.pop(loop, None)
        if found is not None:
            self._end(found)

    def _end(self, found: tuple[T, LoopEnd]) -> None:
        """Close an object in its loop."""
        found[1].cancel()
        found[0].close()

    def _abort(self, found: tuple[T, LoopEnd] | None) -> None:
        if found is not None:
            found[1].cancel()
            found[0].abort()

    def _leave_after_fork(self) -> None:
        """Forget the parent's connections, with which it goes on; the child makes its own."""
        if self._pid != os.getpid():
            self._pid, self._by_loop = os.getpid(), {}
