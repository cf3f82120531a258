"""What differs for Playwright, and the names of 0.12 that are coroutine functions: the synchronous flavour."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, overload

from ...exceptions import AGBError
from .coroutines import in_worker_thread
from .results import coroutine_function

if TYPE_CHECKING:
    from playwright import async_api, sync_api

    from ...browser_options import BrowserOption
    from ...fingerprint import FingerprintFormat


def check_playwright(playwright: Any) -> None:
    """Raise `TypeError` unless what is given is Playwright with its synchronous API.

    Args:
        playwright: Playwright, or None if the package is to start it.
    """
    connect = getattr(getattr(playwright, "chromium", None), "connect_over_cdp", None)
    if playwright is not None and (not callable(connect) or iscoroutinefunction(connect)):
        raise TypeError(f"playwright is that of playwright.sync_api, not {type(playwright).__qualname__}")


class BrowserNames:
    """`initialize_async` and `screenshot`, which 0.12 has as coroutine functions beside methods that are none."""

    if TYPE_CHECKING:

        def initialize(self, option: BrowserOption | None = None, *, timeout: float | None = None) -> bool: ...

        def _screenshot_steps(
            self, page: Any, full_page: bool, options: dict[str, Any]
        ) -> Generator[Any, Any, bytes]: ...

    async def initialize_async(self, option: BrowserOption | None = None, *, timeout: float | None = None) -> bool:
        """Start the browser in a thread; the same as `initialize`, by its name in 0.12."""
        return await in_worker_thread(partial(self.initialize, option, timeout=timeout))

    @overload
    def screenshot(self, page: sync_api.Page, full_page: bool = False, **options: Any) -> bytes: ...
    @overload
    def screenshot(
        self, page: async_api.Page, full_page: bool = False, **options: Any
    ) -> Coroutine[Any, Any, bytes]: ...
    @coroutine_function
    def screenshot(self, page: Any, full_page: bool = False, **options: Any) -> Any:
        """Return a picture of a page of yours, from its top to its end, without what a viewport would cut off.

        The page is scrolled to its end first, so that it loads what it loads when it becomes visible. The picture is
        1920 pixels wide; size and position of the page are restored. There is no request to the service.

        Args:
            page: a page of Playwright, of its synchronous API or, as in 0.12, of its asynchronous one.
            full_page: also what is below 10,000 pixels.
            options: those of Playwright's ``page.screenshot``; by default animations are disabled, the caret is hidden,
                a pixel is one of CSS, the type is PNG, and the picture may take 60,000 milliseconds.

        Returns:
            The picture; for a page of the asynchronous API a coroutine that returns it. The method counts as a
            coroutine function for `inspect.iscoroutinefunction`, as it was one in 0.12.

        Raises:
            BrowserError: the browser is not initialized.
            ValueError: the page is None.
            RuntimeError: Playwright failed; its error is the cause.
        """
        steps = self._screenshot_steps(page, full_page, options)
        if iscoroutinefunction(getattr(page, "screenshot", None)):
            return _run_awaiting(steps)
        return _run(steps)


def _run(steps: Generator[Any, Any, bytes]) -> bytes:
    try:
        step = next(steps)
        while True:
            try:
                result = step.call()
            except BaseException as error:  # the steps clean up, and raise it
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        picture: bytes = end.value
        return picture


async def _run_awaiting(steps: Generator[Any, Any, bytes]) -> bytes:
    try:
        step = next(steps)
        while True:
            try:
                result = await step.call()
            except BaseException as error:
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

        def generate(self) -> FingerprintFormat: ...

        def generate_to_file(self, output_filename: str = "") -> None: ...

        def _failed(self, error: Exception) -> None: ...

    async def generate_fingerprint(self) -> FingerprintFormat | None:
        """Return the fingerprint; None if that fails, and ``error`` is the reason then. `generate` raises it."""
        self.error = None
        try:
            return await in_worker_thread(self.generate)
        except (AGBError, ImportError) as error:
            self._failed(error)
            return None

    async def generate_fingerprint_to_file(self, output_filename: str = "fingerprint_output.json") -> bool:
        """Write the fingerprint to a file; False if that fails, and ``error`` is the reason then."""
        self.error = None
        try:
            await in_worker_thread(partial(self.generate_to_file, output_filename))
        except (AGBError, ImportError, OSError) as error:
            self._failed(error)
            return False
        return True
