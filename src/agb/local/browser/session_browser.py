"""The browser of a session: at most one at a time, whatever number of callers start and stop it."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

from attrs import define, evolve

from ..report import Report
from ..sandbox.sandbox import Sandbox, SandboxGone
from .chromium import INSTALL, Chromium
from .files import SessionFiles
from .launch import PROFILE, LaunchOptions
from .options import BrowserOptions
from .preparation import prepared
from .process import Browser, BrowserUnavailable, NoSandbox
from .proxies import ForwarderFailed

_UNPROTECTED = (
    "the browser did not start: Chromium cannot make its own sandbox here (user namespaces are not allowed), and "
    "without one a web page could get at your files; run the sessions in bubblewrap, or allow user namespaces"
)


class NotInstalled(BrowserUnavailable):
    """There is no Chromium on this machine; the message is what to install."""


@define
class Browsers:
    """What the browsers of a runtime have in common."""

    chromium: Chromium | None
    makes_sandbox: bool = True
    """Whether Chromium can make its own sandbox inside a session's; the first start that fails decides."""

    @property
    def trees(self) -> list[Path]:
        """The directories of the machine that sandboxes must show for it."""
        return [] if self.chromium is None else [self.chromium.tree]

    def reported(self, report: Report) -> Report:
        """Return a report with the browser, or with what to install."""
        if self.chromium is None:
            return evolve(report, missing={**report.missing, "browser": INSTALL})
        return evolve(report, browser=self.chromium.version)


class SessionBrowser:
    """Starts a session's browser, keeps it, and ends it.

    A start runs in a task of its own, so that all callers who want the browser wait for the same one, and it goes on
    when one of them leaves. Stopping cancels it. The lock keeps a start and a stop apart: two browsers must not write
    to one profile.
    """

    def __init__(self, sandbox: Sandbox, browsers: Browsers, files: SessionFiles) -> None:
        self.options = BrowserOptions()
        """Those of the browser that was started last."""
        self._sandbox = sandbox
        self._browsers = browsers
        self._files = files
        self._resources = AsyncExitStack()
        """What lives as long as the browser."""
        self._lock = asyncio.Lock()
        self._browser: Browser | None = None
        self._starting: asyncio.Task[Browser] | None = None
        self._is_closed = False

    async def start(self, options: BrowserOptions, *, profile: str = PROFILE) -> Browser:
        """Return the browser that runs or starts, or else start one with these options.

        Raises ``BrowserUnavailable``, ``NotInstalled`` among them.
        """
        if self._starting is None:
            if self._browser is not None and self._browser.is_running:
                return self._browser
            self._starting = asyncio.create_task(self._replace(options, profile))
        starting = self._starting
        await asyncio.wait({starting})
        if starting.cancelled():
            raise BrowserUnavailable("the browser was stopped while it started")
        return starting.result()

    async def stop(self) -> None:
        """End the browser and return when its profile is written; nothing happens without one."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        async with self._lock:
            if self._browser is not None:
                await self._end(self._browser)

    async def close(self) -> None:
        """End the browser for good: another start is refused."""
        self._is_closed = True
        await self.stop()

    @property
    def is_running(self) -> bool:
        """Whether a browser runs."""
        return self._browser is not None and self._browser.is_running

    def running(self) -> Browser:
        """Return the browser that runs. Raises ``BrowserUnavailable`` with the reason why none does."""
        if self._browser is None:
            raise BrowserUnavailable("no browser runs in this session: initialize it first")
        if not self._browser.is_running:
            raise BrowserUnavailable(f"{self._browser.end}; initialize it again")
        return self._browser

    async def _replace(self, options: BrowserOptions, profile: str) -> Browser:
        """Start a browser, and forget one that has ended."""
        try:
            async with self._lock:
                if self._is_closed:
                    raise BrowserUnavailable("the session has ended")
                if self._browser is not None:
                    await self._end(self._browser)
                self._browser = await self._start(options, profile)
                self.options = options
                return self._browser
        finally:
            self._starting = None

    async def _end(self, browser: Browser) -> None:
        self._browser = None
        await browser.stop()
        await self._resources.aclose()

    async def _start(self, options: BrowserOptions, profile: str) -> Browser:
        chromium = self._browsers.chromium
        if chromium is None:
            raise NotInstalled(f"there is no browser on this machine: {INSTALL}")
        try:
            async with AsyncExitStack() as stack:
                launch = await stack.enter_async_context(prepared(options, self._sandbox, self._files, chromium))
                browser = await self._launched(chromium, launch, profile)
                self._resources = stack.pop_all()
                return browser
        except (ForwarderFailed, SandboxGone) as error:
            raise BrowserUnavailable(f"the browser did not start: {error}") from error

    async def _launched(self, chromium: Chromium, options: LaunchOptions, profile: str) -> Browser:
        try:
            top, way = self._sandbox.mounted(profile)
        except KeyError:
            raise BrowserUnavailable(f"{profile} is not a directory of the session") from None
        profile = "/".join((top, *way))
        # Chromium refuses to start as root with a sandbox of its own.
        sandboxed = self._browsers.makes_sandbox and (self._sandbox.is_isolated or os.getuid() != 0)
        try:
            return await Browser.start(self._sandbox, chromium, options, profile=profile, sandboxed=sandboxed)
        except NoSandbox:
            # Without Chromium's own sandbox, a page that breaks out of its process gets what the session's programs
            # have anyway, if the session has a sandbox. If not, it would get the account of the user.
            if not self._sandbox.is_isolated:
                raise BrowserUnavailable(_UNPROTECTED) from None
            self._browsers.makes_sandbox = False
        return await Browser.start(self._sandbox, chromium, options, profile=profile, sandboxed=False)
