"""The calls of a browser agent: by the planner, if there is one, and otherwise by the engine.

Loaded with the first call: the language's patterns take longer to compile than a runtime may take to start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ...planner import Planner
from ..process import BrowserUnavailable
from . import schema as schemas
from .around import StepFailed, Surroundings, Variables, reason
from .capture import capture, picture_of
from .driver import NoDriver, is_playwright_error
from .engine import Observed, PageSource, act_by_engine, below, observe_by_engine, selected
from .extract import NotExtracted, extract_from
from .grammar import address
from .pages import NoPage
from .planned import Planned, PlannerFailed
from .requests import Acted, Instruction, PageChoice, Picture, Progress
from .settle import PageGone, settle
from .steps import go_to

if TYPE_CHECKING:
    from playwright.async_api import Page

_REFUSALS: Final = (
    BrowserUnavailable,
    NoDriver,
    NoPage,
    NotExtracted,
    PageGone,
    PlannerFailed,
    StepFailed,
    schemas.BadSchema,
)


def refusal(error: BaseException) -> str | None:
    """Return the reason why a call is refused, None for an error of the runtime itself."""
    if isinstance(error, _REFUSALS):
        return str(error)
    return reason(error) if is_playwright_error(error) else None


async def navigate(page: Page, url: str) -> str:
    """Open an address and return the address it led to."""
    await go_to(page, address(url) or url)
    return page.url


async def screenshot(page: Page, picture: Picture) -> bytes:
    """Return a picture of a page."""
    options: dict[str, Any] = {"full_page": picture.full_page, "type": picture.kind, "timeout": picture.timeout_ms}
    if picture.kind == "jpeg":
        options["quality"] = picture.quality
    if picture.clip is not None:
        options["clip"] = dict(picture.clip)
    return await picture_of(page, **options)


async def act(source: PageSource, given: Instruction, planner: Planner | None, progress: Progress) -> Acted:
    """Do what an instruction says."""
    around = _around(given.choice, given.variables)
    is_replay = given.text.lstrip().startswith("{")
    if planner is not None and not is_replay:
        vision = given.choice.vision
        plan = await Planned(planner, source, given.text, around, progress, vision=vision).act()
        if plan is not None:
            failure = "" if plan.success else plan.message or "the planner reported a failure without a reason"
            return Acted(tuple(progress.steps), around.variables.hide(failure))
    return await act_by_engine(source, given.text, around, progress)


async def observe(page: Page, given: Instruction, planner: Planner | None) -> list[Observed]:
    """Return the elements that an instruction describes."""
    around = _around(given.choice)
    if planner is not None:
        vision = given.choice.vision
        found = await Planned(planner, _only(page), given.text, around, Progress(), vision=vision).observe()
        if found is not None:
            return found
    return await observe_by_engine(page, given.text, around, given.selector)


async def extract(page: Page, given: Instruction, planner: Planner | None) -> Any:
    """Return the value that a schema asks for."""
    around = _around(given.choice)
    wanted = schemas.read(given.schema)
    if planner is not None:
        plan = await Planned(
            planner,
            _only(page),
            given.text,
            around,
            Progress(),
            schema=json.loads(schemas.without_prefix(given.schema)),
            vision=given.choice.vision,
        ).extract()
        if plan is not None and plan.answer is None:
            raise PlannerFailed(plan.message or "the planner returned no answer")
        if plan is not None:
            return plan.answer
    await settle(page, around.settle_seconds, iframes=around.iframes)
    snapshot = await capture(page, iframes=around.iframes)
    if given.selector:
        snapshot = below(snapshot, await selected(page, given.selector, snapshot))
    return await asyncio.to_thread(extract_from, snapshot, given.text, wanted)


def _around(choice: PageChoice, variables: Mapping[str, str] | None = None) -> Surroundings:
    """Return what the steps of a call have in common."""
    return Surroundings(Variables(variables or {}), choice.iframes, choice.settle_ms / 1000)


def _only(page: Page) -> Callable[[], Awaitable[Page]]:
    async def source() -> Page:
        return page

    return source
