"""The tools of a browser's agent: navigation, screenshots, and instructions in English."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from msgspec import Meta

from ..browser.agent.requests import (
    OBSERVE_SECONDS,
    SECONDS,
    SETTLE_MS,
    Acted,
    AgentRefused,
    Instruction,
    PageChoice,
    Picture,
)
from ..browser.agent.tasks import NoTask, TooManyTasks
from .arguments import Arguments, Text
from .session import LocalSession
from .tools import NoArguments, Tool, ToolReply, to_json

DEFAULT_QUALITY: Final = 80
"""What clients send if their caller has chosen no quality. Then the picture is a PNG, which the protocol promises."""
_LONGEST_MS: Final = 3_600_000

Milliseconds = Annotated[int, Meta(ge=1, le=_LONGEST_MS)] | Annotated[float, Meta(gt=0, le=_LONGEST_MS)]


class OfPage(Arguments, frozen=True, kw_only=True):
    """Which page a call is for, and how it is looked at."""

    context_id: Annotated[int, Meta(description="Index of the browser context, from 0.", ge=0)] = 0
    page_id: Annotated[Text | None, Meta(description="DevTools target id of the page; absent: the current one.")] = None
    dom_settle_timeout_ms: Annotated[
        int, Meta(description="Milliseconds until a page that keeps changing counts as settled.", ge=0, le=60_000)
    ] = SETTLE_MS
    use_vision: Annotated[bool, Meta(description="Whether a planner is shown a picture of the page.")] = False

    def choice(self, *, iframes: bool = False) -> PageChoice:
        """Return the page that is meant."""
        page_id = self.page_id or ""
        return PageChoice(page_id, self.context_id, iframes, self.dom_settle_timeout_ms, self.use_vision)


class NavigateArguments(Arguments, frozen=True):
    """Arguments of ``page_use_navigate``."""

    url: Annotated[Text, Meta(description="Address to open in the current page.", min_length=1)]


class Clip(Arguments, frozen=True):
    """A part of a page, in CSS pixels."""

    x: float
    y: float
    width: Annotated[float, Meta(gt=0)]
    height: Annotated[float, Meta(gt=0)]


class ScreenshotArguments(OfPage, frozen=True, kw_only=True):
    """Arguments of ``page_use_screenshot``."""

    full_page: Annotated[bool, Meta(description="The whole page, or the part that is visible.")] = True
    quality: Annotated[
        int, Meta(description=f"Quality of a JPEG; {DEFAULT_QUALITY}, the default, makes a PNG.", ge=0, le=100)
    ] = DEFAULT_QUALITY
    clip: Annotated[Clip | None, Meta(description="Part of the page.")] = None
    timeout: Annotated[Milliseconds | None, Meta(description="Milliseconds it may take.")] = None


class ActArguments(OfPage, frozen=True, kw_only=True):
    """Arguments of ``page_use_act``."""

    action: Annotated[Text, Meta(description="Instruction in English, or a result of page_use_observe as JSON.")] = ""
    variables: Annotated[dict[Text, Text] | None, Meta(description="Values that stand in the action as %name%.")] = None
    timeout_ms: Annotated[Milliseconds | None, Meta(description="Milliseconds it may take.")] = None
    timeout: Annotated[
        Annotated[float, Meta(gt=0, le=_LONGEST_MS / 1000)] | None,
        Meta(description="The same in seconds, as other clients send it."),
    ] = None
    iframes: Annotated[bool, Meta(description="Whether elements in frames are found.")] = False


class ObserveArguments(OfPage, frozen=True, kw_only=True):
    """Arguments of ``page_use_observe``."""

    instruction: Annotated[Text, Meta(description="Which elements, in English.")] = ""
    iframes: Annotated[bool, Meta(description="Whether elements in frames are found.")] = False
    selector: Annotated[Text | None, Meta(description="Part of the page, as a Playwright selector.")] = None


class ExtractArguments(OfPage, frozen=True, kw_only=True):
    """Arguments of ``page_use_extract``."""

    field_schema: Annotated[Text, Meta(description="'schema: ' and the JSON Schema of the answer.")]
    instruction: Annotated[Text, Meta(description="What is wanted, in English.")] = ""
    use_text_extract: Annotated[bool, Meta(description="Accepted, and makes no difference.")] = False
    selector: Annotated[Text | None, Meta(description="Part of the page, as a Playwright selector.")] = None
    iframe: Annotated[bool, Meta(description="Whether what is in frames is read too.")] = False
    max_page: Annotated[int, Meta(description="Pages to read: only the current one is read.", ge=1, le=1)] = 1


class TaskArguments(Arguments, frozen=True):
    """Arguments of tools about a task."""

    task_id: Annotated[Text, Meta(description="Id that the tool returned which began the task.")]


# --- tools ---------------------------------------------------------------------------------------------------------


def _refused(name: str, error: object) -> ToolReply:
    return ToolReply(f"{name}: {error}", is_error=True)


async def navigate(session: LocalSession, given: NavigateArguments) -> ToolReply:
    """Open an address in the current page."""
    try:
        url = await session.agent.navigate(given.url)
    except AgentRefused as error:
        return _refused("page_use_navigate", error)
    return ToolReply(f"Successfully navigated to {url}")


async def screenshot(session: LocalSession, given: ScreenshotArguments) -> ToolReply:
    """Return a picture of a page as a data URL."""
    kind: Any = "png" if given.quality == DEFAULT_QUALITY else "jpeg"
    clip = given.clip
    area = None if clip is None else {"x": clip.x, "y": clip.y, "width": clip.width, "height": clip.height}
    picture = Picture(given.full_page, kind, given.quality, area, given.timeout or 60_000)
    try:
        data = await session.agent.screenshot(given.choice(), picture)
    except AgentRefused as error:
        return _refused("page_use_screenshot", error)
    return ToolReply(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


async def close_session(session: LocalSession, _: NoArguments) -> ToolReply:
    """End the agent's tasks and its connection to the browser, which runs on."""
    await session.agent.close()
    return ToolReply("closed")


