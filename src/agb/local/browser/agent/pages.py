"""The pages of a browser: which one a call is for, one call at a time on each, and the dialogs that they open."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from .driver import Connection

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Dialog, Page

DIALOG_SECONDS: Final = 1.0
"""How long a dialog is left to the page's other users; a program that drives the page may want to answer it."""

_MOST_UNANSWERED: Final = 50


class NoPage(Exception):
    """The page that a call names is not there; the message says so."""


class Pages:
    """The pages of one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._current: Page | None = None
        self._ids: WeakKeyDictionary[Page, str] = WeakKeyDictionary()
        self._locks: WeakKeyDictionary[Page, asyncio.Lock] = WeakKeyDictionary()
        self._acting: list[list[str]] = []
        self._dialogs: set[asyncio.Task[None]] = set()
        self._unanswered: deque[Dialog] = deque(maxlen=_MOST_UNANSWERED)
        """Dialogs that were opened while the agent did nothing; they belong to whatever opened them.

        Which of them are answered by now is not known, so only the last ones are kept: a page has one at a time.
        """
        self._watched: set[BrowserContext] = set()

    @property
    def is_connected(self) -> bool:
        """Whether the browser is still there, and what connects to it."""
        return self.connection.is_open

    async def find(self, page_id: str = "", context_id: int = 0) -> Page:
        """Return the page with an id of DevTools; without one, the current page of the agent.

        That is the page it used last, or else the newest one of the context; one is opened if there is none. Raises
        `NoPage`.
        """
        contexts = self.connection.browser.contexts
        for context in contexts:
            self._watch(context)
        if page_id:
            for page in (page for context in contexts for page in context.pages):
                if await self._id_of(page) == page_id:
                    self._current = page
                    return page
            raise NoPage(f"the browser has no page {page_id[:100]!r}: it was closed, or belongs to another browser")
        if context_id and context_id >= len(contexts):
            raise NoPage(f"the browser has no context {context_id}: there are {len(contexts)}, counted from 0")
        context = contexts[context_id]
        current = self._current
        if current is None or current.is_closed() or (context_id and current.context is not context):
            current = context.pages[-1] if context.pages else await context.new_page()
        self._current = current
        return current

    @contextlib.asynccontextmanager
    async def using(self, page: Page, *, alone: bool = True) -> AsyncIterator[list[str]]:
        """Use a page; yield a list that gets a sentence about each dialog and page that is opened meanwhile.

        ``alone`` waits for the end of other calls that act on it; one that only looks at it need not wait.
        """
        lock = self._locks.setdefault(page, asyncio.Lock()) if alone else contextlib.nullcontext()
        async with lock:
            happened: list[str] = []
            self._acting.append(happened)
            for dialog in self._unanswered:
                self._asked(dialog)
            self._unanswered.clear()
            try:
                async with self._awake(page):
                    yield happened
            finally:
                # By identity: two empty lists are equal.
                self._acting = [one for one in self._acting if one is not happened]

    @contextlib.asynccontextmanager
    async def _awake(self, page: Page) -> AsyncIterator[None]:
        """Let a page behave as if it were in front: one in the background draws nothing, so nothing on it settles."""
        from playwright.async_api import Error

        session = await page.context.new_cdp_session(page)
        await session.send("Emulation.setFocusEmulationEnabled", {"enabled": True})
        try:
            yield
        finally:
            with contextlib.suppress(Error):  # the page is closed
                await session.detach()

    async def close(self) -> None:
        """Disconnect; the pages stay open."""
        for task in self._dialogs:
            task.cancel()
        await self.connection.close()

    async def _id_of(self, page: Page) -> str:
        from playwright.async_api import Error

        if page not in self._ids:
            try:
                session = await page.context.new_cdp_session(page)
                found = await session.send("Target.getTargetInfo")
                await session.detach()
            except Error:
                return ""  # it is being closed
            self._ids[page] = found["targetInfo"]["targetId"]
        return self._ids[page]

    def _watch(self, context: BrowserContext) -> None:
        if context not in self._watched:
            self._watched.add(context)
            context.on("page", self._opened)
            context.on("dialog", self._asked)

    def _opened(self, page: Page) -> None:
        """Make a page the current one that an action of the agent has opened."""
        if self._acting:
            self._current = page
            for happened in self._acting:
                happened.append(f"a new page was opened: {page.url}")

    def _asked(self, dialog: Dialog) -> None:
        """Answer a dialog that nothing else answers while the agent acts: a page with an open dialog does nothing."""
        if not self._acting:
            self._unanswered.append(dialog)
            return
        for happened in self._acting:
            happened.append(f"the page showed a dialog ({dialog.type}), which was dismissed: {dialog.message!r}")
        task = asyncio.create_task(_dismiss(dialog))
        self._dialogs.add(task)
        task.add_done_callback(self._dialogs.discard)


async def _dismiss(dialog: Dialog) -> None:
    from playwright.async_api import Error

    await asyncio.sleep(DIALOG_SECONDS)
    with contextlib.suppress(Error):  # another program has answered it
        if dialog.type == "beforeunload":
            await dialog.accept()  # the page is left, as the agent was asked to
        else:
            await dialog.dismiss()
