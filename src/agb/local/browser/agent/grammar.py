"""Instructions in English, and the steps they mean; the table `PATTERNS` is the whole language.

    Type "hello" into the search field, then press Enter
    Select 'Germany' from the Country dropdown and click the second "Read more" link

An instruction has one step or several, joined by line breaks, semicolons, "then", or by "and" before a verb. Text that
is meant literally is in quotes of any kind. The language is English only.
"""

# The functions of one table have the same parameters.
# ruff: noqa: ARG005

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from .quotes import QUOTED, Quotes
from .targets import Target, parse_target

UNDERSTOOD: Final = (
    "understood are: click, double click, right click, hover, focus, type TEXT into FIELD, fill FIELD with TEXT, "
    "clear, select OPTION from LIST, check, uncheck, press KEY, scroll, wait for TEXT, wait N seconds, go to URL, "
    "go back, go forward, reload, search for TEXT; several steps are joined by 'then', and an element is called by "
    "its text and its kind, as in: the second 'Read more' link"
)


class NotUnderstood(Exception):
    """An instruction, or a part of it, is not understood; the message says which part, and what is understood."""


@frozen
class Step:
    """One action on a page."""

    method: str
    """What is done, one of `METHODS`."""
    target: Target | None = None
    value: str = ""
    """The text to type, the option, the key, the address, the direction."""
    amount: float = 0
    """How often, how many pixels, or how many seconds."""


METHODS: Final = frozenset(
    [
        "click",
        "double_click",
        "right_click",
        "hover",
        "focus",
        "fill",
        "type",
        "clear",
        "select",
        "check",
        "uncheck",
        "press",
        "scroll",
        "scroll_to",
        "wait",
        "wait_for",
        "wait_gone",
        "wait_load",
        "navigate",
        "back",
        "forward",
        "reload",
        "search",
        "submit",
    ]
)


def parse(instruction: str) -> list[Step]:
    """Return the steps of an instruction. Raises `NotUnderstood`."""
    quotes = Quotes(instruction)
    clauses = _clauses(quotes.text)
    if not clauses:
        raise NotUnderstood(f"the instruction is empty; {UNDERSTOOD}")
    return [_step(clause, quotes) for clause in clauses]


# --- steps of an instruction ---------------------------------------------------------------------------------------

_VERBS: Final = (
    r"(?:(?:left|right|double)[- ]?)?click|tap|press|push|hit|type|enter|input|write|put|insert|fill|clear|empty|erase|"
    r"select|choose|pick|check|uncheck|tick|untick|mark|unmark|enable|disable|turn|switch|hover|move|focus|scroll|wait|"
    r"go|navigate|open|visit|browse|load|follow|reload|refresh|search|submit|set|change|paste"
)
_BREAK: Final = re.compile(
    rf"\s*(?:[\r\n;]+|(?<!\d)[.!]\s+(?-i:(?=[A-Z\ue000]))"
    rf"|,?\s*\b(?:and\s+)?(?:then|afterwards|after that|finally|next)\b[,:]?\s+"
    rf"|,\s*(?=(?:{_VERBS})\b)|,?\s+and\s+(?=(?:{_VERBS})\b))\s*",
    re.IGNORECASE,
)
_NOISE: Final = re.compile(
    r"(?:\s|[-*•]\s+|(?:step\s*)?\d{1,3}[.):]\s+|(?:please|now|first|firstly|next|finally|kindly|just|simply|and|then|"
    r"you should|you must|you can|i want you to|i want to|can you|could you)\b[,:]?\s+)+",
    re.IGNORECASE,
)


_TRAILING: Final = re.compile(r"(?:\s+(?:now|please|again|afterwards))+$", re.IGNORECASE)


def _clauses(text: str) -> list[str]:
    clauses = (_NOISE.sub("", f" {part} ", count=1).strip(" .,!") for part in _BREAK.split(text))
    return [" ".join(_TRAILING.sub("", clause).split()) for clause in clauses if clause]


