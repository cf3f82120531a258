"""The contexts of a runtime: their store, used from an event loop, and its work in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from ..._wire.reply import CONTEXT_IN_USE, CONTEXT_NOT_FOUND, STOPPING
from ..errors import CannotStart, Refused, stopping
from .signing import signing_key
from .store import ContextStore

logger = logging.getLogger("agb.local")

RECYCLE_EVERY = 3600.0
"""Seconds between two removals by recycle policies, which count in days."""

_THREADS = 8
"""Threads that work on the store at a time: enough to keep a disk busy, few enough that clearing leaves some."""

P = ParamSpec("P")
T = TypeVar("T")


class Contexts:
    """What a runtime does with contexts; open it with `open`, close it with `close`."""

    def __init__(
        self, store: ContextStore, key: bytes, clock: Callable[[], float], threads: ThreadPoolExecutor
    ) -> None:
        self.store = store
        self.signing_key = key
        """Signs the pre-signed URLs of stored files; the same after a restart."""
        self.clock = clock
        """Returns seconds since the epoch."""
        self.sessions_of: Callable[[str], list[str]] = lambda _context_id: []
        """Returns the ids of the sessions that mount a context; set by the runtime."""
        self._threads = threads
        self._background: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @classmethod
    async def open(cls, directory: Path, *, clock: Callable[[], float]) -> Contexts:
        """Return the contexts kept in a directory; raise `CannotStart` if they cannot be opened."""
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="contexts")
        try:
            return await asyncio.get_running_loop().run_in_executor(
                threads, lambda: cls._open(directory, clock, threads)
            )
        except (OSError, Refused) as error:
            threads.shutdown(wait=False)
            raise CannotStart(f"the contexts in {directory} cannot be opened: {error}") from error
        except BaseException:
            threads.shutdown(wait=False)
            raise

    @classmethod
    def _open(cls, directory: Path, clock: Callable[[], float], threads: ThreadPoolExecutor) -> Contexts:
        store = ContextStore(directory, clock=clock)
        try:
            return cls(store, signing_key(directory / "key"), clock, threads)
        except BaseException:
            store.close()
            raise

    async def close(self) -> None:
        """Close the store; clearing that is in progress is completed when it is opened again."""
        await self.run(self.store.close)
        if self._background:
            await asyncio.wait(self._background)
        self._is_closed = True
        await asyncio.to_thread(self._threads.shutdown)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a function of the store returns, called in a thread of the contexts' own.

        Raises `Refused` once the contexts are closed.
        """
        if self._is_closed:
            raise stopping()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    async def clear(self, context_id: str) -> None:
        """Begin to clear a context, and return; its state changes when that is done."""
        await self.run(self.store.begin_clear, context_id)
        self._start(f"clear {context_id}", self.store.finish_clear, context_id)

    async def delete(self, context_id: str) -> None:
        """Delete a context and return when its files are gone; raise `Refused` while a session mounts it."""
        if sessions := self.sessions_of(context_id):
            used = f"The context {context_id[:100]} is mounted in the session {sessions[0]}; release that first"
            raise Refused(CONTEXT_IN_USE, used, http_status=409)
        await self.run(self.store.delete, context_id)

    def recycle(self) -> None:
        """Begin to remove the files that recycle policies do not keep, and return."""
        self._start("recycle", self.store.recycle)

    def _start(self, description: str, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        task = asyncio.create_task(self._run_in_background(description, lambda: function(*args, **kwargs)))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _run_in_background(self, description: str, work: Callable[[], object]) -> None:
        """Do work in the background; a refusal because the store closed or the context is gone needs no report."""
        try:
            await self.run(work)
        except Refused as refusal:
            if refusal.code not in (CONTEXT_NOT_FOUND, STOPPING):
                logger.error("Could not %s: %s", description, refusal)
        except Exception:
            logger.exception("Could not %s", description)
