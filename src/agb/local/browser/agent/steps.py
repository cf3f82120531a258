"""Steps, performed on a page: each is an action of Playwright on the element that its description means."""

# The functions of one table have the same parameters.
# ruff: noqa: ARG001, ARG005

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from attrs import evolve, frozen

from .capture import capture
from .find import Ambiguous, NotFound, find_one
from .grammar import Step, key_name
from .settle import settle, until_changed
from .snapshot import Node, Snapshot
from .targets import Target

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

T = TypeVar("T")

FIND_SECONDS: Final = 3.0
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
_VARIABLE: Final = re.compile(r"%([A-Za-z_][\w-]*)%")
_ON_THE_PAGE: Final = frozenset({"wait_for", "wait_gone", "scroll_to", "hover"})


class StepFailed(Exception):
    """A step could not be done; the message is the reason."""


@frozen
class Variables:
    """Values that stand in an instruction as ``%name%``. They go into the page and into no text."""

    values: Mapping[str, str]

    def check(self, text: str) -> None:
        """Raise `StepFailed` if a text names a variable that is not among them."""
        unknown = [name for name in _VARIABLE.findall(text) if name not in self.values]
        if self.values and unknown:
            raise StepFailed(f"there is no variable %{unknown[0]}%; given are {', '.join(sorted(self.values))}")

    def fill(self, text: str) -> str:
        """Return a text with the values in it."""
        return _VARIABLE.sub(lambda found: self.values.get(found[1], found[0]), text)

    def hide(self, text: str) -> str:
        """Return a text from outside without the values."""
        for name, value in sorted(self.values.items(), key=lambda item: -len(item[1])):
            text = text.replace(value, f"%{name}%") if value else text
        return text


@frozen
class Surroundings:
    """What the steps of an instruction have in common."""

    variables: Variables = Variables({})
    iframes: bool = False
    settle_seconds: float = 1.0


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


async def do(page: Page, step: Step, node: Node, around: Surroundings) -> str:
    """Do a step on an element and return what was done."""
    await _ACTIONS[step.method](page.locator(node.selector).first, step, around.variables.fill(step.value), node)
    return f"{_DONE[step.method].format(step.value)} {node}".replace("  ", " ")


async def look_for(page: Page, target: Target, preferred: frozenset[str], around: Surroundings) -> Node:
    """Return the element that a description means, as soon as the page has it. Raises `StepFailed`."""
    filled = _filled(target, around.variables)
    loop = asyncio.get_running_loop()
    end = loop.time() + FIND_SECONDS
    while True:
        snapshot = await capture(page, iframes=around.iframes)
        try:
            return find_one(snapshot, filled, preferred)
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


# --- on an element -------------------------------------------------------------------------------------------------

_SLICES: Final = (1000.0, 2000.0, 4000.0, 8000.0)
"""Milliseconds of the tries of an action."""


async def patiently(action: Callable[[float], Awaitable[T]]) -> T:
    """Return the result of an action of Playwright, which is passed its time limit in milliseconds.

    A cancelled call of Playwright goes on in its driver: a click that waits for a button to become enabled would happen
    after its caller was answered that the call was ended. So the action is tried with a short limit, then with longer
    ones, and when it is cancelled the try that is under way is awaited: once this has returned or raised, nothing of it
    happens any more.
    """
    from playwright.async_api import TimeoutError as NotInTime

    for limit in _SLICES:
        trying = asyncio.ensure_future(action(limit))
        try:
            return await asyncio.shield(trying)
        except NotInTime:
            if limit == _SLICES[-1]:
                raise
        except asyncio.CancelledError:
            await asyncio.wait({trying})
            if not trying.cancelled():
                trying.exception()  # read, or asyncio reports it as never retrieved
            raise
    raise AssertionError("the last try returns or raises")


Action = Callable[["Locator", Step, str, Node], Awaitable[Any]]


async def _click(locator: Locator, step: Step, value: str, node: Node) -> None:
    if node.role == "option" and (select := _select_of(node)) is not None:
        chosen = locator.page.locator(select.selector)
        await patiently(lambda ms: chosen.select_option(label=node.name or node.text, timeout=ms))
        return
    button: Literal["left", "right"] = "right" if step.method == "right_click" else "left"
    count = 2 if step.method == "double_click" else 1
    await patiently(lambda ms: locator.click(timeout=ms, button=button, click_count=count))


async def _fill(locator: Locator, step: Step, value: str, node: Node) -> None:
    from playwright.async_api import Error

    if not node.is_editable and node.tag not in ("select", "input"):
        raise StepFailed(f"nothing can be typed into the {node}")
    if node.tag == "select":
        await _choose(locator, value, node)
        return
    if step.method == "type":
        await patiently(lambda ms: locator.focus(timeout=ms))
        await locator.page.keyboard.type(value)
        return
    kind = node.attributes.get("type", "")
    try:
        await patiently(lambda ms: locator.fill(value, timeout=ms))
        is_taken = kind not in _FORMATS or await patiently(lambda ms: locator.input_value(timeout=ms)) == value
    except Error as error:
        if "Malformed value" not in error.message:
            raise
        is_taken = False
    if not is_taken:
        raise StepFailed(f"the {node} takes a {kind}, as in {_FORMATS.get(kind, 'its own format')}, not {step.value!r}")