def _acting(given: ActArguments) -> Instruction:
    seconds = SECONDS if given.timeout is None else given.timeout
    seconds = seconds if given.timeout_ms is None else given.timeout_ms / 1000
    return Instruction(given.action, given.choice(iframes=given.iframes), given.variables or {}, seconds)


def _observing(given: ObserveArguments) -> Instruction:
    choice = given.choice(iframes=given.iframes)
    return Instruction(given.instruction, choice, seconds=OBSERVE_SECONDS, selector=given.selector or "")


def _extracting(given: ExtractArguments) -> Instruction:
    choice = given.choice(iframes=given.iframe)
    return Instruction(given.instruction, choice, selector=given.selector or "", schema=given.field_schema)


async def _act(session: LocalSession, given: ActArguments) -> Acted:
    try:
        return await session.agent.act(_acting(given))
    except AgentRefused as error:
        return Acted((), str(error))


async def _observe(session: LocalSession, given: ObserveArguments) -> str:
    found = await session.agent.observe(_observing(given))
    return to_json([one.as_json() for one in found])


async def _extract(session: LocalSession, given: ExtractArguments) -> str:
    return to_json(await session.agent.extract(_extracting(given)))


async def act(session: LocalSession, given: ActArguments) -> ToolReply:
    """Do what an instruction says, and return when it is done."""
    acted = await _act(session, given)
    return ToolReply(_act_result(acted), is_error=bool(acted.failure))


async def observe(session: LocalSession, given: ObserveArguments) -> ToolReply:
    """Return the elements that an instruction describes."""
    try:
        return ToolReply(await _observe(session, given))
    except AgentRefused as error:
        return _refused("page_use_observe", error)


async def extract(session: LocalSession, given: ExtractArguments) -> ToolReply:
    """Return the value that a JSON Schema asks for."""
    try:
        return ToolReply(await _extract(session, given))
    except AgentRefused as error:
        return _refused("page_use_extract", error)


def _beginning(
    name: str, work: Callable[[LocalSession, Any], Coroutine[Any, Any, Any]]
) -> Callable[[LocalSession, Any], Coroutine[Any, Any, ToolReply]]:
    """Return the function of a tool that begins a task and returns its id."""

    async def begin(session: LocalSession, given: Any) -> ToolReply:
        async def run() -> Any:
            with session.active():
                return await work(session, given)

        try:
            session.agent.check()  # a task would fail at once, and clients of 0.12 would poll to their limit
            return ToolReply(to_json({"task_id": session.agent.tasks.begin(run())}))
        except (TooManyTasks, AgentRefused) as error:
            return _refused(name, error)

    return begin


