"""Actions on elements: what Playwright does for each method of a step."""

# The functions of one table have the same parameters.
# ruff: noqa: ARG001, ARG005

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from .around import StepFailed, Surroundings
from .grammar import Step, key_name
from .requests import END
from .snapshot import Node

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

T = TypeVar("T")

_SLICES: Final = (1000.0, 2000.0, 4000.0, 8000.0)
"""Milliseconds of the tries of an action."""


async def patiently(action: Callable[[float], Awaitable[T]]) -> T:
    """Return the result of an action of Playwright, which is passed its time limit in milliseconds.

    A cancelled call of Playwright goes on in its driver: a click that waits for a button to become enabled would happen
    after its caller was answered that the call was ended. So the action is tried with a short limit, then with longer
    ones, none beyond the end of the call, and when it is cancelled the try that is under way is awaited: once this has
    returned or raised, nothing of it happens any more.
    """
    from playwright.async_api import TimeoutError as NotInTime

    loop = asyncio.get_running_loop()
    for limit in _SLICES:
        left = (END.get() - loop.time()) * 1000
        trying = asyncio.ensure_future(action(max(1.0, min(limit, left))))
        try:
            return await asyncio.shield(trying)
        except NotInTime:
            if left <= limit:
                await asyncio.sleep(_SLICES[0] / 1000)  # the time limit of the call passes now, and ends this
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
        await patiently(lambda ms: locator.press(key_of(value), timeout=ms))


def key_of(text: str) -> str:
    """Return a key in Playwright's name. Raises `StepFailed` if there is none."""
    if (name := key_name(text)) is None:
        raise StepFailed(f"there is no key {text!r}")
    return name


async def _nothing(locator: Locator, step: Step, value: str, node: Node) -> None:
    """Do nothing: that it was found is all."""


ACTIONS: Final[Mapping[str, Action]] = {
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
DONE: Final[Mapping[str, str]] = {
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
ELEMENT_METHODS: Final = frozenset(ACTIONS)
"""The methods that need an element."""


async def do(page: Page, step: Step, node: Node, around: Surroundings) -> str:
    """Do a step on an element and return what was done."""
    await ACTIONS[step.method](page.locator(node.selector).first, step, around.variables.fill(step.value), node)
    return f"{DONE[step.method].format(step.value)} {node}".replace("  ", " ")