def _step(clause: str, quotes: Quotes) -> Step:
    for pattern in PATTERNS:
        if (found := pattern.expression.fullmatch(clause)) is not None:
            step = pattern.make({name: text for name, text in found.groupdict().items() if text is not None}, quotes)
            if step is not None:
                return step
    raise NotUnderstood(f"not understood: {quotes.written(clause)!r}; {UNDERSTOOD}")


# --- the table -----------------------------------------------------------------------------------------------------


@frozen
class Pattern:
    """A form of a step: an expression for a whole clause, and what it means; None if it is not meant after all."""

    expression: re.Pattern[str]
    make: Callable[[Mapping[str, str], Quotes], Step | None]


_KEYS: Final = {
    "return": "Enter",
    "esc": "Escape",
    "del": "Delete",
    "pageup": "PageUp",
    "pagedown": "PageDown",
    "up": "ArrowUp",
    "down": "ArrowDown",
    "left": "ArrowLeft",
    "right": "ArrowRight",
    "arrowup": "ArrowUp",
    "arrowdown": "ArrowDown",
    "arrowleft": "ArrowLeft",
    "arrowright": "ArrowRight",
    "uparrow": "ArrowUp",
    "downarrow": "ArrowDown",
    "leftarrow": "ArrowLeft",
    "rightarrow": "ArrowRight",
    "ctrl": "Control",
    "control": "Control",
    "cmd": "Meta",
    "command": "Meta",
    "option": "Alt",
    **{
        key.lower(): key
        for key in [
            "Enter",
            "Escape",
            "Tab",
            "Backspace",
            "Delete",
            "Home",
            "End",
            "Space",
            "Insert",
            "Alt",
            "Shift",
            "Meta",
        ]
    },
    **{f"f{number}": f"F{number}" for number in range(1, 13)},
}
_KEY: Final = (
    r"(?:(?:ctrl|control|alt|option|shift|meta|cmd|command)\s*[+-]\s*)*"
    r"(?:enter|return|tab|escape|esc|space|backspace|delete|del|insert|home|end|page ?up|page ?down|"
    r"(?:arrow ?)?(?:up|down|left|right)|(?:up|down|left|right) ?arrow|f\d{1,2}|[a-z0-9])"
)
_TIMES: Final = {"once": 1, "twice": 2, "three": 3, "four": 4, "five": 5}
_URL: Final = re.compile(
    r"(?:https?|file|chrome)://\S+|(?:about|data):\S+|localhost(?::\d+)?(?:/\S*)?"
    r"|(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?::\d+)?(?:[/?#]\S*)?|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\S*)?",
    re.IGNORECASE,
)
_VALUE: Final = rf"(?P<value>{QUOTED}|.+?)"
_TO: Final = r"(?:in to|into|inside|in|to|on|onto|at)"


def _pattern(expression: str, make: Callable[[Mapping[str, str], Quotes], Step | None]) -> Pattern:
    return Pattern(re.compile(expression, re.IGNORECASE), make)


def _plain(method: str) -> Callable[[Mapping[str, str], Quotes], Step]:
    return lambda found, quotes: Step(method)


def _on_target(method: str) -> Callable[[Mapping[str, str], Quotes], Step | None]:
    """Return what makes a step with a target, and a value where the expression has one."""

    def make(found: Mapping[str, str], quotes: Quotes) -> Step | None:
        target = parse_target(found["target"], quotes)
        value = found.get("value", "")
        return None if target is None or quotes.is_mixed(value) else Step(method, target, quotes.restore(value)[0])

    return make


def _value_only(method: str) -> Callable[[Mapping[str, str], Quotes], Step | None]:
    def make(found: Mapping[str, str], quotes: Quotes) -> Step | None:
        value = found["value"]
        return None if quotes.is_mixed(value) else Step(method, value=quotes.restore(value)[0])

    return make


def _click_page(found: Mapping[str, str], quotes: Quotes) -> Step | None:
    """Return the click on what leads to a page: "go to the 'About' page"."""
    target = parse_target(re.sub(r"\s+(?:web\s*)?(?:page|site)$", "", found["target"], flags=re.IGNORECASE), quotes)
    return None if target is None else Step("click", target)


