"""The files of a session: a helper process inside it does the work; it is started when first needed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any

from ..sandbox.helper import Helper, HelperDied, Reply
from ..sandbox.sandbox import Sandbox, SandboxGone

_REPEATABLE = frozenset(
    {
        "create_directory",
        "get_file_change",
        "get_file_info",
        "list_directory",
        "read_file",
        "read_multiple_files",
        "search_files",
    }
)


class Files:
    """The file tools of one session."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._starting = asyncio.Lock()
        self._helper: Helper | None = None
        self._watched: set[str] = set()

    async def start_ahead(self) -> None:
        """Start the helper before there is a call; if that fails, the first call starts one and reports why not."""
        with contextlib.suppress(OSError, SandboxGone):
            await self._started()

    async def call(self, tool: str, args: Mapping[str, Any], content: bytes = b"") -> Reply:
        """Run a tool in the helper; ``content`` is the new content of a file.

        Programs of the session can end the helper. It is then started again, and a call that may be repeated is
        repeated. Raises ``SandboxGone``.
        """
        for attempt in itertools.count():
            try:
                helper = await self._started()
                return await helper.request(tool, args, content)
            except HelperDied:
                if attempt or tool not in _REPEATABLE or self._sandbox.is_closed:
                    return Reply.failure(
                        f"{tool}: the program that works on the session's files was ended before it had answered; "
                        "check the files, then call again"
                    )
            except OSError as error:
                why = error.strerror or str(error)
                text = f"{tool}: the program that works on the session's files could not be started: {why}"
                return Reply.failure(text)
        raise AssertionError("unreachable")

    async def changes(self, path: str) -> Reply:
        """Return the changes beneath a path since the previous call, as the tool ``get_file_change`` reports them.

        A helper that does not watch a path it is expected to watch, since it was started again or since the path was
        deleted meanwhile, reports that changes were lost.
        """
        reply = await self.call("get_file_change", {"path": path, "expected": path in self._watched})
        if reply.ok:
            self._watched.add(path)
        return reply

    async def close(self) -> None:
        """End the helper. May be called twice."""
        helper, self._helper = self._helper, None
        if helper is not None:
            await helper.close()

    async def _started(self) -> Helper:
        async with self._starting:
            if self._helper is not None and not self._helper.is_alive:
                await self.close()
            if self._helper is None:
                self._helper = await Helper.start(self._sandbox, self._sandbox.helper("file_helper"))
            return self._helper
