"""What differs for Playwright, and the names of 0.12 that are coroutine functions: the asynchronous flavour."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ...exceptions import AGBError
from .cancellation import shielded

if TYPE_CHECKING:
    from playwright.async_api import Page

    from ...browser_options import BrowserOption
    from ...fingerprint import FingerprintFormat


def check_playwright(playwright: Any) -> None:
    """Raise `TypeError` or `RuntimeError` unless Playwright's asynchronous API can be used here, and is what is given.

    Args:
        playwright: Playwright, or None if the package is to start it.
    """
    import asyncio
    from inspect import iscoroutinefunction

    chromium = getattr(playwright, "chromium", None)
    if playwright is not None and not iscoroutinefunction(getattr(chromium, "connect_over_cdp", None)):
        raise TypeError(f"playwright is that of playwright.async_api, not {type(playwright).__qualname__}")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("Playwright runs on asyncio only; with trio, use agb.AGB in a thread") from None


class BrowserNames:
    """`initialize_async` and `screenshot`, which 0.12 has as coroutine functions beside methods that are none."""

    if TYPE_CHECKING:

        async def initialize(self, option: BrowserOption | None = None, *, timeout: float | None = None) -> bool: ...

        def _screenshot_steps(
            self, page: Any, full_page: bool, options: dict[str, Any]
        ) -> Generator[Any, Any, bytes]: ...

    async def initialize_async(self, option: BrowserOption | None = None, *, timeout: float | None = None) -> bool:
        """Start the browser; the same as `initialize`, by its name in 0.12."""
        return await self.initialize(option, timeout=timeout)

    async def screenshot(self, page: Page, full_page: bool = False, **options: Any) -> bytes:
        """Return a picture of a page of yours, from its top to its end, without what a viewport would cut off.

        The page is scrolled to its end first, so that it loads what it loads when it becomes visible. The picture is
        1920 pixels wide; size and position of the page are restored. There is no request to the service.

        Args:
            page: a page of Playwright, of its asynchronous API or, in the synchronous flavour, of either.
            full_page: also what is below 10,000 pixels.
            options: those of Playwright's ``page.screenshot``; by default animations are disabled, the caret is hidden,
                a pixel is one of CSS, the type is PNG, and the picture may take 60,000 milliseconds.

        Returns:
            The picture. In the synchronous flavour a page of the asynchronous API is awaited for it, as in 0.12.

        Raises:
            BrowserError: the browser is not initialized.
            ValueError: the page is None.
            RuntimeError: Playwright failed; its error is the cause.
        """
        steps = self._screenshot_steps(page, full_page, options)
        try:
            step = next(steps)
            while True:
                try:
                    result = await (shielded(step.call) if step.is_clean_up else step.call())
                except BaseException as error:  # the steps clean up, and raise it
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            picture: bytes = end.value
            return picture


class FingerprintNames:
    """`generate_fingerprint` and `generate_fingerprint_to_file`, which are coroutine functions in 0.12."""

    if TYPE_CHECKING:
        error: Exception | None

        async def generate(self) -> FingerprintFormat: ...

        async def generate_to_file(self, output_filename: str = "") -> None: ...

        def _failed(self, error: Exception) -> None: ...

    async def generate_fingerprint(self) -> FingerprintFormat | None:
        """Return the fingerprint; None if that fails, and ``error`` is the reason then. `generate` raises it."""
        self.error = None
        try:
            return await self.generate()
        except (AGBError, ImportError) as error:
            self._failed(error)
            return None

    async def generate_fingerprint_to_file(self, output_filename: str = "fingerprint_output.json") -> bool:
        """Write the fingerprint to a file; False if that fails, and ``error`` is the reason then."""
        self.error = None
        try:
            await self.generate_to_file(output_filename)
        except (AGBError, ImportError, OSError) as error:
            self._failed(error)
            return False
        return True
