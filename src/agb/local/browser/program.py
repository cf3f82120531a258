"""The process of a browser in a session's sandbox: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import Mapping, Sequence

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox

_TERMINATE_SECONDS = 3.0
_LEFT_SECONDS = 3.0
_LAST_WORDS = 3
_KEPT = 1 << 16
_LISTENING = re.compile(rb"^DevTools listening on ws://[^/\s]+:(\d+)(/devtools/browser/[\w-]+)", re.MULTILINE)
_NOISE = ("dbus/", "crashpad/", "isolated_origin", "DevTools listening")
"""Parts of lines that are no reason for an end.

There is no D-Bus in a session, the crash handler lacks /sys, and the address given for Google's accounts has a port.
"""
_LACKS_SANDBOX = (b"No usable sandbox!", b"Failed to move to new namespace", b"without --no-sandbox")
# The lock of a profile outlives a browser that was killed. Its process number may be another program's by now, which
# the next browser would take for itself. There is one browser per session, so the lock is never in use.
_UNLOCK = 'rm -f -- "$0/SingletonLock" "$0/SingletonCookie" "$0/SingletonSocket"; exec "$@"'


class BrowserProgram:
    """A browser's process. :meth:`spawn` starts it; then :meth:`end` has to follow, also when it ended by itself."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.listening: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        """The port of its DevTools, and the path of the browser's WebSocket there."""
        self._sandbox = sandbox
        self._printed = bytearray()
        self._all_ended = asyncio.Event()
        self._process: Process

    async def spawn(self, command: Sequence[str], *, profile: str, environment: Mapping[str, str]) -> None:
        """Start it. Raises ``OSError`` and ``SandboxGone``."""
        user = self._sandbox.user
        self._stdout = Capture(0, owner=user)
        # Its processes inherit the pipe, so its end is the end of all of them.
        self._stderr = Capture(sys.maxsize, owner=user, on_data=self._read, on_end=self._all_ended.set)
        try:
            self._process = await self._sandbox.spawn(
                ["/bin/sh", "-c", _UNLOCK, profile, *command],
                env=environment,
                stdout=self._stdout,
                stderr=self._stderr,
            )
        except BaseException:
            self._close()
            raise

    @property
    def exited(self) -> asyncio.Future[int]:
        """Its exit code, once it has ended."""
        return self._process.exited

    async def ended_within(self, seconds: float) -> bool:
        """Return whether it ends within a time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()
        return self.exited.done()

    async def end(self) -> None:
        """End it, if it runs, and return when none of its processes is left."""
        for number, seconds in ((signal.SIGTERM, _TERMINATE_SECONDS), (signal.SIGKILL, _LEFT_SECONDS)):
            if not self.exited.done():
                await self._process.signal(number)
                await self.ended_within(seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEFT_SECONDS):
                await self._all_ended.wait()
        self._close()

    @property
    def description_of_end(self) -> str:
        """How it ended, with the last lines that it printed."""
        self._stderr.drain()
        code = self.exited.result()
        how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        return f"{how}: {words}" if (words := self._last_words) else how

    @property
    def lacks_sandbox(self) -> bool:
        """Whether it ended since it could not make its own sandbox."""
        self._stderr.drain()
        return any(words in self._printed for words in _LACKS_SANDBOX)

    @property
    def _last_words(self) -> str:
        lines = self._printed.decode("utf-8", "replace").splitlines()
        printed = [line.strip() for line in lines if line.strip() and not any(part in line for part in _NOISE)]
        return "; ".join(printed[-_LAST_WORDS:])

    def _read(self, data: bytes) -> None:
        self._printed += data
        if not self.listening.done() and (found := _LISTENING.search(self._printed)):
            self.listening.set_result((int(found[1]), found[2].decode()))
        del self._printed[:-_KEPT]

    def _close(self) -> None:
        self._stdout.close()
        self._stderr.close()
