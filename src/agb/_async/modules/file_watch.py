"""Changes below a directory of a session: as an iterator, and in the synchronous flavour by a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..._ops.tools import files as ops
from ...exceptions import AGBError
from ...results.files import FileChangeEvent
from .._compat.flavour import ASYNC, BlockHint, IterationHint
from .._compat.loop import sleep
from .tools import run_tool

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess

Events = list[FileChangeEvent]

_log = logging.getLogger("agb")


class AsyncFileChanges(BlockHint, IterationHint):
    """The changes below a directory, in batches; returned by ``session.file.watch()``.

    The service keeps the state of the directory: each call returns the changes since the call before it, and the first
    call only sets the beginning. So entering the block makes that first call, and no change after it is lost.
    """

    def __init__(self, session: AsyncSessionAccess, path: str, interval: float, timeout: float | None) -> None:
        self.path = path
        self._session = session
        self._interval = interval
        self._timeout = timeout
        self._next = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} below {self.path!r} in session {self._session.session_id}>"

    async def __aenter__(self) -> AsyncFileChanges:
        await self.poll()
        return self

    async def __aexit__(self, *raised: object) -> None:
        pass

    def __aiter__(self) -> AsyncFileChanges:
        return self

    async def __anext__(self) -> Events:
        return await self.receive()

    async def receive(self) -> Events:
        """Wait for changes and return them, at least one.

        Raises:
            FileError: the directory cannot be watched. If the session still exists, `receive` may be called again.
        """
        while True:
            await sleep(max(0.0, self._next - time.monotonic()))
            if events := await self.poll():
                return events

    async def poll(self) -> Events:
        """Return the changes since the last call, without waiting for any; an empty list if there are none.

        Raises:
            FileError: the directory cannot be watched.
        """
        self._next = time.monotonic() + self._interval
        call = ops.get_file_change(self.path, session_id=self._session.session_id)
        return (await run_tool(self._session, call, timeout=self._timeout)).events


if not ASYNC:

    class WatchThread(threading.Thread):
        """Polls for changes below a directory until it is stopped; returned by ``session.file.watch_dir()``."""

        def __init__(
            self,
            session: AsyncSessionAccess,
            path: str,
            callback: Callable[[Events], None],
            interval: float,
            stop_event: threading.Event,
        ) -> None:
            super().__init__(name=f"agb-watch-{path}", daemon=True)
            self.stop_event = stop_event
            self.ready_event = threading.Event()
            self._changes = AsyncFileChanges(session, path, interval, None)
            self._callback = callback
            self._interval = interval

        def run(self) -> None:
            """Poll, call the callback, wait; until the thread is stopped or the session is gone."""
            while not self.stop_event.is_set():
                try:
                    events: Any = self._changes.poll()
                except AGBError as error:
                    _log.debug("watching %s: %s", self._changes.path, error)
                    if ops.is_session_gone(error):
                        return
                else:
                    if self.ready_event.is_set() and events:
                        self._call(events)
                    self.ready_event.set()
                self.stop_event.wait(self._interval)

        def _call(self, events: Events) -> None:
            try:
                self._callback(events)
            except Exception:  # an error of the callback must not end the watching
                _log.exception("the callback of watch_dir(%r) raised; watching goes on", self._changes.path)