def address(text: str) -> str | None:
    """Return a text as an address that can be opened, None if it is none; without a scheme it is HTTPS."""
    url = text.strip()
    if not _URL.fullmatch(url):
        return None
    has_scheme = re.match(r"[a-z]+:(?!\d)", url, re.IGNORECASE) is not None
    is_near = re.match(r"localhost|\d+(?:\.\d+){3}", url, re.IGNORECASE) is not None
    return url if has_scheme else f"{'http' if is_near else 'https'}://{url}"


def _navigate(found: Mapping[str, str], quotes: Quotes) -> Step | None:
    url = address(quotes.restore(found["value"])[0])
    return None if url is None else Step("navigate", value=url)


def key_name(text: str) -> str | None:
    """Return a key, or keys joined by +, in Playwright's names; None if it is none."""
    names = []
    for part in re.split(r"\s*\+\s*|(?<=\w)\s*-\s*(?=\w)", text.strip()):
        name = re.sub(r"[\s_]", "", part)
        known = _KEYS.get(name.lower())
        if known is None and len(name) != 1:
            return None
        names.append(known or (name.lower() if len(text.strip()) > 1 else name))
    return "+".join(names) if names else None


def _press(found: Mapping[str, str], quotes: Quotes) -> Step | None:
    key = key_name(quotes.restore(found["key"])[0])
    target = parse_target(found["target"], quotes) if "target" in found else None
    if key is None or ("target" in found and target is None):
        return None
    times = found.get("times", "1").lower()
    return Step("press", target, key, _TIMES.get(times) or int(times))


def _scroll(found: Mapping[str, str], _: Quotes) -> Step:
    direction = found.get("direction", "down").lower()
    if "edge" in found:
        direction = "top" if found["edge"].lower() in ("top", "start", "beginning") else "bottom"
    number = float(found.get("number", 0))
    if found.get("unit", "").lower().startswith(("time", "page", "screen")):
        number = -number  # counted in pages
    return Step("scroll", value=direction, amount=number)


def _wait(found: Mapping[str, str], _: Quotes) -> Step:
    unit = found["unit"].lower()
    factor = 0.001 if unit.startswith(("ms", "milli")) else 60 if unit.startswith("m") else 1
    number = found["number"].lower()
    return Step("wait", amount=(1 if number in ("a", "one") else float(number)) * factor)