_FORMATS: Final = {
    "date": "2026-12-31",
    "time": "13:45",
    "datetime-local": "2026-12-31T13:45",
    "month": "2026-12",
    "week": "2026-W52",
    "color": "#a0b1c2",
}


async def _check(locator: Locator, step: Step, value: str, node: Node) -> None:
    is_checked = step.method == "check"
    if node.tag == "input" or node.role in ("checkbox", "radio", "switch"):
        await patiently(lambda ms: locator.set_checked(is_checked, timeout=ms))
    elif (str(node.states.get("checked", node.states.get("pressed", "false"))) == "true") != is_checked:
        await patiently(lambda ms: locator.click(timeout=ms))


async def _choose(locator: Locator, value: str, node: Node) -> None:
    """Choose an option of a ``select`` by its text, or by its value."""
    options = [one for one in node.elements() if one.role == "option"]
    by_text = [one for one in options if _same(one.name or one.text, value)]
    by_part = [one for one in options if value.casefold() in (one.name or one.text).casefold()]
    by_value = [one for one in options if _same(one.attributes.get("value", ""), value)]
    found = by_text or by_value or by_part
    if not found or (len(found) > 1 and found is by_part):
        names = ", ".join(repr(one.name or one.text) for one in options[:20])
        raise StepFailed(f"the {node} has no option {value!r}; there are {names}")
    await patiently(lambda ms: locator.select_option(index=options.index(found[0]), timeout=ms))


def _same(text: str, wanted: str) -> bool:
    return " ".join(text.casefold().split()) == " ".join(wanted.casefold().split())


def _select_of(option: Node) -> Node | None:
    return next((outer for outer in option.ancestors() if outer.tag == "select"), None)


async def _press_on(locator: Locator, step: Step, value: str, node: Node) -> None:
    for _ in range(max(1, int(step.amount))):
        await patiently(lambda ms: locator.press(_key(value), timeout=ms))


def _key(text: str) -> str:
    if (name := key_name(text)) is None:
        raise StepFailed(f"there is no key {text!r}")
    return name


async def _nothing(locator: Locator, step: Step, value: str, node: Node) -> None:
    """Do nothing: that it was found is all."""


_ACTIONS: Final[Mapping[str, Action]] = {
    "click": _click,
    "double_click": _click,
    "right_click": _click,
    "hover": lambda locator, step, value, node: patiently(lambda ms: locator.hover(timeout=ms)),
    "focus": lambda locator, step, value, node: patiently(lambda ms: locator.focus(timeout=ms)),
    "fill": _fill,
    "type": _fill,
    "clear": lambda locator, step, value, node: patiently(lambda ms: locator.clear(timeout=ms)),
    "select": lambda locator, step, value, node: _choose(locator, value, node),
    "check": _check,
    "uncheck": _check,
    "press": _press_on,
    "scroll_to": lambda locator, step, value, node: patiently(
        lambda ms: locator.scroll_into_view_if_needed(timeout=ms)
    ),
    "wait_for": _nothing,
}
_DONE: Final[Mapping[str, str]] = {
    "click": "clicked the",
    "double_click": "double-clicked the",
    "right_click": "right-clicked the",
    "hover": "moved the mouse over the",
    "focus": "focused the",
    "fill": "filled {0!r} into the",
    "type": "typed {0!r} into the",
    "clear": "cleared the",
    "select": "selected {0!r} in the",
    "check": "checked the",
    "uncheck": "unchecked the",
    "press": "pressed {0} in the",
    "scroll_to": "scrolled to the",
    "wait_for": "found the",
}
ELEMENT_METHODS: Final = frozenset(_ACTIONS)
"""The methods that need an element."""


async def _select(page: Page, step: Step, around: Surroundings) -> str:
    """Choose an option in a list: a ``select``, or a list that is opened by a click, or a group of radio buttons."""
    assert step.target is not None
    node = await look_for(page, step.target, _CHOSEN, around)
    if node.tag == "select":
        return await do(page, step, node, around)
    locator = page.locator(node.selector).first
    if node.role != "radiogroup" and node.states.get("expanded") is not True:
        await patiently(lambda ms: locator.click(timeout=ms))
        await settle(page, around.settle_seconds)
    roles = frozenset({"option", "menuitem", "menuitemradio", "radio", "treeitem"})
    option = await look_for(page, Target(step.value, True, roles, "option"), roles, around)
    chosen = page.locator(option.selector).first
    await patiently(lambda ms: chosen.click(timeout=ms))
    return f"{_DONE['select'].format(step.value)} {node}"


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


def reason(error: BaseException) -> str:
    """Return the reason in an error of Playwright: its first line, without the names of its methods."""
    first = str(error).partition("\n")[0]
    return re.sub(r"^(?:\w+\.\w+: )?(?:Error: )?", "", first).strip() or type(error).__name__


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
        find_one(await capture(page, iframes=around.iframes), target)
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
        await page.keyboard.press(_key(step.value))
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
