"""The browser of a session: started, driven through Playwright, and stopped."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._ops import browser as ops
from ..._ops.page_screenshot import Steps, steps
from ..._wire.deadline import Deadline
from ...browser_options import BrowserOption
from ...exceptions import AGBError, BrowserError, ErrorKind
from .._compat.browser_names import BrowserNames, check_playwright
from .._compat.cancellation import shielded
from ..block import AsyncBlock
from .tools import run_tool

if TYPE_CHECKING:
    import playwright.async_api as playwright_api

    from .browser_agent import AsyncBrowserAgent
    from .protocols import AsyncSessionAccess

_log = logging.getLogger("agb")


class AsyncBrowser(BrowserNames):
    """The browser of a session; available as ``session.browser``.

    There is at most one browser in a session. Its profile, cookies among it, outlives `destroy`, and the session if it
    was created with a `BrowserContext`.

    Attributes:
        endpoint_router_port: the port by which programs in the session reach the browser; None before it is started.
        error: why the last `initialize` returned False, or why the browser is not initialized any more; else None.
        warnings: what the service could not do of what the option asks for.
    """

    def __init__(self, session: AsyncSessionAccess) -> None:
        self.session = session
        self.endpoint_router_port: int | None = None
        self.error: AGBError | None = None
        self.warnings: tuple[str, ...] = ()
        self._option: BrowserOption | None = None
        self._sent: dict[str, Any] = {}
        """The option as it was sent: the object itself may be changed by the program."""
        self._is_initialized = False
        self._blocks = 0
        """How many blocks of `connect` and `page` use the browser."""
        self._is_started_by_block = False

    def __repr__(self) -> str:
        state = f"port {self.endpoint_router_port}" if self._is_initialized else "not initialized"
        return f"<{type(self).__name__} of session {self.session_id}, {state}>"

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self.session.session_id

    @cached_property
    def agent(self) -> AsyncBrowserAgent:
        """Carries out instructions on the browser's pages."""
        from .browser_agent import AsyncBrowserAgent

        return AsyncBrowserAgent(self.session, self)

    # --- start and stop ------------------------------------------------------------------------------------------

    async def initialize(self, option: BrowserOption | None = None, *, timeout: float | None = None) -> bool:
        """Start the browser, and return whether it runs; `start` is the same with the reason raised.

        If it was initialized already, nothing is sent and the option is not looked at, as in 0.12: `get_option` returns
        the one in effect, and `destroy` comes before another one.

        Args:
            option: how the browser is started; the default option if it is None.
            timeout: seconds for the whole call.

        Returns:
            True if the browser runs. If False, ``error`` is the reason.

        Raises:
            TypeError: the option is no `BrowserOption`.

        API: POST /browser/init.
        """
        _check_option(option)
        if self._is_initialized:
            return True
        try:
            await self.start(option, timeout=timeout)
        except AGBError:
            return False
        return True

    async def start(self, option: BrowserOption | None = None, *, timeout: float | None = None) -> None:
        """Start the browser, or make sure that it runs; one that has crashed is started again.

        Args:
            option: how the browser is started; None for the option in effect, or the default option.
            timeout: seconds for the whole call.

        Raises:
            BrowserError: it was not started: the session is gone (``NOT_FOUND``), its image has no browser or none is
                installed (``REFUSED``, with ``http_status`` 501 for the latter), there was no valid answer, or it runs
                with another option.
            TypeError: the option is no `BrowserOption`.

        API: POST /browser/init.
        """
        await self._start(option, self.session.get_client().deadline(timeout))

    async def _start(self, option: BrowserOption | None, deadline: Deadline) -> None:
        _check_option(option)
        wanted = option or self._option or BrowserOption()
        form = wanted.to_map()
        if self._is_initialized and form != self._sent:
            self.error = BrowserError(
                f"The browser of session {self.session_id} runs with another option: destroy() it first",
                session_id=self.session_id,
            )
            raise self.error
        try:
            call = ops.init_browser(self.session_id, form)
            started, _ = await self.session.get_client().call(call, deadline=deadline)
        except AGBError as error:
            self._note_failure(error)
            self.error = error
            raise
        self._option, self._sent = wanted, form
        self.endpoint_router_port, self.warnings = started.port, started.warnings
        self._is_initialized, self.error = True, None
        for warning in started.warnings:
            _log.debug("browser of session %s: %s", self.session_id, warning)

    async def destroy(self, *, timeout: float | None = None) -> None:
        """Stop the browser; its profile is written then. Afterwards it can be initialized again.

        Args:
            timeout: seconds for the whole call.

        Raises:
            BrowserError: the browser is not initialized; or it could not be stopped, and after a failure without an
                answer it counts as initialized still.

        API: the tool ``stopChrome``.
        """
        if not self._is_initialized:
            raise self._not_initialized("Browser is not initialized. Cannot stop browser.")
        try:
            await run_tool(self.session, ops.stop_browser(self.session_id), timeout=timeout)
        except AGBError as error:
            if error.kind.is_refusal:
                self._reset(error)
            raise
        self._reset(None)

    def _reset(self, error: AGBError | None) -> None:
        """Forget a browser that does not run any more."""
        self._is_initialized, self._is_started_by_block = False, False
        self._option, self._sent = None, {}
        self.endpoint_router_port, self.warnings, self.error = None, (), error

    def _note_failure(self, error: AGBError) -> None:
        """Forget the browser if an error of a start, or of its address, means that it does not run (any more)."""
        if error.kind in (ErrorKind.REFUSED, ErrorKind.NOT_FOUND):
            self._reset(error)

    def _not_initialized(self, text: str) -> BrowserError:
        return BrowserError(f"{text} {self.error}" if self.error else text, session_id=self.session_id)

    # --- what is known about it ----------------------------------------------------------------------------------

    def is_initialized(self) -> bool:
        """Return whether the browser was started through this object, and is not known to have ended."""
        return self._is_initialized

    def get_option(self) -> BrowserOption | None:
        """Return the option that the browser was started with, None before that."""
        return self._option

    async def get_endpoint_url(self, *, timeout: float | None = None) -> str:
        """Return the WebSocket URL by which DevTools clients drive the browser; it is a secret.

        Playwright takes it in ``chromium.connect_over_cdp``, Puppeteer as ``browserWSEndpoint``; `connect` does that.

        Raises:
            BrowserError: the browser is not initialized, or has ended: then it can be initialized again.

        API: POST /internet/getCdpLink, at each call.
        """
        return await self._get_endpoint_url(self.session.get_client().deadline(timeout))

    async def _get_endpoint_url(self, deadline: Deadline) -> str:
        if not self._is_initialized:
            raise self._not_initialized("Browser is not initialized. Cannot access endpoint URL.")
        try:
            return await self._fetch_endpoint_url(deadline)
        except AGBError as error:
            self._note_failure(error)
            raise

    async def _fetch_endpoint_url(self, deadline: Deadline) -> str:
        url, _ = await self.session.get_client().call(ops.get_cdp_link(self.session_id), deadline=deadline)
        return url

    # --- Playwright ----------------------------------------------------------------------------------------------

    def connect(
        self,
        option: BrowserOption | None = None,
        *,
        record: bool | str | PathLike[str] = False,
        playwright: playwright_api.Playwright | None = None,
        timeout: float | None = None,
    ) -> AsyncBlock[playwright_api.Browser]:
        """Return a block with the browser as an object of your own Playwright (``pip install 'agb[browser]'``).

        Entering it starts the browser unless one runs, and connects. Leaving it, also by an error or a cancellation,
        disconnects, stops Playwright's driver if it was started for the block, and stops the browser if no browser ran
        before. The browser's default context, with the profile and the option's properties, is ``contexts[0]``.

        Args:
            option: how the browser is started; None for the option in effect, or the default option.
            record: a file of this machine to which a trace of the default context is written, to be opened by
                ``playwright show-trace``; True for ``<session id>.trace.zip`` in the current directory.
            playwright: Playwright, if it runs already, instead of one that is started for the block.
            timeout: seconds until the browser is connected.

        Raises:
            ImportError: Playwright is not installed.
            BrowserError: when entered, the browser could not be started, or not connected to.
            RuntimeError: when entered, the event loop is not one of asyncio.
            TypeError: an argument is of the wrong type.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-browser-use-1")) as session:
            ...     async with session.browser.connect() as browser:
            ...         page = await browser.contexts[0].new_page()
            ...         await page.set_content("<title>Hello</title>")
            ...         print(await page.title())
            Hello
        """
        from .browser_connection import check_installed

        _check_option(option)
        path = self._record_path(record)
        check_installed()
        return AsyncBlock("session.browser.connect()", "browser", self._connected(option, path, playwright, timeout))

    def page(
        self,
        option: BrowserOption | None = None,
        *,
        record: bool | str | PathLike[str] = False,
        playwright: playwright_api.Playwright | None = None,
        timeout: float | None = None,
    ) -> AsyncBlock[playwright_api.Page]:
        """Return a block with a page of the browser's default context, and nothing else to take care of.

        It is the browser's first page if the block has started the browser, otherwise a new one, which is closed at the
        end. Arguments and errors are those of `connect`.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-browser-use-1")) as session:
            ...     async with session.browser.page() as page:
            ...         await page.set_content("<h1>Hello</h1>")
            ...         print(await page.locator("h1").text_content())
            Hello
        """
        from .browser_connection import check_installed

        _check_option(option)
        path = self._record_path(record)
        check_installed()
        return AsyncBlock("session.browser.page()", "page", self._page(option, path, playwright, timeout))

    @asynccontextmanager
    async def _connected(
        self,
        option: BrowserOption | None,
        record: Path | None,
        playwright: playwright_api.Playwright | None,
        timeout: float | None,
    ) -> AsyncIterator[playwright_api.Browser]:
        from .browser_connection import connected

        check_playwright(playwright)
        deadline = self.session.get_client().deadline(timeout)
        async with self._running(option, deadline), connected(self, playwright, record, deadline) as browser:
            yield browser

    @asynccontextmanager
    async def _page(
        self,
        option: BrowserOption | None,
        record: Path | None,
        playwright: playwright_api.Playwright | None,
        timeout: float | None,
    ) -> AsyncIterator[playwright_api.Page]:
        from .browser_connection import connected, page_of

        check_playwright(playwright)
        deadline = self.session.get_client().deadline(timeout)
        async with (
            self._running(option, deadline) as is_new,
            connected(self, playwright, record, deadline) as browser,
            page_of(browser, is_new=is_new) as page,
        ):
            yield page

    @asynccontextmanager
    async def _running(self, option: BrowserOption | None, deadline: Deadline) -> AsyncIterator[bool]:
        """Have the browser run for the time of a block; yields whether this block has started it.

        A browser that ran before, started through this object or another one, goes on at the end. One that a block has
        started is stopped by the last block that ends. A forked child stops nothing: the browser is its parent's.
        """
        process = os.getpid()
        is_new = not self._is_initialized and not await self._runs_already(deadline)
        self._blocks += 1
        try:
            self._is_started_by_block = self._is_started_by_block or is_new
            try:
                await self._start(option, deadline)
            except AGBError as error:
                if error.kind.is_refusal and not self._is_initialized:
                    self._is_started_by_block = False
                raise
            yield is_new
        finally:
            self._blocks -= 1
            if not self._blocks and self._is_started_by_block and os.getpid() == process:
                self._is_started_by_block = False
                await shielded(self._stop)

    async def _runs_already(self, deadline: Deadline) -> bool:
        """Return whether a browser runs that was not started through this object."""
        try:
            await self._fetch_endpoint_url(deadline)
        except AGBError as error:
            if error.kind is ErrorKind.REFUSED:
                return False
            raise
        return True

    async def _stop(self) -> None:
        """Stop the browser also if this object does not know whether it runs: its start may have been cancelled."""
        try:
            await run_tool(self.session, ops.stop_browser(self.session_id))
        except AGBError as error:
            if error.kind is not ErrorKind.NOT_FOUND:  # the session was deleted in the block, and its browser with it
                raise
        self._reset(None)

    def _record_path(self, record: bool | str | PathLike[str]) -> Path | None:
        if isinstance(record, bool):
            return Path(f"{self.session_id}.trace.zip").absolute() if record else None
        if not isinstance(record, (str, PathLike)):
            raise TypeError(f"record is True, False or the path of a file, not {type(record).__name__}")
        return Path(record).absolute()

    def _screenshot_steps(self, page: Any, full_page: bool, options: dict[str, Any]) -> Steps:
        if not self._is_initialized:
            raise self._not_initialized("Browser must be initialized before calling screenshot.")
        if page is None:
            raise ValueError("Page cannot be None")
        return steps(page, full_page, options)


def _check_option(option: object) -> None:
    if option is not None and not isinstance(option, BrowserOption):
        raise TypeError(f"option must be a BrowserOption, not {type(option).__name__}")
