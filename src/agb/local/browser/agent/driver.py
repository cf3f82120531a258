"""Playwright's driver: one process per runtime, started with the first use of a browser agent, and ended with it."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ..process import Browser
from .relay import Relay

if TYPE_CHECKING:
    import playwright.async_api as playwright

INSTALL: Final = "the browser agent needs Playwright: pip install 'agb[browser]'"
_CONNECT_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 10.0


class NoDriver(Exception):
    """Playwright is not installed, or its driver does not work; the message says which."""


def is_playwright_error(error: BaseException) -> bool:
    """Return whether an exception is one of Playwright's, which need not be installed."""
    return type(error).__module__.partition(".")[0] == "playwright"


class Connection:
    """Playwright's connection to one browser."""

    def __init__(self, connected: playwright.Browser, relay: Relay) -> None:
        self.browser = connected
        self._relay = relay

    @property
    def is_open(self) -> bool:
        """Whether browser and driver are still there. Playwright itself does not notice that its driver has ended."""
        return self.browser.is_connected() and self._relay.is_connected

    async def close(self) -> None:
        """Disconnect; the browser runs on."""
        await _quietly(self.browser.close())
        await self._relay.close()


class Driver:
    """Connects to browsers; :meth:`close` ends the driver and with it all connections."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._playwright: playwright.Playwright | None = None

    async def connect(self, browser: Browser) -> Connection:
        """Return a connection to a browser. Raises `NoDriver`."""
        relay = Relay(browser)
        try:
            async with relay.open() as address:
                return Connection(await self._connected(address), relay)
        except BaseException:
            await relay.close()
            raise

    async def _connected(self, address: str) -> playwright.Browser:
        """Connect, by a new driver if the one that was started has ended. Raises `NoDriver`."""
        driver = await self._started()
        try:
            return await _connect(driver, address)
        except Exception as error:
            if await _is_alive(driver):
                raise NoDriver(f"Playwright could not connect to the browser: {_first_line(error)}") from error
        async with self._lock:
            if self._playwright is driver:
                self._playwright = None
        try:
            return await _connect(await self._started(), address)
        except Exception as error:
            raise NoDriver(f"Playwright could not connect to the browser: {_first_line(error)}") from error

    async def _started(self) -> playwright.Playwright:
        async with self._lock:
            if self._playwright is None:
                if importlib.util.find_spec("playwright") is None:
                    raise NoDriver(INSTALL)
                # In a thread: it takes a fifth of a second, in which the runtime would serve nothing else.
                api = await asyncio.to_thread(importlib.import_module, "playwright.async_api")
                try:
                    self._playwright = await api.async_playwright().start()
                except Exception as error:
                    raise NoDriver(f"Playwright's driver did not start: {error}") from error
            assert self._playwright is not None
            return self._playwright

    async def close(self) -> None:
        """End the driver; nothing happens if it was not started."""
        async with self._lock:
            if self._playwright is not None:
                driver, self._playwright = self._playwright, None
                await _quietly(driver.stop())


async def _connect(driver: playwright.Playwright, address: str) -> playwright.Browser:
    chromium = driver.chromium
    # Without the defaults: the page is the caller's, who may have set what Playwright would override. Before 1.60
    # Playwright had no such option.
    known = inspect.signature(chromium.connect_over_cdp).parameters
    options: dict[str, Any] = {"no_defaults": True} if "no_defaults" in known else {}
    return await chromium.connect_over_cdp(address, timeout=_CONNECT_SECONDS * 1000, **options)


async def _is_alive(driver: playwright.Playwright) -> bool:
    """Return whether a driver does what needs no browser: once its process has ended, each call raises an error."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await (await driver.request.new_context()).dispose()
    except Exception:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


async def _quietly(closing: Awaitable[None]) -> None:
    """Await the end of something that may have ended already: then Playwright raises one of many errors."""
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await closing
