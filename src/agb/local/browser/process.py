"""One browser: its process in a session's sandbox, and the runtime's own connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import signal
import socket
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox, SandboxGone
from . import devtools
from .cdp import Cdp, CdpClosed, CdpError, open_websocket
from .chromium import Chromium
from .devtools import DevToolsAnswer, NoAnswer
from .launch import BLANK, LaunchOptions, command_line

START_SECONDS = 60.0
"""Limit of a start; on a loaded machine a start from a cold disk takes many seconds."""
START_PAGE_SECONDS = 10.0
"""Limit of the wait for the start page's server to answer; the page continues to load after it."""

_CLOSE_SECONDS = 10.0
_TERMINATE_SECONDS = 3.0
_LAST_WORDS = 3
_KEPT = 1 << 16
_LISTENING = re.compile(rb"^DevTools listening on ws://[^/\s]+:(\d+)(/devtools/browser/[\w-]+)", re.MULTILINE)
_NOISE = ("dbus/", "crashpad/", "DevTools listening")
"""Parts of lines that are no reason for an end: there is no D-Bus in a session, and the crash handler lacks /sys."""


class BrowserUnavailable(Exception):
    """There is no browser: it was not started, could not be, or has ended; the message is the reason."""


class NoSandbox(BrowserUnavailable):
    """The browser did not start, since it cannot make a sandbox of its own here."""


