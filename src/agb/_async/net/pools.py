"""The pools of a client: one for each event loop and process that it is used in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...limits import Limits
from .._compat.loop import current_loop, is_over

if TYPE_CHECKING:
    from .pool import AsyncPool, Verify


class AsyncPools:
    """One pool per event loop and process: connections can be shared by neither."""

    def __init__(self, limits: Limits, proxy: str | None, verify: Verify) -> None:
        self._options = limits, proxy, verify
        self._pid = os.getpid()
        self._by_loop: dict[object, AsyncPool] = {}

    def here(self) -> AsyncPool:
        """Return the pool of the running loop, made if there is none."""
        if self._pid != os.getpid():  # after a fork the parent goes on with its connections; we make our own
            self._pid, self._by_loop = os.getpid(), {}
        loop = current_loop()
        pool = self._by_loop.get(loop)
        if pool is None:
            from .pool import AsyncPool

            # Connections of a loop that is over can serve nobody; they were not closed, as Python warns in its own way.
            for other in [other for other in list(self._by_loop) if is_over(other)]:
                self._by_loop.pop(other, None)
            pool = self._by_loop.setdefault(loop, AsyncPool(*self._options))
        return pool

    def all(self) -> list[AsyncPool]:
        """Return the pools of this process."""
        return list(self._by_loop.values()) if self._pid == os.getpid() else []

    def pop(self) -> AsyncPool | None:
        """Take out the pool of the running loop."""
        return self._by_loop.pop(current_loop(), None)
