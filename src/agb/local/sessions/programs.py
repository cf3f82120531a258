"""The runtime's own programs in one sandbox: the file helper, the kernels and the desktop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..desktop.desktop import Desktop
from ..kernels.interpreters import Interpreter, Languages
from ..sandbox.sandbox import Sandbox
from .files import Files


class Programs:
    """Starts them when they are first needed, or ahead; :meth:`end` ends them with the sandbox."""

    def __init__(self, sandbox: Sandbox, languages: Languages) -> None:
        self.sandbox = sandbox
        self.files = Files(sandbox)
        self.desktop: Desktop | None = None
        self.on_code: Callable[[str], None] = lambda _: None
        """Called with the language of each piece of code, when its kernel has started."""
        self._languages = languages
        self._interpreters: dict[str, Interpreter] = {}
        self._ahead: set[asyncio.Task[None]] = set()

    def interpreter(self, language: str) -> Interpreter:
        """Return the interpreter of one of the languages found; its kernel starts with the first code."""
        if language not in self._interpreters:
            self._interpreters[language] = made = self._languages.interpreter(language, self.sandbox)
            made.on_run = lambda: self.on_code(language)
        return self._interpreters[language]

    def start_files_ahead(self) -> None:
        """Begin to start the file helper."""
        self._begin(self.files.start_ahead())

    def start_kernel_ahead(self, language: str) -> None:
        """Begin to start the kernel of a language; code that comes meanwhile waits for it."""
        self._begin(self.interpreter(language).start_ahead())

    def start_desktop_ahead(self, desktop: Desktop) -> None:
        """Give the sandbox a desktop and begin to start it; all programs that start from now on know its display.

        A kernel that was started ahead does not know it: it is ended, and the first code starts another one.
        """
        self.desktop = desktop
        self.sandbox.environment.update(desktop.environment)
        for interpreter in self._interpreters.values():
            self._begin(interpreter.stop())
        self._interpreters.clear()
        self._begin(desktop.start())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._ahead.add(task)
        task.add_done_callback(self._ahead.discard)

    async def started(self) -> None:
        """Return when all that was begun ahead has started or failed."""
        while self._ahead:
            await asyncio.wait(self._ahead)

    async def end(self) -> None:
        """End everything in the sandbox and return when no process of it is left."""
        await self.sandbox.end()
        await self.started()  # what starts fails when its sandbox ends
        await self.files.close()
        if self.desktop is not None:
            await self.desktop.close()
        for interpreter in self._interpreters.values():
            await interpreter.stop()
