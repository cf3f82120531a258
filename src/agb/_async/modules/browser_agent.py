"""The agent of a session's browser: instructions in English, carried out on pages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..._ops.tools import page_use as tools
from ..._ops.tools.page_use import PageIds, Progress
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.toolcall import ToolCall
from ...browser_agent import (
    ActOptions,
    ActResult,
    ExtractOptions,
    ExtractOutcome,
    ObserveOptions,
    ObserveOutcome,
    ObserveResult,
)
from ...exceptions import AGBError, BrowserError, ErrorKind, facts_of
from .._compat.agent_names import AgentNames, page_ids
from .._compat.cancellation import run_to_completion, shielded
from .tools import run_tool

if TYPE_CHECKING:
    from playwright.async_api import Page

    from .protocols import AsyncSessionAccess

T = TypeVar("T")

ACT_SECONDS = 150.0
"""How long an action is waited for, unless its caller says otherwise; as long as 0.12 waits."""
EXTRACT_SECONDS = 160.0
GRACE = 5.0
"""Seconds that the service has after a time limit of its own to report it."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0
"""Seconds between two polls of a task; each pause is half as long again as the one before."""
LEAST_LEFT = 0.05
"""Seconds: a poll is not begun with less time left."""
MOST_FAILED_POLLS = 3
"""How many polls in a row may fail."""
CANCEL_SECONDS = 10.0

_log = logging.getLogger("agb")


class BrowserAccess(Protocol):
    """The browser, as far as its agent needs it."""

    def is_initialized(self) -> bool:
        """Return whether the browser was started."""
        ...