def _act_result(acted: Acted) -> str:
    return to_json({"is_done": True, "success": not acted.failure, "steps": acted.lines})


async def get_act_result(session: LocalSession, given: TaskArguments) -> ToolReply:
    """Return whether an instruction is done, and what was done."""
    try:
        is_done, acted = session.agent.tasks.result(given.task_id)
    except NoTask as error:
        return _refused("page_use_get_act_result", error)
    except asyncio.CancelledError:
        return ToolReply(_act_result(Acted((), _CANCELLED)))
    return ToolReply(_act_result(acted) if is_done else to_json({"is_done": False, "success": False, "steps": []}))


_CANCELLED: Final = "the task was cancelled, or the browser was stopped"


def _getting(name: str) -> Callable[[LocalSession, TaskArguments], Coroutine[Any, Any, ToolReply]]:
    """Return the function of a tool that returns the result of `observe` or `extract`.

    The text is empty until there is one. A failure is an error whose text is JSON with ``is_done``: clients of 0.12
    take each error for "not yet", others need not poll any more.
    """

    async def get(session: LocalSession, given: TaskArguments) -> ToolReply:
        try:
            is_done, text = session.agent.tasks.result(given.task_id)
        except NoTask as error:
            return _refused(name, error)
        except asyncio.CancelledError:
            return _failed(_CANCELLED)
        except AgentRefused as error:
            return _failed(str(error))
        return ToolReply(text if is_done else "")

    return get


def _failed(why: str) -> ToolReply:
    return ToolReply(to_json({"is_done": True, "success": False, "error": why}), is_error=True)


async def cancel_task(session: LocalSession, given: TaskArguments) -> ToolReply:
    """End a task; once this returns, nothing of it happens any more."""
    try:
        await session.agent.tasks.cancel(given.task_id)
    except NoTask as error:
        return _refused("page_use_cancel_task", error)
    return ToolReply("true")


def _tool(
    name: str,
    description: str,
    arguments: type[Arguments],
    function: Callable[[LocalSession, Any], Coroutine[Any, Any, ToolReply]],
    *,
    summarized: str = "",
    ends_with_caller: bool = False,
) -> Tool:
    return Tool(
        f"page_use_{name}",
        "wuying_browseruse",
        description,
        arguments,
        function,
        summarized=summarized,
        ends_with_caller=ends_with_caller,
    )


_ACTION: Final = "action"
_INSTRUCTION: Final = "instruction"
PAGE_USE_TOOLS: Final = (
    _tool("navigate", "Open an address in the current page of the browser.", NavigateArguments, navigate,
          summarized="url", ends_with_caller=True),
    _tool("screenshot", "Return a picture of a page of the browser as a data URL.", ScreenshotArguments, screenshot),
    _tool("close_session", "End the browser agent's tasks and its connection.", NoArguments, close_session),
    _tool("act", "Do what an English instruction says on a page.", ActArguments, act,
          summarized=_ACTION, ends_with_caller=True),
    _tool("act_async", "Begin to do what an English instruction says; returns a task_id.", ActArguments,
          _beginning("page_use_act_async", _act), summarized=_ACTION),
    _tool("get_act_result", "Return whether an instruction is done, and its steps.", TaskArguments, get_act_result),
    _tool("observe", "Return the elements of a page that an English instruction describes.", ObserveArguments, observe,
          summarized=_INSTRUCTION, ends_with_caller=True),
    _tool("observe_async", "Begin to observe; returns a task_id.", ObserveArguments,
          _beginning("page_use_observe_async", _observe), summarized=_INSTRUCTION),
    _tool("get_observe_result", "Return the elements observed; empty until there are.", TaskArguments,
          _getting("page_use_get_observe_result")),
    _tool("extract", "Return what a page shows as JSON, by a JSON Schema.", ExtractArguments, extract,
          summarized=_INSTRUCTION, ends_with_caller=True),
    _tool("extract_async", "Begin to extract; returns a task_id.", ExtractArguments,
          _beginning("page_use_extract_async", _extract), summarized=_INSTRUCTION),
    _tool("get_extract_result", "Return what was extracted; empty until there is something.", TaskArguments,
          _getting("page_use_get_extract_result")),
    _tool("cancel_task", "End a task of the browser agent.", TaskArguments, cancel_task),
)  # fmt: skip
