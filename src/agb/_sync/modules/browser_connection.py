# Generated from src/agb/_async/modules/browser_connection.py by tools/unasync.py. Do not edit.
"""A session's browser, connected to the caller's own Playwright for the time of a block."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..._wire.deadline import Deadline
from ...exceptions import BrowserError, ErrorKind
from .._compat.cancellation import run_to_completion, shielded
from .._compat.per_loop import LoopLocal
from .._compat.primitives import Lock

if TYPE_CHECKING:
    import playwright.sync_api as playwright_api

    from .browser import Browser

INSTALL = "this needs Playwright, which is not installed: pip install 'agb[browser]' (its own browsers are not needed)"


def check_installed() -> None:
    """Raise `ImportError` if Playwright is not installed; it is not imported, which takes a while."""
    if find_spec("playwright") is None:
        raise ImportError(INSTALL, name="playwright")


class Driver:
    """Playwright's driver, a process that all blocks of an event loop share (of a thread in the synchronous flavour).

    Playwright's synchronous API allows one driver per thread, and a driver takes some 100 MB, so nested and concurrent
    blocks have one together. It is started by the first block and stopped by the last.

    Invariant: ``_users`` counts the blocks that will call `_release`. Both changes of it happen under the lock and run
    to their end whatever is cancelled, so the process is stopped if and only if no block uses it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._playwright: playwright_api.Playwright | None = None

    @contextmanager
    def borrowed(self) -> Iterator[playwright_api.Playwright]:
        """Have the driver for the time of a block."""
        process = os.getpid()
        playwright = run_to_completion(self._acquire, self._release)
        try:
            yield playwright
        finally:
            if os.getpid() == process:  # the driver is the parent's, which goes on with it
                shielded(lambda: self._release(playwright))

    def _acquire(self) -> playwright_api.Playwright:
        from playwright.sync_api import sync_playwright

        with self._lock.within():
            if self._playwright is None:
                try:
                    self._playwright = sync_playwright().start()
                except Exception as error:
                    hint = "where Playwright runs already, pass it: playwright=..."
                    raise BrowserError(
                        f"Could not start Playwright: {error}; {hint}", kind=ErrorKind.UNREACHABLE
                    ) from error
            self._users += 1
            return self._playwright

    def _release(self, playwright: playwright_api.Playwright) -> None:
        with self._lock.within():
            self._users -= 1
            if not self._users:
                self._playwright = None
                playwright.stop()


_drivers = LoopLocal(Driver)


def driver() -> AbstractContextManager[playwright_api.Playwright]:
    """Return a block with the driver of the running event loop."""
    return _drivers.here().borrowed()


@contextmanager
def connected(
    browser: Browser, playwright: playwright_api.Playwright | None, record: Path | None, deadline: Deadline
) -> Iterator[playwright_api.Browser]:
    """Connect Playwright to the running browser of a session, and disconnect at the end.

    Raises:
        BrowserError: Playwright was not started, or not connected.
    """
    if playwright is None:
        with driver() as own, connected(browser, own, record, deadline) as found:
            yield found
        return
    process = os.getpid()
    connection = _connect(browser, playwright, deadline)
    try:
        if record is None:
            yield connection
        else:
            with _recorded(connection.contexts[0], record):
                yield connection
    finally:
        if os.getpid() == process:
            shielded(connection.close)


def _connect(browser: Browser, playwright: playwright_api.Playwright, deadline: Deadline) -> playwright_api.Browser:
    """Return a connection to the running browser of a session.

    The text of Playwright's error has the URL of the browser, which is a secret. The error raised here has a masked
    copy of that text. It is raised outside of the handler, so that tracebacks and logs do not reach the original by its
    cause or context.
    """
    url = browser._get_endpoint_url(deadline)
    try:
        return playwright.chromium.connect_over_cdp(url, timeout=max(1.0, deadline.left() * 1000))
    except Exception as error:
        failure = _not_connected(browser, error)
    raise failure


def _not_connected(browser: Browser, error: Exception) -> BrowserError:
    is_late = type(error).__name__ == "TimeoutError"
    return BrowserError(
        f"Could not connect to the browser of session {browser.session_id}: {error}",
        kind=ErrorKind.TIMED_OUT if is_late else ErrorKind.UNREACHABLE,
        session_id=browser.session_id,
        retryable=True,
    )


@contextmanager
def _recorded(context: playwright_api.BrowserContext, path: Path) -> Iterator[None]:
    """Record a trace of a context, and write it to a file of this machine also if the block fails.

    An error of the recording does not hide the one of the block.
    """
    process = os.getpid()
    context.tracing.start(screenshots=True, snapshots=True)
    try:
        yield
    except BaseException:
        if os.getpid() != process:
            raise
        try:
            shielded(lambda: context.tracing.stop(path=path))
        except Exception as error:
            raise BrowserError(f"Could not write the recording {path}: {error}") from error
        raise
    if os.getpid() == process:
        shielded(lambda: context.tracing.stop(path=path))


@contextmanager
def page_of(connection: playwright_api.Browser, *, is_new: bool) -> Iterator[playwright_api.Page]:
    """Return a page in the browser's default context: the one that a browser begins with, or another one."""
    context = connection.contexts[0]
    if is_new and context.pages:
        yield context.pages[0]
        return
    process = os.getpid()
    page = context.new_page()
    try:
        yield page
    finally:
        if os.getpid() == process and connection.is_connected():
            shielded(page.close)
