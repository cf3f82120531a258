"""The sandboxes of a runtime's sessions on the machine: their directories and users, made and removed with them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

from ..limits import Limits
from ..sandbox.directories import Directories, remove
from ..sandbox.isolation import new_user
from ..sandbox.launch import Isolation
from ..sandbox.sandbox import Sandbox


class Sandboxes:
    """Makes sandboxes and removes them.

    A sandbox knows nothing of the session that gets it: its directories on the machine have a name of their own, and
    the session's id, labels and tokens are nowhere in it.

    What is slow at the end of a sandbox, in proportion to the files and to the load of the machine, is not waited for:
    its directories are moved from ``area`` to ``removed`` in one step and removed there in the background.
    """

    def __init__(self, isolation: Isolation, area: Path, removed: Path, limits: Limits) -> None:
        self.isolation = isolation
        self._area = area
        self._removed = removed
        self._limits = limits
        self._users: set[int] = set()
        self._closing: set[asyncio.Task[None]] = set()

    async def make(self, mounts: Iterable[Path] = ()) -> Sandbox:
        """Return a new, open sandbox with these places for mounts. Raises ``StartFailed`` and ``NetworkFailed``."""
        directories = Directories(self._area / secrets.token_hex(10), tuple(mounts))
        user = new_user(self.isolation, self._users)
        if user is not None:
            self._users.add(user)
        try:
            self.isolation.make(directories, user)
            return await self._open(directories, user)
        except BaseException:
            self._users.discard(user or 0)
            await to_the_end(remove(directories.root))
            raise

    async def reopen(self, sandbox: Sandbox) -> Sandbox:
        """Return another sandbox on the directories of one that has ended; its owner closes it."""
        return await self._open(sandbox.directories, sandbox.user)

    async def remove(self, sandbox: Sandbox) -> None:
        """End a sandbox and return when its processes are gone and its directories are out of their place.

        The files may still take room on the disk by then, and the network program, which was killed, may be in its
        exit: see `Sandbox.end`. `close` waits for both.
        """
        await sandbox.end()
        self._begin(sandbox.close())
        root = sandbox.directories.root
        self._begin(self._remove_files(root.rename(self._removed / root.name), sandbox.user))

    async def _remove_files(self, directory: Path, user: int | None) -> None:
        await remove(directory)
        self._users.discard(user or 0)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Return when nothing is left of the sandboxes that were removed."""
        while self._closing:
            await asyncio.wait(self._closing)

    async def _open(self, directories: Directories, user: int | None) -> Sandbox:
        sandbox = Sandbox(self.isolation, directories, self._limits, user, lambda: None)
        await sandbox.open()
        return sandbox


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await clean-up to its end, also when the caller is cancelled; the cancellation is raised afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