class Browser:
    """A browser that runs. :meth:`start` starts one, :meth:`stop` ends it; it may also end by itself (`ended`)."""

    port: int
    """Port of its DevTools on the session's loopback."""
    path: str
    """Path of the browser's own WebSocket there."""
    cdp: Cdp
    """The runtime's own connection, open as long as the browser runs; it receives the events of all targets."""

    def __init__(self, sandbox: Sandbox, options: LaunchOptions) -> None:
        self.options = options
        self.token = secrets.token_hex(16)
        """The secret of the links to this browser."""
        self._sandbox = sandbox
        self._output = _Output()
        self._process: Process

    @classmethod
    async def start(
        cls, sandbox: Sandbox, chromium: Chromium, options: LaunchOptions, *, profile: str, sandboxed: bool
    ) -> Browser:
        """Start a browser and return it when its first page is there; ``sandboxed``: with Chromium's own sandbox.

        Raises ``BrowserUnavailable``, ``NoSandbox`` among them.
        """
        browser = cls(sandbox, options)
        program = sandbox.seen(chromium.program)
        try:
            async with asyncio.timeout(START_SECONDS):
                await browser._spawn(command_line(program, profile, options, sandboxed=sandboxed), profile)
                await browser._connect()
                await browser._open_start_page()
        except TimeoutError:
            await browser._kill()
            raise BrowserUnavailable(f"the browser did not start within {START_SECONDS:g} s") from None
        except CdpError as error:
            await browser._kill()
            raise BrowserUnavailable(f"the browser did not start: {browser._end() or error}") from error
        except BaseException:
            await browser._kill()
            raise
        return browser

    async def stop(self) -> None:
        """End the browser and return when its profile is written and it has ended."""
        if self.is_running:
            with contextlib.suppress(CdpError):
                await self.cdp.call("Browser.close", timeout=_CLOSE_SECONDS)
            await self._ended_within(_CLOSE_SECONDS)
        if self.is_running:
            await self._process.signal(signal.SIGTERM)
            await self._ended_within(_TERMINATE_SECONDS)
        await self._kill()

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return not self._process.exited.done()

    @property
    def end(self) -> str:
        """How it ended, with the last lines that it printed; only for one that does not run."""
        return f"the browser ended {self._end()}"

    async def connect(self) -> socket.socket:
        """Return a TCP socket connected to its DevTools. Raises ``OSError``."""
        try:
            return await self._sandbox.connect(self.port)
        except SandboxGone as error:
            raise ConnectionResetError(str(error)) from error

    async def open_cdp(self, path: str | None = None) -> Cdp:
        """Return another connection, to the browser or to the target with a path; the caller closes it.

        Raises ``CdpClosed``.
        """
        return Cdp(await self.open_websocket(path or self.path))

    async def open_websocket(self, path: str) -> ClientConnection:
        """Return a WebSocket to its DevTools; the caller closes it. Raises ``CdpClosed``."""
        try:
            return await open_websocket(await self.connect(), path)
        except OSError as error:
            raise CdpClosed(f"the browser's DevTools did not accept a connection: {error}") from error

    async def ask(self, target: str, *, method: str = "GET") -> DevToolsAnswer:
        """Return an answer of the DevTools' HTTP side, such as ``/json/list``. Raises ``NoAnswer``."""
        try:
            return await devtools.ask(await self.connect(), target, method=method)
        except OSError as error:
            raise NoAnswer(f"the browser's DevTools gave no answer: {error}") from error

    async def pages(self) -> list[dict[str, Any]]:
        """Return the open pages as ``/json/list`` describes them, the one that was active last first.

        Raises ``NoAnswer``.
        """
        targets = (await self.ask("/json/list")).json()
        return [target for target in targets if target.get("type") == "page"]

    # --- start and end ---

    async def _spawn(self, command: list[str], profile: str) -> None:
        # The lock of a profile outlives a browser that was killed. Its process number may be another program's by now,
        # which the next browser would take for itself. There is one browser per session, so the lock is never in use.
        script = 'rm -f -- "$0/SingletonLock" "$0/SingletonCookie" "$0/SingletonSocket"; exec "$@"'
        stderr = Capture(sys.maxsize, owner=self._sandbox.user, on_data=self._output.add)
        self._stderr = stderr
        try:
            self._process = await self._sandbox.spawn(
                ["/bin/sh", "-c", script, profile, *command],
                env=self.options.environment,
                stdout=self._discarded(),
                stderr=stderr,
            )
        except (OSError, SandboxGone) as error:
            raise BrowserUnavailable(f"the browser did not start: {error}") from error

    def _discarded(self) -> Capture:
        self._stdout = Capture(0, owner=self._sandbox.user)
        return self._stdout

    async def _connect(self) -> None:
        listening = self._output.listening
        await asyncio.wait((listening, self._process.exited), return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            self._stderr.drain()
            kind = NoSandbox if self._output.lacks_sandbox else BrowserUnavailable
            raise kind(f"the browser did not start: it ended {self._end()}")
        self.port, self.path = listening.result()
        self.cdp = await self.open_cdp()
        page = asyncio.Event()
        self.cdp.on_event(lambda name, params, _: _note_page(name, params, page))
        await self.cdp.call("Target.setDiscoverTargets", {"discover": True})
        await page.wait()

    async def _open_start_page(self) -> None:
        if self.options.after_start is not None:
            await self.options.after_start(self)
        if self.options.start_url == BLANK:
            return
        targets = (await self.cdp.call("Target.getTargets"))["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = await self.cdp.call("Target.attachToTarget", {"targetId": page, "flatten": True})
        session = attached["sessionId"]
        with contextlib.suppress(CdpError):  # what is wrong with the address is shown by the page
            url = {"url": self.options.start_url}
            await self.cdp.call("Page.navigate", url, session=session, timeout=START_PAGE_SECONDS)
        await self.cdp.call("Target.detachFromTarget", {"sessionId": session})

    async def _ended_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()

    async def _kill(self) -> None:
        """End what is left of it."""
        if hasattr(self, "_process"):
            await self._process.signal(signal.SIGKILL)
            await self._process.wait()
        if hasattr(self, "cdp"):
            await self.cdp.close()
        for capture in (self._stdout, self._stderr):
            capture.close()

    def _end(self) -> str:
        code = self._process.exited.result() if self._process.exited.done() else 0
        how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        return how + (f": {words}" if (words := self._output.last_words) else "")


class _Output:
    """What a browser prints on stderr: the address of its DevTools, and its last words."""

    def __init__(self) -> None:
        self.listening: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._text = bytearray()

    def add(self, data: bytes) -> None:
        self._text += data
        if not self.listening.done() and (found := _LISTENING.search(self._text)):
            self.listening.set_result((int(found[1]), found[2].decode()))
        del self._text[:-_KEPT]

    @property
    def lacks_sandbox(self) -> bool:
        """Whether it ended since it could not make its own sandbox."""
        return b"No usable sandbox!" in self._text or b"Failed to move to new namespace" in self._text

    @property
    def last_words(self) -> str:
        """The last lines that may say why it ended."""
        lines = self._text.decode("utf-8", "replace").splitlines()
        return "; ".join([line for line in lines if line.strip() and not any(n in line for n in _NOISE)][-_LAST_WORDS:])


def _note_page(name: str, params: dict[str, Any], page: asyncio.Event) -> None:
    if name == "Target.targetCreated" and params["targetInfo"]["type"] == "page":
        page.set()
