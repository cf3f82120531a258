"""The ids of a page, and the coroutine functions of 0.12's browser agent: the asynchronous flavour."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isawaitable
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

if TYPE_CHECKING:
    from playwright.async_api import Page

T = TypeVar("T")


async def page_ids(page: Any) -> tuple[int, str]:
    """Return the index of a page's context in its browser, and the page's id in DevTools."""
    context = page.context
    contexts = context.browser.contexts if context.browser is not None else [context]
    session = await _awaited(context.new_cdp_session(page))
    try:
        found = await _awaited(session.send("Target.getTargetInfo"))
    finally:
        await _awaited(session.detach())
    return contexts.index(context), str(found["targetInfo"]["targetId"])


async def _awaited(value: Any) -> Any:
    """Return what a method of Playwright returns; those of its synchronous API return no awaitable."""
    return await value if isawaitable(value) else value


class AgentNames:
    """The methods whose names end in ``_async``."""

    if TYPE_CHECKING:

        async def _navigate(self, url: str, timeout: float | None, check: bool, name: str) -> str: ...

        async def _screenshot(
            self,
            page: Page | None,
            full_page: bool,
            quality: int,
            clip: Mapping[str, float] | None,
            timeout: int | None,
            check: bool,
            name: str,
        ) -> str: ...

        async def close(self, *, timeout: float | None = None) -> bool: ...

        async def _act(
            self,
            action_input: ActOptions | ObserveResult,
            page: Page | None,
            timeout: float | None,
            check: bool,
            name: str,
        ) -> ActResult: ...

        async def _observe(
            self, options: ObserveOptions, page: Page | None, timeout: float | None, check: bool, name: str
        ) -> ObserveOutcome: ...

        async def _extract(
            self, options: ExtractOptions[T], page: Page | None, timeout: float | None, check: bool, name: str
        ) -> ExtractOutcome[T]: ...

    async def navigate_async(self, url: str) -> str:
        """Open an address; the same as `navigate`, by its name in 0.12."""
        return await self._navigate(url, None, False, "navigate_async")

    async def screenshot_async(
        self,
        page: Page | None = None,
        full_page: bool = True,
        quality: int = 80,
        clip: Mapping[str, float] | None = None,
        timeout: int | None = None,
    ) -> str:
        """Return a picture of a page; the same as `screenshot`, by its name in 0.12."""
        return await self._screenshot(page, full_page, quality, clip, timeout, False, "screenshot_async")

    async def close_async(self) -> bool:
        """End what the agent does; the same as `close`, by its name in 0.12."""
        return await self.close()

    async def act_async(self, action_input: ActOptions | ObserveResult, page: Page | None = None) -> ActResult:
        """Carry out an instruction; the same as `act`, by its name in 0.12."""
        return await self._act(action_input, page, None, False, "act_async")

    async def observe_async(self, options: ObserveOptions, page: Page | None = None) -> ObserveOutcome:
        """Return the elements that an instruction describes; the same as `observe`, by its name in 0.12."""
        return await self._observe(options, page, None, False, "observe_async")

    async def extract_async(self, options: ExtractOptions[T], page: Page | None = None) -> ExtractOutcome[T]:
        """Return what a page shows; the same as `extract`, by its name in 0.12."""
        return await self._extract(options, page, None, False, "extract_async")