class AsyncBrowserAgent(AgentNames):
    """Carries out instructions on the pages of a session's browser; available as ``session.browser.agent``.

    The local runtime understands a fixed set of English instructions (see the guide), or asks a planner of yours; the
    cloud's service has a model. Where a page is None, the agent uses its current one: the page that it used last, or
    the newest.

    Failures are reported in the ways of 0.12: by a text (`navigate`, `screenshot`), a result (`act`), or a pair whose
    first item is False (`observe`, `extract`). Results and pairs have the reason as ``error``, and ``check=True``
    raises it. ``act_async``, ``observe_async`` and so on, by which 0.12 calls its coroutines, do the same as `act` and
    `observe`.

    Example:
        >>> from typing import TypedDict
        >>> class Product(TypedDict):
        ...     name: str
        ...     price: float
        >>> PAGE = "data:text/html,<h1>Shoes</h1><p>Price: $20.50</p><button>Buy</button>"
        >>> async with client.session(CreateSessionParams(image_id="agb-browser-use-1")) as session:
        ...     await session.browser.start()
        ...     agent = session.browser.agent
        ...     text = await agent.navigate(PAGE, check=True)
        ...     print((await agent.observe(ObserveOptions("find all buttons"))).elements[0].description)
        ...     print((await agent.act(ActOptions("click the Buy button"))).steps)
        ...     print((await agent.extract(ExtractOptions("the product", Product))).value)
        button 'Buy'
        ("clicked the button 'Buy'",)
        {'name': 'Shoes', 'price': 20.5}
    """

    def __init__(self, session: AsyncSessionAccess, browser: BrowserAccess) -> None:
        self.session = session
        self.browser = browser

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    # --- pages ---------------------------------------------------------------------------------------------------

    async def navigate(self, url: str, *, timeout: float | None = None, check: bool = False) -> str:
        """Open an address in the agent's current page.

        Args:
            url: the address; without a scheme it is HTTPS.
            timeout: seconds for the whole call; without it, the client's time-out and 30 seconds.
            check: raise a failure instead of returning its text.

        Returns:
            What the service says: ``Successfully navigated to ...``, or ``Navigation failed: ...`` with the reason.

        Raises:
            BrowserError: the browser is not initialized; with ``check`` also if the page could not be opened.
            ValueError, TypeError: the address is empty or no string.

        API: the tool ``page_use_navigate``.
        """
        return await self._navigate(url, timeout, check, "navigate")

    async def _navigate(self, url: str, timeout: float | None, check: bool, name: str) -> str:
        self._check_initialized(name)
        call = tools.navigate(url, session_id=self.session.session_id)
        try:
            return await run_tool(self.session, call, timeout=timeout)
        except AGBError as error:
            if check:
                raise _failed("navigate", error) from error
            return f"Navigation failed: {error}"

    async def screenshot(
        self,
        page: Page | None = None,
        full_page: bool = True,
        quality: int = 80,
        clip: Mapping[str, float] | None = None,
        timeout: int | None = None,
        *,
        check: bool = False,
    ) -> str:
        """Return a picture of a page as a data URL, such as ``data:image/png;base64,...``.

        Args:
            page: a page of your own Playwright, connected to this browser; None for the agent's current one.
            full_page: the whole page, or the part that is visible.
            quality: 0 to 100. The local runtime makes a JPEG if it is not 80, the default, and otherwise a PNG.
            clip: a part of the page: ``x``, ``y``, ``width`` and ``height`` in CSS pixels.
            timeout: milliseconds the picture may take.
            check: raise a failure instead of returning its text.

        Returns:
            The data URL, or ``Screenshot failed: ...`` with the reason.

        Raises:
            BrowserError: the browser is not initialized, or the page is not one of it; with ``check`` also if there is
                no picture.
            ValueError, TypeError: an argument makes no sense.

        API: the tool ``page_use_screenshot``.
        """
        return await self._screenshot(page, full_page, quality, clip, timeout, check, "screenshot")

    async def _screenshot(
        self,
        page: Page | None,
        full_page: bool,
        quality: int,
        clip: Mapping[str, float] | None,
        timeout: int | None,
        check: bool,
        name: str,
    ) -> str:
        self._check_initialized(name)
        tools.screenshot(PageIds(), full_page, quality, clip, timeout, session_id="")  # checks before any I/O
        ids = await self._ids(page, f"call {name}")
        call = tools.screenshot(ids, full_page, quality, clip, timeout, session_id=self.session.session_id)
        try:
            return await run_tool(self.session, call)
        except AGBError as error:
            if check:
                raise _failed(f"call {name}", error) from error
            return f"Screenshot failed: {error}"

    async def close(self, *, timeout: float | None = None) -> bool:
        """End what the agent does, and its connection to the browser; return whether that was done.

        The browser and its pages stay, and the agent can be used again.

        API: the tool ``page_use_close_session``.
        """
        try:
            await run_tool(self.session, tools.close(session_id=self.session.session_id), timeout=timeout)
        except AGBError as error:
            _log.debug("the browser agent of session %s was not closed: %s", self.session.session_id, error)
            return False
        return True

    # --- instructions --------------------------------------------------------------------------------------------

    async def act(
        self,
        action_input: ActOptions | ObserveResult,
        page: Page | None = None,
        *,
        timeout: float | None = None,
        check: bool = False,
    ) -> ActResult:
        """Carry out an instruction, or do what `observe` has found.

        The service works while this method asks it, with growing pauses, how far it is. If the caller is cancelled, or
        the time has passed, the action is ended where the service can do that (the local runtime can).

        Args:
            action_input: the instruction, or a result of `observe`.
            page: a page of your own Playwright, connected to this browser; None for the agent's current one.
            timeout: seconds for the whole call; without it ``timeoutMS`` of the options, or 150 seconds.
            check: raise a failure instead of returning it.

        Returns:
            Success or failure, with what was done.

        Raises:
            BrowserError: the browser is not initialized, the page is not one of it, or the action was not started, not
                followed, or not ended in time; with ``check`` also if it failed.
            ValueError, TypeError: an argument makes no sense; nothing was sent.

        API: the tools ``page_use_act_async`` and ``page_use_get_act_result``.
        """
        return await self._act(action_input, page, timeout, check, "act")

    async def _act(
        self,
        action_input: ActOptions | ObserveResult,
        page: Page | None,
        timeout: float | None,
        check: bool,
        name: str,
    ) -> ActResult:
        self._check_initialized(name)
        if not isinstance(action_input, (ActOptions, ObserveResult)):
            raise TypeError(f"action_input must be ActOptions or an ObserveResult, not {type(action_input).__name__}")
        given = action_input.timeoutMS if isinstance(action_input, ActOptions) else None
        limit, seconds = _limits(timeout, given, ACT_SECONDS)
        session_id = self.session.session_id
        tools.start_act(action_input, PageIds(), limit, session_id=session_id)  # checks before any I/O
        deadline = self.session.get_client().deadline(seconds)
        ids = await self._ids(page, "act")
        call = tools.start_act(action_input, ids, limit, session_id=session_id)
        task_id = await self._begin(call, deadline, "act", "Failed to start act task")
        late = f"Task {task_id}:{tools.action_of(action_input)} Act timed out"
        progress = await self._follow(task_id, tools.act_result, deadline, "act", late)
        result: ActResult = progress.value
        return result.raise_for_error() if check else result

    async def observe(
        self,
        options: ObserveOptions,
        page: Page | None = None,
        *,
        timeout: float | None = None,
        check: bool = False,
    ) -> ObserveOutcome:
        """Return the elements that an instruction describes, each with what can be done with it.

        Args:
            options: the instruction.
            page: a page of your own Playwright, connected to this browser; None for the agent's current one.
            timeout: seconds for the whole call; without it, the client's time-out and 55 seconds.
            check: raise a failure instead of returning it.

        Returns:
            A pair: whether the page was looked at, and the elements, which may be none. Its ``error`` is the reason of
            a failure.

        Raises:
            BrowserError: the browser is not initialized, the page is not one of it, or the answer cannot be read; with
                ``check`` also for other failures.
            ValueError, TypeError: an argument makes no sense; nothing was sent.

        API: the tool ``page_use_observe``.
        """
        return await self._observe(options, page, timeout, check, "observe")

    async def _observe(
        self, options: ObserveOptions, page: Page | None, timeout: float | None, check: bool, name: str
    ) -> ObserveOutcome:
        self._check_initialized(name)
        check_timeout(timeout)
        tools.observe(options, PageIds(), session_id="")  # checks before any I/O
        ids = await self._ids(page, name)
        call = tools.observe(options, ids, session_id=self.session.session_id)
        try:
            return ObserveOutcome(await run_tool(self.session, call, timeout=timeout))
        except AGBError as error:
            failed = _failed(name, error)
            if check or error.kind is ErrorKind.INVALID_ANSWER:
                raise failed from error
            return ObserveOutcome([], failed)

    async def extract(
        self,
        options: ExtractOptions[T],
        page: Page | None = None,
        *,
        timeout: float | None = None,
        check: bool = False,
    ) -> ExtractOutcome[T]:
        """Return what a page shows as an object of the class that the options name.

        The answer is checked: with a pydantic model by pydantic, with other classes field by field.

        Args:
            options: the instruction and the class, or a JSON Schema.
            page: a page of your own Playwright, connected to this browser; None for the agent's current one.
            timeout: seconds for the whole call, 160 unless given.
            check: raise a failure instead of returning it.

        Returns:
            A pair: whether there is a value, and the value or None. Its ``error`` is the reason of a failure.

        Raises:
            BrowserError: the browser is not initialized, the page is not one of it, the extraction was not started, not
                followed, or not ended in time, or the answer does not have the promised fields: the text names the
                field. With ``check`` also if the service reports that it failed.
            ValueError, TypeError: an argument makes no sense, the schema among them; nothing was sent.

        API: the tools ``page_use_extract_async`` and ``page_use_get_extract_result``.
        """
        return await self._extract(options, page, timeout, check, "extract")

    async def _extract(
        self, options: ExtractOptions[T], page: Page | None, timeout: float | None, check: bool, name: str
    ) -> ExtractOutcome[T]:
        from ..._ops.answer_schemas import BadAnswer  # not needed before
        from ..._ops.answer_types import read_answer, schema_of

        self._check_initialized(name)
        if not isinstance(options, ExtractOptions):
            raise TypeError(f"options must be ExtractOptions, not {type(options).__name__}")
        _, seconds = _limits(timeout, None, EXTRACT_SECONDS)
        schema, session_id = schema_of(options.schema), self.session.session_id
        tools.start_extract(options, schema, PageIds(), session_id=session_id)  # checks before any I/O
        deadline = self.session.get_client().deadline(seconds)
        ids = await self._ids(page, name)
        call = tools.start_extract(options, schema, ids, session_id=session_id)
        task_id = await self._begin(call, deadline, name, "Failed to start extraction task")
        progress = await self._follow(
            task_id, tools.extract_result, deadline, name, f"Task {task_id}: Extract timed out"
        )
        if progress.error is not None:
            failed = _failed(name, progress.error)
            if check:
                raise failed from progress.error
            return ExtractOutcome(None, failed)
        try:
            return ExtractOutcome(read_answer(options.schema, progress.value))
        except BadAnswer as error:
            text = f"Failed to {name}: {error}"
            raise BrowserError(text, kind=ErrorKind.INVALID_ANSWER, session_id=session_id) from error

    # --- tasks ---------------------------------------------------------------------------------------------------

    async def _begin(self, call: ToolCall[str], deadline: Deadline, name: str, failed: str) -> str:
        """Begin a task and return its id; if the caller is cancelled meanwhile, the task is ended."""

        async def start() -> str:
            try:
                return await run_tool(self.session, call, timeout=self._part(deadline))
            except AGBError as error:
                if error.kind is ErrorKind.INVALID_ANSWER:
                    raise _failed(name, error) from error
                raise _failed(name, error, f"{failed}: {error}") from error

        return await run_to_completion(start, self._cancel)

    async def _follow(
        self, task_id: str, result: Callable[..., ToolCall[Progress]], deadline: Deadline, name: str, late: str
    ) -> Progress:
        """Return the end of a task; on any other way out of here the task is ended."""
        try:
            return await self._poll(lambda: result(task_id, session_id=self.session.session_id), deadline, name, late)
        except BaseException:
            await shielded(lambda: self._cancel(task_id))
            raise

    async def _poll(self, call: Callable[[], ToolCall[Progress]], deadline: Deadline, name: str, late: str) -> Progress:
        client = self.session.get_client()
        pause, failures = FIRST_PAUSE, 0
        last: AGBError | None = None
        while (left := deadline.left()) > LEAST_LEFT:
            # The last polls need time to be answered.
            await client.sleep(min(pause, max(left - 1.0, left / 2)))
            pause = min(pause * 1.5, LONGEST_PAUSE)
            try:
                progress = await run_tool(self.session, call(), timeout=self._part(deadline))
            except AGBError as error:
                last, failures = error, failures + 1
                is_final = error.kind in (ErrorKind.NOT_FOUND, ErrorKind.BAD_CREDENTIALS, ErrorKind.INVALID_ANSWER)
                if is_final or failures >= MOST_FAILED_POLLS:
                    raise _failed(name, error) from error
                continue
            if progress.is_done:
                return progress
            last, failures = progress.error or last, 0
        why = f"; the last poll failed: {last}" if last is not None else ""
        text = f"Failed to {name}: {late} {deadline.description}{why}"
        raise BrowserError(text, kind=ErrorKind.TIMED_OUT, session_id=self.session.session_id)

    async def _cancel(self, task_id: str) -> None:
        """End a task, if the service has a tool for it; otherwise it ends by the time limit that was sent with it."""
        offered = {tool.name for tool in self.session.tool_list or []}
        call = tools.cancel_task(task_id, session_id=self.session.session_id)
        if offered and call.name not in offered:
            return
        try:
            await run_tool(self.session, call, timeout=CANCEL_SECONDS)
        except AGBError as error:
            _log.debug("task %s of session %s was not cancelled: %s", task_id, self.session.session_id, error)

    def _part(self, deadline: Deadline) -> float:
        """Return the seconds for one call of a method of several."""
        return max(0.001, min(self.session.get_client().timeout, deadline.left()))

    # --- checks --------------------------------------------------------------------------------------------------

    def _check_initialized(self, name: str) -> None:
        if not self.browser.is_initialized():
            text = f"Browser must be initialized before calling {name}."
            raise BrowserError(text, session_id=self.session.session_id)

    async def _ids(self, page: Page | None, name: str) -> PageIds:
        """Return the ids of a page of the caller's Playwright; the agent's current one without a page."""
        if page is None:
            return PageIds()
        try:
            context_id, page_id = await page_ids(page)
        except Exception as error:  # of Playwright, whose errors are many, or of an object that is no page of it
            text = f"Failed to {name}: Failed to get page/context index: {error}"
            raise BrowserError(text, session_id=self.session.session_id) from error
        return PageIds(context_id, page_id)


def _limits(timeout: float | None, given_ms: float | None, default: float) -> tuple[int, float]:
    """Return the time limit that is sent, in milliseconds, and the seconds in which the call must have ended."""
    check_timeout(timeout)
    check_timeout(given_ms, "timeoutMS", "milliseconds")
    own = default if given_ms is None else given_ms / 1000
    if timeout is None:
        return max(1, int(own * 1000)), own + GRACE
    return max(1, int(min(own if given_ms is not None else timeout, timeout) * 1000)), timeout


def _failed(name: str, error: AGBError, text: str = "") -> BrowserError:
    """Return the error of a method, with what is known about its cause."""
    return BrowserError(f"Failed to {name}: {text or error}", **facts_of(error))
