"""Descriptions of elements in English: "the second 'Read more' link in the 'News' section"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from .quotes import QUOTED, Quotes

_FIELD: Final = frozenset({"textbox", "searchbox", "combobox", "spinbutton"})
_MENU_ITEM: Final = frozenset({"menuitem", "menuitemcheckbox", "menuitemradio"})

ROLES: Final[dict[str, frozenset[str]]] = {
    "button": frozenset({"button"}),
    "link": frozenset({"link"}),
    "hyperlink": frozenset({"link"}),
    "field": _FIELD,
    "text field": _FIELD,
    "input field": _FIELD,
    "form field": _FIELD,
    "entry field": _FIELD,
    "input": _FIELD,
    "input box": _FIELD,
    "text box": _FIELD,
    "text input": _FIELD,
    "textbox": _FIELD,
    "text area": _FIELD,
    "textarea": _FIELD,
    "box": _FIELD | {"checkbox"},
    "bar": _FIELD | {"progressbar", "scrollbar"},
    "checkbox": frozenset({"checkbox", "switch"}),
    "check box": frozenset({"checkbox", "switch"}),
    "radio button": frozenset({"radio"}),
    "radio": frozenset({"radio"}),
    "dropdown": frozenset({"combobox", "listbox", "button"}),
    "drop-down": frozenset({"combobox", "listbox", "button"}),
    "dropdown menu": frozenset({"combobox", "listbox", "button"}),
    "dropdown list": frozenset({"combobox", "listbox", "button"}),
    "select box": frozenset({"combobox", "listbox"}),
    "combobox": frozenset({"combobox"}),
    "combo box": frozenset({"combobox"}),
    "listbox": frozenset({"listbox"}),
    "option": frozenset({"option", "radio"}) | _MENU_ITEM,
    "tab": frozenset({"tab"}),
    "menu item": _MENU_ITEM,
    "menu entry": _MENU_ITEM,
    "heading": frozenset({"heading"}),
    "image": frozenset({"img"}),
    "picture": frozenset({"img"}),
    "icon": frozenset({"img", "button", "link"}),
    "switch": frozenset({"switch", "checkbox"}),
    "toggle": frozenset({"switch", "checkbox", "button"}),
    "slider": frozenset({"slider"}),
    "row": frozenset({"row"}),
    "cell": frozenset({"cell"}),
    "column header": frozenset({"columnheader"}),
    "item": frozenset({"listitem", "treeitem"}) | _MENU_ITEM,
    "list item": frozenset({"listitem"}),
    "list entry": frozenset({"listitem"}),
    "tree item": frozenset({"treeitem"}),
    "paragraph": frozenset({"paragraph"}),
    "element": frozenset(),
    "text": frozenset(),
}
"""What an element may be called, and the roles that are meant; none if it may be anything."""

SCOPES: Final[dict[str, frozenset[str]]] = {
    "row": frozenset({"row"}),
    "line": frozenset({"row", "listitem"}),
    "section": frozenset({"region", "section"}),
    "region": frozenset({"region"}),
    "area": frozenset({"region", "group"}),
    "panel": frozenset({"region", "tabpanel", "group"}),
    "group": frozenset({"group", "radiogroup"}),
    "fieldset": frozenset({"group"}),
    "form": frozenset({"form", "search"}),
    "dialog": frozenset({"dialog", "alertdialog"}),
    "dialogue": frozenset({"dialog", "alertdialog"}),
    "dialog box": frozenset({"dialog", "alertdialog"}),
    "modal": frozenset({"dialog", "alertdialog"}),
    "popup": frozenset({"dialog", "alertdialog"}),
    "pop-up": frozenset({"dialog", "alertdialog"}),
    "table": frozenset({"table"}),
    "list": frozenset({"list", "listbox"}),
    "item": frozenset({"listitem"}),
    "list item": frozenset({"listitem"}),
    "card": frozenset({"article", "listitem", "group"}),
    "article": frozenset({"article"}),
    "navigation": frozenset({"navigation"}),
    "navigation bar": frozenset({"navigation"}),
    "nav": frozenset({"navigation"}),
    "nav bar": frozenset({"navigation"}),
    "menu": frozenset({"menu", "menubar", "navigation"}),
    "toolbar": frozenset({"toolbar"}),
    "header": frozenset({"banner"}),
    "footer": frozenset({"contentinfo"}),
    "sidebar": frozenset({"complementary"}),
    "main content": frozenset({"main"}),
}
"""What an element may be in."""

ATTRIBUTES: Final = {
    "placeholder": "placeholder",
    "label": "label",
    "name": "label",
    "title": "title",
    "alt text": "alt",
    "text": "text",
    "caption": "text",
}

_ORDINALS: Final = {
    word: number
    for number, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
        ],
        1,
    )
} | {"last": -1, "final": -1}
_IRREGULAR: Final = {"check boxes": "check box", "checkboxes": "checkbox", "boxes": "box", "entries": "entry"}


def _names(words: dict[str, frozenset[str]]) -> str:
    """Return a pattern of the words, their plurals too, the longest first."""
    plurals = [re.escape(word) + ("(?:es)?" if word.endswith(("x", "sh", "ch")) else "s?") for word in words]
    return "|".join(sorted((*map(re.escape, _IRREGULAR), *plurals), key=len, reverse=True))


_ROLE: Final = _names(ROLES)
_SCOPE: Final = _names(SCOPES)
_CONNECTOR: Final = (
    r"(?:which is |that is )?(?:named|called|labell?ed|titled|marked|saying|reading|containing|"
    r"(?:that|which) (?:says|reads|contains|is called|is named)|"
    r"(?:with|having|by|whose|that has) (?:the |a |an )?(?P<attribute>" + "|".join(ATTRIBUTES) + r")(?: is| of)?|"
    r"with|for|of)"
)
_ORDINAL: Final = re.compile(
    rf"(?:(?P<word>{'|'.join(_ORDINALS)})|(?P<number>\d{{1,4}})(?:st|nd|rd|th))\s+", re.IGNORECASE
)
_ARTICLE: Final = re.compile(r"(?:the|an?|this|that|any|my|your|its|their|some)\s+", re.IGNORECASE)
_ALL: Final = re.compile(r"(?:all|every|each)(?: of)?\s+(?:the\s+)?", re.IGNORECASE)
_PAGE: Final = re.compile(
    r"\s+(?:on|in|of|from)\s+(?:the|this)\s+(?:current\s+|web\s*)?(?:page|site|screen)$", re.IGNORECASE
)
_IN_SCOPE: Final = re.compile(
    rf"(?P<rest>.+?)\s+(?:in|inside|within|under|of|on|from|for)\s+"
    rf"(?P<scope>(?:(?:the|an?|that|this)\s+)?(?:[^\s].*?\s+)?(?:{_SCOPE})(?:\s+.+)?)",
    re.IGNORECASE,
)
_NEAR: Final = re.compile(
    rf"(?P<rest>.+?)\s+(?:for|of|next to|beside|near|belonging to)\s+(?:the\s+|an?\s+)?(?P<near>{QUOTED})",
    re.IGNORECASE,
)
_SCOPE_FORMS: Final = (
    re.compile(rf"(?P<role>{_SCOPE})(?:\s+{_CONNECTOR})?\s+(?P<text>.+)", re.IGNORECASE),
    re.compile(rf"(?P<text>.+?)\s+(?P<role>{_SCOPE})", re.IGNORECASE),
    re.compile(rf"(?P<role>{_SCOPE})", re.IGNORECASE),
)
_FORMS: Final = (
    re.compile(rf"(?P<role>{_ROLE})\s+{_CONNECTOR}\s+(?P<text>.+)", re.IGNORECASE),
    re.compile(rf"(?P<role>{_ROLE})\s+(?P<text>{QUOTED})", re.IGNORECASE),
    re.compile(rf"(?P<text>.+?)\s+(?P<role>{_ROLE})", re.IGNORECASE),
    re.compile(rf"(?P<role>{_ROLE})", re.IGNORECASE),
)


@frozen
class Target:
    """A description of an element, or of several."""

    text: str = ""
    """What it is called; "" if only its role counts."""
    is_quoted: bool = False
    """Whether the text is the literal text of the page, and not words about it."""
    roles: frozenset[str] = frozenset()
    """The roles it may have; none if that is open."""
    role_name: str = ""
    """The role as it was called."""
    attribute: str = ""
    """Where the text is: "label", "placeholder", "title", "alt" or "text"; "" for anywhere."""
    ordinal: int = 0
    """Which of several, from 1; -1 is the last, 0 the only one."""
    is_all: bool = False
    within: Target | None = None
    """What it is in."""
    near: str = ""
    """The text that it belongs to, as the name of a product belongs to the button that buys it."""

    def __str__(self) -> str:
        name = self.role_name or "element"
        text = f" {self.text!r}" if self.text else ""
        ordinal = {0: "", -1: "last "}.get(self.ordinal, f"{self.ordinal}. ")
        scope = "" if self.within is None else f" in the {self.within}"
        near = f" for {self.near!r}" if self.near else ""
        return f"{ordinal}{name}{text}{near}{scope}"


def parse_target(text: str, quotes: Quotes) -> Target | None:
    """Return what a description means, None if it is not understood; quoted texts are masked in it."""
    text = _PAGE.sub("", text.strip(" .,:;"))
    within = None
    if (found := _IN_SCOPE.fullmatch(text)) is not None:
        within = _scope(found["scope"], quotes)
        text = found["rest"] if within is not None else text
    near = ""
    if (found := _NEAR.fullmatch(text)) is not None and (_FORMS[0].fullmatch(text) is None):
        near = quotes.restore(found["near"])[0]
        text = found["rest"]
    is_all, ordinal = False, 0
    while text:
        if (found := _ALL.match(text)) is not None:
            is_all = True
        elif (found := _ORDINAL.match(text)) is not None:
            ordinal = _ORDINALS.get((found["word"] or "").lower(), 0) or int(found["number"])
        elif (found := _ARTICLE.match(text)) is None:
            break
        text = text[found.end() :]
    target = _described(text, quotes, is_all=is_all, ordinal=ordinal, within=within)
    return target if target is None or not near else evolve(target, near=near)


def _described(text: str, quotes: Quotes, *, is_all: bool, ordinal: int, within: Target | None) -> Target | None:
    roles, role_name, attribute, rest = frozenset[str](), "", "", text
    for form in _FORMS:
        if (found := form.fullmatch(text)) is not None:
            named = found.groupdict()
            role_name = _singular(named["role"], ROLES)
            is_all = is_all or role_name != named["role"].lower()
            roles, rest = ROLES[role_name], named.get("text") or ""
            attribute = ATTRIBUTES.get((named.get("attribute") or "").lower(), "")
            break
    name, is_quoted = quotes.restore(_ARTICLE.sub("", rest) if rest else "")
    if (rest and not name) or not (name or role_name) or quotes.is_mixed(rest):
        return None
    return Target(name, is_quoted, roles, role_name, attribute, ordinal, is_all, within)


def _scope(text: str, quotes: Quotes) -> Target | None:
    text = _ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text
    ordinal = 0
    if (found := _ORDINAL.match(text)) is not None:
        ordinal = _ORDINALS.get((found["word"] or "").lower(), 0) or int(found["number"])
        text = text[found.end() :]
    for form in _SCOPE_FORMS:
        if (found := form.fullmatch(text)) is not None:
            named = found.groupdict()
            role_name = _singular(named["role"], SCOPES)
            rest = named.get("text") or ""
            name, is_quoted = quotes.restore(_ARTICLE.sub("", rest) if rest else "")
            if quotes.is_mixed(rest):
                return None
            return Target(name, is_quoted, SCOPES[role_name], role_name, ordinal=ordinal)
    return None


def _singular(word: str, known: dict[str, frozenset[str]]) -> str:
    word = " ".join(word.lower().split())
    word = _IRREGULAR.get(word, word)
    return next(one for one in (word, word.removesuffix("s"), word.removesuffix("es")) if one in known)


def alternatives(text: str) -> Iterator[str]:
    """Return the parts of a list of descriptions: "links, buttons and the search field"."""
    yield from (part for part in re.split(r"\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+", text) if part)
