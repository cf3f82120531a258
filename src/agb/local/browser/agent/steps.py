"""Steps, performed on a page: each is an action of Playwright on the element that its description means."""

# The functions of one table have the same parameters.
# ruff: noqa: ARG001

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from attrs import evolve

from .actions import DONE, do, key_of, patiently
from .around import StepFailed, Surroundings, Variables, reason
from .capture import capture
from .find import Ambiguous, NotFound, find_one
from .grammar import Step
from .settle import settle, until_changed
from .snapshot import Node, Snapshot
from .targets import Target

if TYPE_CHECKING:
    from playwright.async_api import Page

FIND_SECONDS: Final = 2.0
"""How long an element may take to appear."""
NAVIGATION_SECONDS: Final = 30.0
LONGEST_WAIT: Final = 600.0

_CLICKED: Final = frozenset(
    [
        "button",
        "checkbox",
        "combobox",
        "link",
        "menuitem",
        "menuitemcheckbox",
        "menuitemradio",
        "option",
        "radio",
        "switch",
        "tab",
        "treeitem",
    ]
)
_TYPED: Final = frozenset({"textbox", "searchbox", "combobox", "spinbutton"})
_CHOSEN: Final = frozenset({"combobox", "listbox", "radiogroup"})
_CHECKED: Final = frozenset({"checkbox", "radio", "switch", "menuitemcheckbox", "menuitemradio"})
_PREFERRED: Final[Mapping[str, frozenset[str]]] = {
    "click": _CLICKED,
    "double_click": frozenset(),
    "right_click": frozenset(),
    "fill": _TYPED | {"slider"},
    "type": _TYPED,
    "clear": _TYPED,
    "press": _TYPED,
    "focus": _TYPED | _CLICKED,
    "select": _CHOSEN,
    "check": _CHECKED,
    "uncheck": _CHECKED,
}


async def perform(page: Page, step: Step, around: Surroundings) -> str:
    """Do a step and return what was done. Raises `StepFailed` and Playwright's ``Error``."""
    for text in (step.value, "" if step.target is None else step.target.text):
        around.variables.check(text)
    if step.method in _PAGE_STEPS:
        return await _PAGE_STEPS[step.method](page, step, around)
    assert step.target is not None  # the grammar makes no other step without one
    if step.method == "select":
        return await _select(page, step, around)
    node = await look_for(page, step.target, _PREFERRED.get(step.method, frozenset()), around)
    return await do(page, step, node, around)


async def look_for(page: Page, target: Target, preferred: frozenset[str], around: Surroundings) -> Node:
    """Return the element that a description means, as soon as the page has it. Raises `StepFailed`."""
    filled = _filled(target, around.variables)
    loop = asyncio.get_running_loop()
    end = loop.time() + FIND_SECONDS
    while True:
        snapshot = await capture(page, iframes=around.iframes)
        try:
            return await asyncio.to_thread(find_one, snapshot, filled, preferred)
        except Ambiguous as error:
            raise StepFailed(str(error)) from error
        except NotFound as error:
            left = end - loop.time()
            if left <= 0:
                raise StepFailed(str(error)) from error
        await until_changed(page, left)


def _filled(target: Target, variables: Variables) -> Target:
    within = None if target.within is None else _filled(target.within, variables)
    return evolve(target, text=variables.fill(target.text), near=variables.fill(target.near), within=within)


async def _select(page: Page, step: Step, around: Surroundings) -> str:
    """Choose an option in a list: a ``select``, or a list that is opened by a click, or a group of radio buttons."""
    assert step.target is not None
    node = await look_for(page, step.target, _CHOSEN, around)
    if node.tag == "select":
        return await do(page, step, node, around)
    locator = page.locator(node.selector).first
    if node.role != "radiogroup" and node.states.get("expanded") is not True:
        await patiently(lambda ms: locator.click(timeout=ms))
        await settle(page, around.settle_seconds, iframes=around.iframes)
    roles = frozenset({"option", "menuitem", "menuitemradio", "radio", "treeitem"})
    option = await look_for(page, Target(step.value, True, roles, "option"), roles, around)
    chosen = page.locator(option.selector).first
    await patiently(lambda ms: chosen.click(timeout=ms))
    return f"{DONE['select'].format(step.value)} {node}"


# --- on the page ---------------------------------------------------------------------------------------------------


async def _navigate(page: Page, step: Step, around: Surroundings) -> str:
    await go_to(page, around.variables.fill(step.value))
    return f"went to {step.value}"


async def go_to(page: Page, url: str, seconds: float = NAVIGATION_SECONDS) -> None:
    """Open an address and return when the document is there. Raises `StepFailed`."""
    from playwright.async_api import Error

    try:
        await page.goto(url, wait_until="domcontentloaded", timeout=seconds * 1000)
    except asyncio.CancelledError:
        await asyncio.wait({asyncio.ensure_future(_stop_loading(page))})
        raise
    except Error as error:
        raise StepFailed(f"could not open {url}: {reason(error)}") from error


async def _stop_loading(page: Page) -> None:
    from playwright.async_api import Error

    try:
        session = await page.context.new_cdp_session(page)
        await session.send("Page.stopLoading")
        await session.detach()
    except Error:  # the page is closed
        return


