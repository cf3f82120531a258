"""Reads the fingerprint of a browser of this machine, to be imitated by the browser of a session."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._ops.fingerprint_script import READ_FINGERPRINT, fingerprint_of
from ..._wire.deadline import check_timeout
from ...exceptions import BrowserError, ErrorKind
from ...fingerprint import FingerprintFormat
from .._compat.browser_names import FingerprintNames, check_playwright
from .._compat.cancellation import shielded
from .._compat.loop import in_thread
from ..host.loopback_page import loopback_page
from .browser_connection import check_installed, driver

if TYPE_CHECKING:
    import playwright.async_api as playwright_api

_SWITCHES = ("--start-maximized", "--disable-blink-features=AutomationControlled")
"""With the second one ``navigator.webdriver`` is what it is without Playwright."""
_log = logging.getLogger("agb")


class AsyncBrowserFingerprintGenerator(FingerprintNames):
    """Reads the fingerprint of a Chrome or Chromium of this machine, through your own Playwright.

    Nothing outside of this machine is contacted: the browser opens a page that is served to it on the loopback
    interface, which also shows the headers that it sends.

    Args:
        headless: whether the browser has no window; its fingerprint differs then from that of one that people use.
        use_chrome_channel: whether the installed Google Chrome is used; otherwise Playwright's own Chromium.
        executable_path: the browser to use in place of these two.

    Attributes:
        error: why the last `generate_fingerprint` or `generate_fingerprint_to_file` failed, else None.
    """

    def __init__(
        self, headless: bool = False, use_chrome_channel: bool = True, *, executable_path: str | None = None
    ) -> None:
        self.headless = headless
        self.use_chrome_channel = use_chrome_channel
        self.executable_path = executable_path
        self.error: Exception | None = None

    async def generate(self, *, timeout: float = 60.0) -> FingerprintFormat:
        """Return the fingerprint.

        Args:
            timeout: seconds that the browser may take to start, and then to open the page.

        Raises:
            ImportError: Playwright is not installed.
            BrowserError: the browser was not started, or did not open the page.
        """
        check_timeout(timeout)
        check_installed()
        check_playwright(None)
        async with AsyncExitStack() as stack:
            playwright = await stack.enter_async_context(driver())
            try:
                browser = await stack.enter_async_context(self._launched(playwright, timeout))
                address, headers = stack.enter_context(loopback_page())
                page = await browser.new_page(no_viewport=True)
                page.set_default_timeout(timeout * 1000)
                await page.goto(address)
                return fingerprint_of(await page.evaluate(READ_FINGERPRINT), dict(headers))
            except Exception as error:
                raise BrowserError(
                    f"Could not read the fingerprint of a browser: {error}", kind=ErrorKind.UNREACHABLE
                ) from error

    async def generate_to_file(
        self, output_filename: str | PathLike[str] = "fingerprint_output.json", *, timeout: float = 60.0
    ) -> None:
        """Write the fingerprint to a file, as JSON, which `FingerprintFormat.load` reads.

        Raises:
            ImportError, BrowserError: as `generate`.
            OSError: the file cannot be written.
        """
        found = await self.generate(timeout=timeout)
        text = found.to_json()
        await in_thread(lambda: Path(output_filename).write_text(text, "utf-8"))

    @asynccontextmanager
    async def _launched(
        self, playwright: playwright_api.Playwright, timeout: float
    ) -> AsyncIterator[playwright_api.Browser]:
        options: dict[str, Any] = {"headless": self.headless, "args": list(_SWITCHES), "timeout": timeout * 1000}
        if self.executable_path is not None:
            options["executable_path"] = self.executable_path
        elif self.use_chrome_channel:
            options["channel"] = "chrome"
        browser = await playwright.chromium.launch(**options)
        try:
            yield browser
        finally:
            await shielded(browser.close)

    def _failed(self, error: Exception) -> None:
        """Keep why a fingerprint could not be read, for the methods of 0.12, which do not raise."""
        self.error = error
        _log.debug("%s", error)
