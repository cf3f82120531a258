"""Instructions in the hands of a planner: it is shown the page, and its actions are done, until it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ...planner import Action, PageView, Plan, Planner, Task
from .actions import ELEMENT_METHODS, do
from .around import StepFailed, Surroundings, reason
from .capture import capture, picture_of
from .engine import Observed, PageSource, guarded
from .grammar import METHODS, Step
from .outline import outline
from .requests import Progress
from .settle import settle
from .snapshot import Node
from .steps import perform

if TYPE_CHECKING:
    from playwright.async_api import Page

MOST_ROUNDS: Final = 30
"""How often a planner is called for one instruction."""


class PlannerFailed(Exception):
    """A planner raised, or what it returned cannot be used; the message says so."""


class Planned:
    """One instruction in the hands of a planner."""

    def __init__(
        self,
        planner: Planner,
        source: PageSource,
        instruction: str,
        around: Surroundings,
        progress: Progress,
        *,
        schema: Mapping[str, Any] | None = None,
        vision: bool = False,
    ) -> None:
        self._planner = planner
        self._source = source
        self._instruction = instruction
        self._around = around
        self._progress = progress
        self._schema = schema
        self._vision = vision

    async def act(self) -> Plan | None:
        """Return the plan that says that it is done; None if the planner leaves the instruction to the engine."""
        return await self._until_done("act")

    async def extract(self) -> Plan | None:
        """Return the plan with the answer."""
        return await self._until_done("extract")

    async def observe(self) -> list[Observed] | None:
        """Return the elements that the planner has found."""
        plan, references = await self._ask("observe", await self._source())
        if plan is None:
            return None
        results = []
        for action in plan.actions:
            node = _element(action, references)
            if node is None:
                raise PlannerFailed("the planner returned a result of `observe` without an element")
            arguments = {"value": action.value} if action.value else {}
            results.append(Observed(node.selector, action.description or str(node), action.method, arguments))
        return results

    async def _until_done(self, task: Task) -> Plan | None:
        for number in range(MOST_ROUNDS):
            page = await self._source()
            plan, references = await self._ask(task, page)
            if plan is None:
                if number:
                    raise PlannerFailed("the planner returned None after it had begun to act")
                return None
            for action in plan.actions:
                if not await self._do(action, references):
                    break
            if plan.is_done or (task == "extract" and plan.answer is not None):
                return plan
            if not plan.actions:
                raise PlannerFailed("the planner returned neither actions nor an end")
        raise PlannerFailed(f"the planner was not done after {MOST_ROUNDS} calls")

    async def _ask(self, task: Task, page: Page) -> tuple[Plan | None, dict[str, Node]]:
        await settle(page, self._around.settle_seconds, iframes=self._around.iframes)
        snapshot = await capture(page, iframes=self._around.iframes)
        text, references = outline(snapshot)
        variables = self._around.variables
        view = PageView(
            task,
            self._instruction,
            snapshot.url,
            snapshot.title,
            variables.hide(text),
            self._schema,
            tuple(variables.values),
            tuple(self._progress.steps),
            await picture_of(page) if self._vision else None,
        )
        try:
            plan = await self._planner(view)
        except Exception as error:
            raise PlannerFailed(f"the planner failed: {type(error).__name__}: {error}") from error
        if plan is not None and not isinstance(plan, Plan):
            raise PlannerFailed(f"the planner returned {type(plan).__name__}, not a Plan or None")
        return plan, references

    async def _do(self, action: Action, references: Mapping[str, Node]) -> bool:
        """Do an action; a failure is among what was done, so that the planner can decide anew."""
        page = await self._source()
        try:
            node = _element(action, references)
            step = Step(action.method, None, action.value)
            self._around.variables.check(action.value)
            work = perform(page, step, self._around) if node is None else do(page, step, node, self._around)
            done = await guarded(work, page)
            await settle(page, self._around.settle_seconds, iframes=self._around.iframes)
        except StepFailed as error:
            self._progress.steps.append(self._around.variables.hide(f"failed: {action.method}: {reason(error)}"))
            return False
        self._progress.steps.append(self._around.variables.hide(done))
        return True


def _element(action: Action, references: Mapping[str, Node]) -> Node | None:
    """Return the element that an action is for, None for one on the page. Raises `PlannerFailed`."""
    if not isinstance(action, Action) or action.method not in METHODS:
        method = getattr(action, "method", action)
        raise PlannerFailed(
            f"the planner returned the unknown action {method!r}; there are {', '.join(sorted(METHODS))}"
        )
    if action.element:
        if action.element not in references:
            raise PlannerFailed(f"the planner named the element {action.element!r}, which the page does not have")
        if action.method not in ELEMENT_METHODS:
            raise PlannerFailed(f"the planner returned {action.method!r} for an element; it is done on the page")
        return references[action.element]
    if action.method in ELEMENT_METHODS - {"press", "type"}:
        raise PlannerFailed(f"the planner returned {action.method!r} without an element")
    return None
