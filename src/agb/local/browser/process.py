"""One browser in a session's sandbox: started, driven over the runtime's own connection, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from typing import Any

from websockets.asyncio.client import ClientConnection

from ..sandbox.sandbox import Sandbox, SandboxGone
from . import devtools
from .cdp import Cdp, CdpClosed, CdpError, CdpTimeout, open_websocket
from .chromium import Chromium
from .devtools import DevToolsAnswer, NoAnswer
from .launch import BLANK, LaunchOptions, command_line
from .program import BrowserProgram

START_SECONDS = 60.0
"""Limit of a start; on a loaded machine a start from a cold disk takes many seconds."""
START_PAGE_SECONDS = 10.0
"""Limit of the wait for the start page's server to answer."""
DOWNLOADS = "Downloads"
"""The directory in the session's home where downloads are stored."""

_CLOSE_SECONDS = 10.0


class BrowserUnavailable(Exception):
    """There is no browser: it was not started, could not be, or has ended; the message is the reason."""


class NoSandbox(BrowserUnavailable):
    """The browser did not start, since it cannot make a sandbox of its own here."""


class Browser:
    """A browser that runs. :meth:`start` starts one, :meth:`stop` ends it; it may also end by itself."""

    def __init__(self, sandbox: Sandbox, chromium: Chromium, program: BrowserProgram, options: LaunchOptions) -> None:
        self.options = options
        self.kind = "chrome" if chromium.is_chrome else "chromium"
        self.first_page = ""
        """The id of the page that is open since the start."""
        self.warnings = options.warnings
        """Sentences about what of the options has no effect; the start adds some."""
        self.token = secrets.token_hex(16)
        """The secret of the links to this browser."""
        self.port: int
        """Port of its DevTools on the session's loopback."""
        self.path: str
        """Path of the browser's own WebSocket there."""
        self.cdp: Cdp
        """The runtime's own connection, open as long as the browser; it receives the events of all targets."""
        self._sandbox = sandbox
        self._program = program

    @classmethod
    async def start(
        cls, sandbox: Sandbox, chromium: Chromium, options: LaunchOptions, *, profile: str, sandboxed: bool
    ) -> Browser:
        """Start a browser and return it when its first page is there; ``sandboxed``: with Chromium's own sandbox.

        Raises ``BrowserUnavailable``, ``NoSandbox`` among them.
        """
        program = BrowserProgram(sandbox)
        shown = "DISPLAY" in sandbox.environment
        command = command_line(sandbox.seen(chromium.program), profile, options, sandboxed=sandboxed, shown=shown)
        try:
            await program.spawn(command, profile=profile, environment=options.environment)
        except (OSError, SandboxGone) as error:
            raise BrowserUnavailable(f"the browser did not start: {error}") from error
        browser = cls(sandbox, chromium, program, options)
        try:
            async with asyncio.timeout(START_SECONDS):
                await browser._connect()
        except BaseException as error:
            await program.end()
            if isinstance(error, TimeoutError):
                raise BrowserUnavailable(f"the browser did not start within {START_SECONDS:g} s") from None
            if isinstance(error, CdpError):
                raise BrowserUnavailable(f"the browser did not start: {error}") from error
            raise
        return browser

    async def stop(self) -> None:
        """End the browser and return when its profile is written and none of its processes is left."""
        if self.is_running:
            with contextlib.suppress(CdpError):
                await self.cdp.call("Browser.close", timeout=_CLOSE_SECONDS)
                await self._program.ended_within(_CLOSE_SECONDS)
        await self._program.end()
        await self.cdp.close()

    @property
    def downloads(self) -> str:
        """The directory where downloads are stored, seen from inside the session."""
        return f"{self._sandbox.home}/{DOWNLOADS}"

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return not self._program.exited.done()

    @property
    def end(self) -> str:
        """A sentence about how it ended, with the last lines that it printed; only for one that does not run."""
        return f"the browser ended {self._program.description_of_end}"

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

    # --- start ---

    async def _connect(self) -> None:
        listening, exited = self._program.listening, self._program.exited
        await asyncio.wait((listening, exited), return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            kind = NoSandbox if self._program.lacks_sandbox else BrowserUnavailable
            raise kind(f"the browser did not start: it ended {self._program.description_of_end}")
        self.port, self.path = listening.result()
        self.cdp = await self.open_cdp()
        try:
            await self._open_first_page()
        except BaseException:
            await self.cdp.close()
            raise

    async def _open_first_page(self) -> None:
        page: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def note(name: str, params: dict[str, Any], _: str | None) -> None:
            if name == "Target.targetCreated" and params["targetInfo"]["type"] == "page" and not page.done():
                page.set_result(params["targetInfo"]["targetId"])

        forget = self.cdp.on_event(note)
        await self.cdp.call("Target.setDiscoverTargets", {"discover": True})
        await asyncio.wait((page, self._program.exited), return_when=asyncio.FIRST_COMPLETED)
        forget()
        if not page.done():
            raise BrowserUnavailable(f"the browser did not start: it ended {self._program.description_of_end}")
        self.first_page = page.result()
        # Events of downloads are for callers that wait for a file.
        downloads = {"behavior": "allow", "downloadPath": self.downloads, "eventsEnabled": True}
        await self.cdp.call("Browser.setDownloadBehavior", downloads)
        if self.options.after_start is not None:
            await self.options.after_start(self)
        if self.options.start_url != BLANK:
            await self._navigate(self.first_page, self.options.start_url)

    async def _navigate(self, page: str, url: str) -> None:
        attached = await self.cdp.call("Target.attachToTarget", {"targetId": page, "flatten": True})
        session = attached["sessionId"]
        try:
            await self.cdp.call("Page.navigate", {"url": url}, session=session, timeout=START_PAGE_SECONDS)
        except CdpTimeout:
            # Until the server answers, the DevTools answer nothing about the page, and clients that connect wait.
            await self.cdp.call("Page.stopLoading", session=session)
            self.warnings.append(f"the start page was not loaded: no answer within {START_PAGE_SECONDS:g} s")
        except CdpError as error:
            self.warnings.append(f"the start page was not loaded: {error}")
        await self.cdp.call("Target.detachFromTarget", {"sessionId": session})
