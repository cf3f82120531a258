"""The ids of a page, and the coroutine functions of 0.12's browser agent: the synchronous flavour."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from ...browser_agent import (
    ActOptions,
    ActResult,
    ExtractOptions,
    ExtractOutcome,
    ObserveOptions,
    ObserveOutcome,
    ObserveResult,
)
from .coroutines import in_worker_thread

if TYPE_CHECKING:
    from playwright import async_api, sync_api

    Page = async_api.Page | sync_api.Page

T = TypeVar("T")


def page_ids(page: Any) -> tuple[int, str]:
    """Return the index of a page's context in its browser, and the page's id in DevTools."""
    if isinstance(page, _Asked):
        return page.ids()
    if iscoroutinefunction(page.context.new_cdp_session):
        raise TypeError(
            "the page belongs to Playwright's asynchronous API; await the method whose name ends in _async, or use "
            "agb.AsyncAGB"
        )
    # Nothing in the coroutine waits for anything: the methods of the synchronous API return what others await.
    try:
        _ids(page).send(None)
    except StopIteration as end:
        ids: tuple[int, str] = end.value
        return ids
    raise AssertionError("the synchronous API returns no awaitables")


async def _ids(page: Any) -> tuple[int, str]:
    context = page.context
    contexts = context.browser.contexts if context.browser is not None else [context]
    session = await _awaited(context.new_cdp_session(page))
    try:
        found = await _awaited(session.send("Target.getTargetInfo"))
    finally:
        await _awaited(session.detach())
    return contexts.index(context), str(found["targetInfo"]["targetId"])


async def _awaited(value: Any) -> Any:
    return await value if isawaitable(value) else value


class _Asked:
    """A page that was asked for its ids on the event loop that it belongs to: a thread could not do that.

    An error is raised where the ids are needed, so that it becomes the error of the method.
    """

    def __init__(self, ids: tuple[int, str] | Exception) -> None:
        self._ids = ids

    def ids(self) -> tuple[int, str]:
        if isinstance(self._ids, Exception):
            raise self._ids
        return self._ids


async def _asked(page: Any) -> Any:
    if page is None:
        return None
    try:
        return _Asked(await _ids(page))
    except Exception as error:  # of Playwright, whose errors are many; raised again by `page_ids`
        return _Asked(error)


class AgentNames:
    """The methods whose names end in ``_async``: coroutines, as in 0.12, whose work is done in a thread."""

    if TYPE_CHECKING:

        def _navigate(self, url: str, timeout: float | None, check: bool, name: str) -> str: ...

        def _screenshot(
            self,
            page: Any,
            full_page: bool,
            quality: int,
            clip: Mapping[str, float] | None,
            timeout: int | None,
            check: bool,
            name: str,
        ) -> str: ...

        def close(self, *, timeout: float | None = None) -> bool: ...

        def _act(
            self,
            action_input: ActOptions | ObserveResult,
            page: Any,
            timeout: float | None,
            check: bool,
            name: str,
        ) -> ActResult: ...

        def _observe(
            self, options: ObserveOptions, page: Any, timeout: float | None, check: bool, name: str
        ) -> ObserveOutcome: ...

        def _extract(
            self, options: ExtractOptions[T], page: Any, timeout: float | None, check: bool, name: str
        ) -> ExtractOutcome[T]: ...

    async def navigate_async(self, url: str) -> str:
        """Open an address; the same as `navigate`, by its name in 0.12."""
        return await in_worker_thread(partial(self._navigate, url, None, False, "navigate_async"))

    async def screenshot_async(
        self,
        page: Page | None = None,
        full_page: bool = True,
        quality: int = 80,
        clip: Mapping[str, float] | None = None,
        timeout: int | None = None,
    ) -> str:
        """Return a picture of a page; the same as `screenshot`, by its name in 0.12."""
        asked = await _asked(page)
        work = partial(self._screenshot, asked, full_page, quality, clip, timeout, False, "screenshot_async")
        return await in_worker_thread(work)

    async def close_async(self) -> bool:
        """End what the agent does; the same as `close`, by its name in 0.12."""
        return await in_worker_thread(self.close)

    async def act_async(self, action_input: ActOptions | ObserveResult, page: Page | None = None) -> ActResult:
        """Carry out an instruction; the same as `act`, by its name in 0.12."""
        return await in_worker_thread(partial(self._act, action_input, await _asked(page), None, False, "act_async"))

    async def observe_async(self, options: ObserveOptions, page: Page | None = None) -> ObserveOutcome:
        """Return the elements that an instruction describes; the same as `observe`, by its name in 0.12."""
        return await in_worker_thread(partial(self._observe, options, await _asked(page), None, False, "observe_async"))

    async def extract_async(self, options: ExtractOptions[T], page: Page | None = None) -> ExtractOutcome[T]:
        """Return what a page shows; the same as `extract`, by its name in 0.12."""
        asked = await _asked(page)
        return await in_worker_thread(partial(self._extract, options, asked, None, False, "extract_async"))