_T: Final = r"(?P<target>.+)"
PATTERNS: Final[tuple[Pattern, ...]] = (
    # pages
    _pattern(
        rf"(?:go|navigate|browse|surf)(?: to)? (?:(?:the )?(?:url|page|site|web ?site|address) )?{_VALUE}", _navigate
    ),
    _pattern(rf"(?:open|visit|load) (?:(?:the )?(?:url|page|site|web ?site|address) )?{_VALUE}", _navigate),
    _pattern(
        r"(?:go|navigate|move)? ?back(?:wards?)?(?: one page| a page| to the (?:previous|last) page)?", _plain("back")
    ),
    _pattern(r"(?:go|navigate|move)? ?forwards?(?: one page| a page| to the next page)?", _plain("forward")),
    _pattern(r"(?:reload|refresh)(?: (?:the|this))?(?: current)?(?: page| tab)?", _plain("reload")),
    # waiting
    _pattern(
        r"wait(?: for)? (?P<number>\d+(?:\.\d+)?|an?|one) ?"
        r"(?P<unit>ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?)",
        _wait,
    ),
    _pattern(
        r"wait (?:for|until) (?:the |this )?page"
        r"(?: (?:to )?(?:loads?|finish(?:es)?(?: loading)?|is loaded|has loaded))?",
        _plain("wait_load"),
    ),
    _pattern(
        rf"wait (?:for|until) {_T[:-1]}?) (?:to )?(?:disappears?|vanish(?:es)?|is gone|be gone|is hidden|goes away)",
        _on_target("wait_gone"),
    ),
    _pattern(
        rf"wait (?:for|until) {_T[:-1]}?)"
        r"(?: (?:to )?(?:appears?|shows?(?: up)?|loads?|(?:is|be) (?:visible|shown|there|displayed)))?",
        _on_target("wait_for"),
    ),
    # scrolling
    _pattern(
        r"scroll (?:all the way )?(?:(?:down|up) )?to (?:the )?(?:very )?(?P<edge>top|bottom|end|start|beginning)"
        r"(?: of (?:the|this) page)?",
        _scroll,
    ),
    _pattern(
        r"scroll (?:the page )?(?P<direction>up|down|left|right)(?: the page| a bit| a little)?"
        r"(?: (?:by )?(?P<number>\d+) ?(?P<unit>px|pixels?|times?|pages?|screens?))?",
        _scroll,
    ),
    _pattern(r"scroll(?: the page)?", _scroll),
    _pattern(
        rf"scroll (?:(?:down|up) )?(?:to|until) {_T[:-1]}?)(?: (?:is|comes) (?:visible|into view|in view))?",
        _on_target("scroll_to"),
    ),
    _pattern(rf"scroll {_T[:-1]}?) into view", _on_target("scroll_to")),
    # keys
    _pattern(
        rf"(?:press|hit|strike|push|tap|use)(?: on)?(?: the)? (?P<key>{_KEY}|{QUOTED})(?: keys?)?"
        r"(?: (?P<times>\d{1,3}|once|twice|three|four|five)(?: times)?)?(?: (?:in|on|inside) (?P<target>.+))?",
        _press,
    ),
    # typing
    _pattern(
        rf"(?:type|enter|input|write|put|insert|paste)(?: in)?(?: the)?(?: (?:text|word|value|string))? {_VALUE} "
        rf"{_TO} {_T}",
        _on_target("fill"),
    ),
    _pattern(
        rf"(?:fill in|fill out|fill|complete|populate|set|change|update) {_T} (?:with|to|as|=|by)"
        rf"(?: the)?(?: (?:text|value|word))? (?P<value>{QUOTED})",
        _on_target("fill"),
    ),
    _pattern(
        rf"(?:fill in|fill out|fill|complete|populate|set|change|update) {_T[:-1]}?) (?:with|to|as|=|by)"
        rf"(?: the)?(?: (?:text|value|word))? {_VALUE}",
        _on_target("fill"),
    ),
    _pattern(rf"(?:clear|empty|erase)(?: the (?:text|value|contents?) (?:of|in|from))? {_T}", _on_target("clear")),
    _pattern(
        rf"(?:type|enter|input|write|insert)(?: the)?(?: (?:text|word|value|string))? {_VALUE}", _value_only("type")
    ),
    _pattern(rf"search(?: for)? {_VALUE}", _value_only("search")),
    _pattern(r"submit(?: (?:the|this))?(?: form| query| search)?", _plain("submit")),
    # choosing
    _pattern(
        rf"(?:select|choose|pick)(?: the)?(?: (?:option|value|item|entry))? {_VALUE}(?: option)? "
        rf"(?:in|from|for|of|on|as|within) {_T}",
        _on_target("select"),
    ),
    _pattern(rf"(?:check|tick|enable|turn on|switch on|mark) (?!that\b|if\b|whether\b){_T}", _on_target("check")),
    _pattern(rf"(?:uncheck|untick|deselect|disable|turn off|switch off|unmark) {_T}", _on_target("uncheck")),
    # the mouse
    _pattern(rf"double[- ]?click(?: on)? {_T}", _on_target("double_click")),
    _pattern(rf"right[- ]?click(?: on)? {_T}", _on_target("right_click")),
    _pattern(
        rf"(?:hover|mouse over|(?:move|put) the (?:mouse|pointer|cursor))(?: (?:over|on|onto|to|above))? {_T}",
        _on_target("hover"),
    ),
    _pattern(rf"focus(?: on)? {_T}", _on_target("focus")),
    _pattern(
        rf"(?:(?:left[- ]?)?click|tap|press|push|hit|open|follow|expand|collapse|select|choose|pick)"
        rf"(?: on)? {_T}",
        _on_target("click"),
    ),
    _pattern(rf"(?:go|navigate) to {_T}", _click_page),
)
"""The forms of a step; the first that matches a whole clause, and whose parts are understood, is its meaning."""
