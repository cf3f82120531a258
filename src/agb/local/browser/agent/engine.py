"""The engine: understands an instruction, finds the elements, acts on them, and says what it has done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from .actions import ELEMENT_METHODS, do
from .around import StepFailed, Surroundings, reason
from .capture import capture
from .find import Ambiguous, NotFound, find_all, find_one
from .grammar import METHODS, NotUnderstood, Step, parse
from .quotes import Quotes
from .requests import Acted, Progress
from .settle import PageGone, settle
from .snapshot import INTERACTIVE, Node, Snapshot
from .steps import perform
from .targets import Target, alternatives, parse_target
from .wording import OBSERVING

if TYPE_CHECKING:
    from playwright.async_api import Page

PageSource = Callable[[], Awaitable["Page"]]
"""Returns the page that the next step is for: an action may have opened another one."""
MOST_OBSERVED: Final = 200

_ALIASES: Final = {
    "dblclick": "double_click",
    "doubleclick": "double_click",
    "rightclick": "right_click",
    "selectoption": "select",
    "select_option": "select",
    "scrollto": "scroll_to",
    "scrollintoview": "scroll_to",
    "goto": "navigate",
    "hoverover": "hover",
}
_VALUES: Final = ("value", "text", "option", "key", "url", "direction")


async def act_by_engine(source: PageSource, instruction: str, around: Surroundings, progress: Progress) -> Acted:
    """Do what an instruction says, or replay a result of `observe`, which is JSON."""
    replayed = _replayed(instruction)
    try:
        if replayed is not None:
            await _replay(source, replayed, around, progress)
            return Acted(tuple(progress.steps))
        steps = parse(instruction)
    except NotUnderstood as error:
        return Acted((), str(error))
    except StepFailed as error:
        return Acted(tuple(progress.steps), around.variables.hide(str(error)))
    for number, step in enumerate(steps, 1):
        try:
            progress.steps.append(around.variables.hide(await one_step(source, step, around)))
        except StepFailed as error:
            which = f"step {number} of {len(steps)}: " if len(steps) > 1 else ""
            return Acted(tuple(progress.steps), around.variables.hide(f"{which}{error}"))
    return Acted(tuple(progress.steps))


async def one_step(source: PageSource, step: Step, around: Surroundings) -> str:
    """Do one step and return what was done, once the page has settled. Raises `StepFailed`."""
    page = await source()
    try:
        done = await guarded(perform(page, step, around), page)
    except StepFailed:
        # A page that the step before has opened may be reported after this one has begun on its opener.
        if (opened := await source()) is page:
            raise
        page = opened
        done = await guarded(perform(page, step, around), page)
    with suppress(PageGone):  # the step has closed it; the next one is for another
        await settle(page, around.settle_seconds, iframes=around.iframes)
    return done


async def guarded(work: Awaitable[str], page: Page) -> str:
    """Return the result of an action; an error of Playwright is a `StepFailed` with its reason."""
    from playwright.async_api import Error

    try:
        return await work
    except Error as error:
        why = "the page was closed" if page.is_closed() else reason(error)
        if blocking := _blocking(str(error)):
            why = f"{why} ({blocking})"
        raise StepFailed(why) from error


def _blocking(log: str) -> str:
    """Return what kept an element from being used, from the log in an error of Playwright."""
    for line in reversed(log.splitlines()):
        if "intercepts pointer events" in line or "element is not " in line:
            return line.strip(" -")
    return ""


# --- replaying what was observed -----------------------------------------------------------------------------------


def _replayed(instruction: str) -> Mapping[str, Any] | None:
    """Return an instruction that is a result of `observe`: a JSON object with a method."""
    if not instruction.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(instruction)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "method" in value else None


async def _replay(source: PageSource, given: Mapping[str, Any], around: Surroundings, progress: Progress) -> None:
    method = str(given["method"])
    method = _ALIASES.get(method.lower(), method.lower())
    if method not in METHODS:
        raise StepFailed(f"there is no method {given['method']!r}; there are {', '.join(sorted(METHODS))}")
    arguments = _arguments(given.get("arguments"))
    value = next((str(arguments[name]) for name in _VALUES if name in arguments), "")
    amount = arguments.get("amount", 0)
    step = Step(method, None, value, float(amount) if isinstance(amount, int | float) else 0)
    around.variables.check(value)
    page = await source()
    selector = str(given.get("selector") or arguments.get("selector") or "")
    if selector:
        done = await guarded(_do_by_selector(page, step, selector, around), page)
    elif method in ELEMENT_METHODS - {"press", "type"}:
        raise StepFailed(f"{method!r} needs the selector of its element, as `observe` returned it")
    else:
        done = await guarded(perform(page, step, around), page)
    progress.steps.append(around.variables.hide(done))
    await settle(page, around.settle_seconds, iframes=around.iframes)


async def _do_by_selector(page: Page, step: Step, selector: str, around: Surroundings) -> str:
    snapshot = await capture(page, iframes=True)
    paths = await selected(page, selector, snapshot)
    if step.method not in ELEMENT_METHODS:
        raise StepFailed(f"{step.method!r} is not done on an element")
    node = next(one for one in snapshot.elements() if one.selector == paths[0])
    return await do(page, step, node, around)


def _arguments(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = {"value": value}
    if isinstance(value, list):
        return {"value": value[0]} if value else {}
    return value if isinstance(value, dict) else {}


# --- observing -----------------------------------------------------------------------------------------------------


@frozen
class Observed:
    """An element, and what can be done with it."""

    selector: str
    description: str
    method: str
    arguments: Mapping[str, Any]

    def as_json(self) -> dict[str, str]:
        """Return it as the protocol has it.

        The selector is among the arguments too: clients that send only these when they replay a result name the element
        nevertheless.
        """
        arguments = json.dumps({**self.arguments, "selector": self.selector}, ensure_ascii=False)
        return {
            "selector": self.selector,
            "description": self.description,
            "method": self.method,
            "arguments": arguments,
        }


async def observe_by_engine(page: Page, instruction: str, around: Surroundings, selector: str = "") -> list[Observed]:
    """Return the elements that an instruction describes, or those that its steps are for; none if there are none."""
    await settle(page, around.settle_seconds, iframes=around.iframes)
    snapshot = await capture(page, iframes=around.iframes)
    if selector:
        snapshot = below(snapshot, await selected(page, selector, snapshot))
    return await asyncio.to_thread(observed, snapshot, instruction, around)


def observed(snapshot: Snapshot, instruction: str, around: Surroundings) -> list[Observed]:
    """Return what `observe` returns, of a snapshot."""
    text = OBSERVING.strip(instruction)
    if not text:
        return [_observed(node) for node in snapshot.elements() if node.role in INTERACTIVE][:MOST_OBSERVED]
    if not OBSERVING.begins(instruction) and (acting := _acting(snapshot, text, around)) is not None:
        return acting
    quotes = Quotes(text)
    found: dict[int, Node] = {}
    for part in alternatives(quotes.text):
        target = parse_target(part, quotes)
        for node in [] if target is None else _meant(snapshot, target):
            found.setdefault(id(node), node)
    order = {id(node): number for number, node in enumerate(snapshot.elements())}
    nodes = sorted(found.values(), key=lambda node: order[id(node)])
    return [_observed(node) for node in nodes][:MOST_OBSERVED]


def _meant(snapshot: Snapshot, target: Target) -> list[Node]:
    """Return all elements that a description may mean; an ordinal picks one of them."""
    try:
        return [find_one(snapshot, target)] if target.ordinal else find_all(snapshot, target)
    except NotFound:
        return []


def _acting(snapshot: Snapshot, text: str, around: Surroundings) -> list[Observed] | None:
    """Return the elements for the steps of an instruction, None if it is none."""
    try:
        steps = parse(text)
    except NotUnderstood:
        return None
    results = []
    for step in steps:
        if step.target is None:
            return None
        around.variables.check(step.value)
        try:
            nodes = [find_one(snapshot, step.target)]
        except Ambiguous:
            nodes = find_all(snapshot, step.target)
        except NotFound:
            return []
        arguments = {"value": step.value} if step.value else {}
        results += [Observed(node.selector, str(node), step.method, arguments) for node in nodes]
    return results


def _observed(node: Node) -> Observed:
    if node.is_editable:
        return Observed(node.selector, str(node), "fill", {"value": ""})
    if node.tag == "select":
        return Observed(node.selector, str(node), "select", {"value": ""})
    if node.role in ("checkbox", "switch", "radio"):
        is_checked = str(node.states.get("checked", "false")) == "true"
        return Observed(node.selector, str(node), "uncheck" if is_checked and node.role != "radio" else "check", {})
    return Observed(node.selector, str(node), "click", {})


async def selected(page: Page, selector: str, snapshot: Snapshot) -> list[str]:
    """Return the selectors of the elements in a snapshot that a selector of the caller finds. Raises `StepFailed`."""
    known = {node.selector for node in snapshot.elements()}
    if selector in known:
        return [selector]
    from playwright.async_api import Error

    try:
        paths = await page.locator(selector).evaluate_all(_PATHS)
    except Error as error:
        raise StepFailed(f"the selector {selector!r} cannot be used: {reason(error)}") from error
    found = [path for path in paths if path in known]
    if not found:
        raise StepFailed(f"the selector {selector!r} finds no visible element")
    return found


_PATHS: Final = """elements => elements.map(element => {
  const steps = [];
  for (let one = element; one && one.nodeType === 1; one = one.parentElement) {
    const tag = one.localName;
    const same = one.parentElement ? [...one.parentElement.children].filter(other => other.localName === tag) : [one];
    const step = one.namespaceURI === 'http://www.w3.org/1999/xhtml' ? tag : `*[name()='${tag}']`;
    steps.unshift(tag === 'html' || tag === 'body' ? step : `${step}[${same.indexOf(one) + 1}]`);
  }
  return 'xpath=/' + steps.join('/');
})"""


def below(snapshot: Snapshot, selectors: list[str]) -> Snapshot:
    """Return the part of a snapshot that is in elements with these selectors."""
    root = Node("document", tag="#document")
    root.children = [node for node in snapshot.elements() if node.selector in set(selectors)]
    return Snapshot(snapshot.url, snapshot.title, root)