async def _history(page: Page, step: Step, around: Surroundings) -> str:
    limit = NAVIGATION_SECONDS * 1000
    move = page.go_back if step.method == "back" else page.go_forward
    before = page.url
    await move(wait_until="commit", timeout=limit)
    if page.url == before and step.method == "forward":
        raise StepFailed("there is no page to go forward to")
    return f"went {step.method} to {page.url}"


async def _reload(page: Page, step: Step, around: Surroundings) -> str:
    await page.reload(wait_until="domcontentloaded", timeout=NAVIGATION_SECONDS * 1000)
    return "reloaded the page"


async def _wait(page: Page, step: Step, around: Surroundings) -> str:
    await asyncio.sleep(min(step.amount, LONGEST_WAIT))  # which the time limit of the call may cut short
    return f"waited {step.amount:g} s"


async def _wait_load(page: Page, step: Step, around: Surroundings) -> str:
    await page.wait_for_load_state("load", timeout=NAVIGATION_SECONDS * 1000)
    return "waited until the page was loaded"


async def _wait_change(page: Page, step: Step, around: Surroundings) -> str:
    """Wait until an element is there, or is not; as long as the call may take."""
    assert step.target is not None
    target, wanted = _filled(step.target, around.variables), step.method == "wait_for"
    while (await _is_there(page, target, around)) != wanted:
        await until_changed(page, FIND_SECONDS)
    return f"{step.target} {'is there' if wanted else 'is gone'}"


async def _is_there(page: Page, target: Target, around: Surroundings) -> bool:
    try:
        await asyncio.to_thread(find_one, await capture(page, iframes=around.iframes), target)
    except Ambiguous:
        return True
    except NotFound:
        return False
    return True


async def _scroll(page: Page, step: Step, around: Surroundings) -> str:
    script = """([direction, amount]) => {
      const page = document.scrollingElement || document.documentElement;
      const across = direction === 'left' || direction === 'right';
      const screen = 0.9 * (across ? innerWidth : innerHeight);
      const pixels = amount > 0 ? amount : screen * (amount < 0 ? -amount : 1);
      if (direction === 'top') page.scrollTop = 0;
      else if (direction === 'bottom') page.scrollTop = page.scrollHeight;
      else if (across) page.scrollLeft += direction === 'left' ? -pixels : pixels;
      else page.scrollTop += direction === 'up' ? -pixels : pixels;
    }"""
    await page.evaluate(script, [step.value, step.amount])
    if step.value in ("top", "bottom"):
        return f"scrolled to the {step.value}"
    amount = f" by {step.amount:g} pixels" if step.amount > 0 else ""
    return f"scrolled {step.value}{amount}"


async def _press(page: Page, step: Step, around: Surroundings) -> str:
    if step.target is not None:
        node = await look_for(page, step.target, _TYPED, around)
        return await do(page, step, node, around)
    for _ in range(max(1, int(step.amount))):
        await page.keyboard.press(key_of(step.value))
    times = f" {step.amount:g} times" if step.amount > 1 else ""
    return f"pressed {step.value}{times}"


async def _type(page: Page, step: Step, around: Surroundings) -> str:
    if step.target is not None:
        return await do(page, step, await look_for(page, step.target, _TYPED, around), around)
    if await page.evaluate("!document.activeElement || document.activeElement === document.body"):
        raise StepFailed("no field has the focus; say where to type it, as in: type 'x' into the name field")
    await page.keyboard.type(around.variables.fill(step.value))
    return f"typed {step.value!r}"


async def _search(page: Page, step: Step, around: Surroundings) -> str:
    snapshot = await capture(page, iframes=around.iframes)
    node = search_field(snapshot)
    if node is None:
        raise StepFailed("the page has no search field; name the field: type 'x' into the … field, then press Enter")
    locator = page.locator(node.selector).first
    value = around.variables.fill(step.value)
    await patiently(lambda ms: locator.fill(value, timeout=ms))
    await patiently(lambda ms: locator.press("Enter", timeout=ms))
    return f"searched for {step.value!r}"


def search_field(snapshot: Snapshot) -> Node | None:
    """Return the field for searches: the one with the role, or one whose labels say so."""
    fields = [node for node in snapshot.elements() if node.is_editable]
    by_role = [node for node in fields if node.role == "searchbox" or node.attributes.get("type") == "search"]
    by_name = [
        node
        for node in fields
        if "search" in " ".join((*node.labels, node.attributes.get("name", ""), node.attributes.get("id", ""))).lower()
    ]
    return next(iter(by_role or by_name), None)


async def _submit(page: Page, step: Step, around: Surroundings) -> str:
    script = """() => {
      const forms = [...document.forms];
      const form = document.activeElement?.form || (forms.length === 1 ? forms[0] : null);
      if (!form) return forms.length;
      form.requestSubmit();
      return -1;
    }"""
    forms = await page.evaluate(script)
    if forms >= 0:
        raise StepFailed(f"the page has {forms} forms, and none of them has the focus; name the button to click")
    return "submitted the form"


_PAGE_STEPS: Final[Mapping[str, Callable[[Page, Step, Surroundings], Awaitable[str]]]] = {
    "navigate": _navigate,
    "back": _history,
    "forward": _history,
    "reload": _reload,
    "wait": _wait,
    "wait_load": _wait_load,
    "wait_for": _wait_change,
    "wait_gone": _wait_change,
    "scroll": _scroll,
    "press": _press,
    "type": _type,
    "search": _search,
    "submit": _submit,
}
