"""The agent of a session's browser: what its tools call."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ...planner import Planner
from ..process import Browser, BrowserUnavailable
from ..session_browser import SessionBrowser
from .driver import Driver
from .pages import Pages
from .requests import END, Acted, AgentRefused, Instruction, PageChoice, Picture, Progress
from .tasks import Tasks

if TYPE_CHECKING:
    from playwright.async_api import Page

    from .engine import Observed


class PageAgent:
    """Drives the pages of one session's browser; connects with the first call.

    All calls raise `AgentRefused` with the reason if they cannot be done.
    """

    def __init__(self, browser: SessionBrowser, driver: Driver, planner: Planner | None = None) -> None:
        self.tasks = Tasks()
        self._browser = browser
        self._driver = driver
        self._planner = planner
        self._lock = asyncio.Lock()
        self._pages: Pages | None = None
        self._connected_to: Browser | None = None

    async def close(self) -> None:
        """End all tasks and disconnect; the browser and its pages stay, and the next call connects again."""
        await self.tasks.close()
        async with self._lock:
            await self._disconnect()

    def check(self) -> None:
        """Raise `AgentRefused` if no browser runs."""
        try:
            self._browser.running()
        except BrowserUnavailable as error:
            raise AgentRefused(str(error)) from error

    async def navigate(self, url: str) -> str:
        """Open an address in the current page and return the address it led to."""
        async with self._page(PageChoice()) as (calls, page, _):
            return str(await calls.navigate(page, url))

    async def screenshot(self, choice: PageChoice, picture: Picture) -> bytes:
        """Return a picture of a page."""
        async with self._page(choice, alone=False) as (calls, page, _):
            return bytes(await calls.screenshot(page, picture))

    async def act(self, given: Instruction) -> Acted:
        """Do what an instruction says; a failure after it has begun is in what is returned."""
        progress = Progress()
        END.set(asyncio.get_running_loop().time() + given.seconds)
        try:
            async with asyncio.timeout(given.seconds), self._page(given.choice) as (calls, page, happened):
                pages = await self._connected()

                async def source() -> Page:
                    return page if given.choice.page_id else await pages.find(context_id=given.choice.context_id)

                acted: Acted = await calls.act(source, given, self._planner, progress)
                return Acted((*acted.steps, *happened), acted.failure)
        except TimeoutError:
            return Acted(tuple(progress.steps), _late(given))

    async def observe(self, given: Instruction) -> list[Observed]:
        """Return the elements that an instruction describes."""
        async with self._limited(given), self._page(given.choice) as (calls, page, _):
            found: list[Observed] = await calls.observe(page, given, self._planner)
            return found

    async def extract(self, given: Instruction) -> Any:
        """Return the value that a schema asks for."""
        async with self._limited(given), self._page(given.choice) as (calls, page, _):
            return await calls.extract(page, given, self._planner)

    # --- the page of a call ---

    @contextlib.asynccontextmanager
    async def _limited(self, given: Instruction) -> AsyncIterator[None]:
        END.set(asyncio.get_running_loop().time() + given.seconds)
        try:
            async with asyncio.timeout(given.seconds):
                yield
        except TimeoutError:
            raise AgentRefused(_late(given)) from None

    @contextlib.asynccontextmanager
    async def _page(self, choice: PageChoice, *, alone: bool = True) -> AsyncIterator[tuple[Any, Page, list[str]]]:
        """Use the page of a call; yield the module of the calls, the page, and what happens besides (`Pages.using`)."""
        self.check()
        calls = await asyncio.to_thread(importlib.import_module, f"{__package__}.calls")
        try:
            pages = await self._connected()
            page = await pages.find(choice.page_id, choice.context_id)
            async with pages.using(page, alone=alone) as happened:
                yield calls, page, happened
        except Exception as error:
            if (why := calls.refusal(error)) is None:
                raise
            raise AgentRefused(why) from error

    async def _connected(self) -> Pages:
        browser = self._browser.running()
        async with self._lock:
            pages = self._pages
            if pages is None or self._connected_to is not browser or not pages.is_connected:
                await self._disconnect()
                pages = self._pages = Pages(await self._driver.connect(browser))
                self._connected_to = browser
            return pages

    async def _disconnect(self) -> None:
        if self._pages is not None:
            pages, self._pages = self._pages, None
            await pages.close()


def _late(given: Instruction) -> str:
    return f"it was ended after {given.seconds * 1000:.0f} ms, its time limit"
