"""Sandboxes made ahead of the sessions that get them, with the file helper and, where it is used, Python's kernel."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from attrs import frozen

from ..kernels.interpreters import Languages
from ..sandbox.pasta import NetworkFailed
from ..sandbox.sandbox import StartFailed
from .programs import Programs
from .sandboxes import Sandboxes

logger = logging.getLogger("agb.local")

UNUSED_SECONDS = 300.0
"""A sandbox that no session got in this time is ended: an idle runtime costs nothing, and the network's settings, which
a sandbox has from its start, are not older."""
PYTHON_SESSIONS = 8
"""Sessions in a row without Python code after which no kernel is started ahead."""
_PYTHON = "python"


@frozen(eq=False)
class _Waiting:
    programs: Programs
    until: float


class WarmSandboxes:
    """At most ``number`` sandboxes that wait for a session, made one at a time in the background.

    Each was made for the next session, and no program of a user has run in it. A session without mounts gets one, and
    another is made in its place.

    Nothing is made before the second session: a runtime for a single session, as tests have them, pays nothing for a
    next one that never comes. A kernel, which costs more than all the rest, is started ahead only where one of the last
    sessions has run Python code.
    """

    def __init__(self, sandboxes: Sandboxes, languages: Languages, number: int, clock: Callable[[], float]) -> None:
        self._sandboxes = sandboxes
        self._languages = languages
        self._number = number
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._sessions = 0
        self._without_python = PYTHON_SESSIONS
        self._filling: asyncio.Task[None] | None = None
        self._ends: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def take(self) -> Programs | None:
        """Return the programs of the sandbox that waits longest, None if none does; the caller has to end it."""
        while self._waiting:
            programs = self._waiting.popleft().programs
            if not programs.sandbox.is_closed:
                return programs
            self._discard(programs)
        return None

    def note_session(self) -> None:
        """Count a session that was created, and begin to make what is missing."""
        self._sessions += 1
        self._without_python += 1
        if self._sessions > 1:
            self._fill()

    def note_code(self, language: str) -> None:
        """Note that a session runs code; the sandboxes that wait get a kernel for Python."""
        if language != _PYTHON:
            return
        if not self._wants_python:
            for waiting in self._waiting:
                waiting.programs.start_kernel_ahead(_PYTHON)
        self._without_python = 0

    @property
    def _wants_python(self) -> bool:
        return self._without_python < PYTHON_SESSIONS

    def sweep(self) -> float:
        """End the sandboxes that have waited too long; return when the next one will have, on the runtime's clock."""
        while self._waiting and self._waiting[0].until <= self._clock():
            self._discard(self._waiting.popleft().programs)
        return self._waiting[0].until if self._waiting else float("inf")

    async def close(self) -> None:
        """Make no more, and return when all that wait are gone."""
        self._is_closed = True
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.wait({self._filling})
        while self._waiting:
            self._discard(self._waiting.popleft().programs)
        while self._ends:
            await asyncio.wait(self._ends)

    def _fill(self) -> None:
        if self._filling is None and not self._is_closed and len(self._waiting) < self._number:
            self._filling = asyncio.create_task(self._make_missing())

    async def _make_missing(self) -> None:
        try:
            while len(self._waiting) < self._number:
                sandbox = await self._sandboxes.make()
                programs = Programs(sandbox, self._languages)
                self._waiting.append(_Waiting(programs, self._clock() + UNUSED_SECONDS))
                programs.start_files_ahead()
                if self._wants_python:
                    programs.start_kernel_ahead(_PYTHON)
                await programs.started()
        except (StartFailed, NetworkFailed, OSError) as error:
            logger.warning("No sandbox was made ahead of the next session: %s", error)
        finally:
            self._filling = None

    def _discard(self, programs: Programs) -> None:
        task = asyncio.create_task(self._end(programs))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _end(self, programs: Programs) -> None:
        await programs.end()
        await self._sandboxes.remove(programs.sandbox)
