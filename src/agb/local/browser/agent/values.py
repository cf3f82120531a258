"""Values in texts: numbers, prices, dates, addresses, and the conversion of text to what a schema asks for."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urljoin

from .schema import Wanted
from .snapshot import Node

MISSING: Final = object()
"""No value."""

_NUMBER: Final = re.compile(
    r"(?<![\w.,])[-\u2212]?\d{1,3}(?:[ ,.'\u2019\u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|[-\u2212]?\d+(?:[.,]\d+)?"
)
PRICE: Final = re.compile(
    r"(?:[$€£¥₹₽]|\b(?:US\$|USD|EUR|GBP|CHF|JPY|CNY|Rs\.?))\s?\d[\d.,'\u2019\u00a0 ]*\d|"
    r"(?:[$€£¥₹₽]|\b(?:USD|EUR|GBP|CHF|JPY|CNY))\s?\d|"
    r"\d[\d.,'\u2019\u00a0]*\s?(?:[€£¥₹₽]|\b(?:USD|EUR|GBP|CHF|JPY|CNY|kr|zł)\b)"
)
EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
PHONE: Final = re.compile(r"(?<![\w-])(?!\d{4}-\d\d-\d\d)\+?\(?\d[\d() /.-]{6,}\d(?!\w)")
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
DATE: Final = re.compile(
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}(?:[T ]\d{{2}}:\d{{2}}\S*)?|\b\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}\b"
    rf"|\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b|\b\d{{1,2}}\.? {_MONTH} \d{{4}}\b",
    re.IGNORECASE,
)
RATING: Final = re.compile(r"(\d(?:[.,]\d+)?)\s*(?:/|out of|of|stars?\b)", re.IGNORECASE)

_YES: Final = frozenset({"yes", "true", "on", "checked", "enabled", "available", "in stock", "y", "✓", "✔", "active"})
_NO: Final = frozenset(
    {
        "no",
        "false",
        "off",
        "unchecked",
        "disabled",
        "unavailable",
        "out of stock",
        "sold out",
        "n",
        "✗",
        "✘",
        "inactive",
    }
)


def number_in(text: str) -> float | None:
    """Return the first number in a text; ``1,299.00`` and ``1.299,00`` are the same."""
    found = _NUMBER.search(text)
    if found is None:
        return None
    digits = re.sub("[ '\u2019\u00a0\u202f]", "", found[0]).replace("\u2212", "-")
    comma, point = digits.rfind(","), digits.rfind(".")
    if comma >= 0 and point >= 0:
        thousands = "," if comma < point else "."
        digits = digits.replace(thousands, "").replace(",", ".")
    elif comma >= 0 or point >= 0:
        mark = "," if comma >= 0 else "."
        is_thousands = digits.count(mark) > 1 or (mark == "," and len(digits) - digits.rfind(mark) == 4)
        digits = digits.replace(mark, "" if is_thousands else ".")
    return float(digits)


def truth_in(text: str) -> bool | None:
    """Return what a text says: yes or no, true or false, in stock or not."""
    plain = " ".join(text.casefold().split()).strip(" .!")
    if plain in _YES or plain in _NO:
        return plain in _YES
    for words, truth in ((_NO, False), (_YES, True)):
        if any(re.search(rf"\b{re.escape(word)}\b", plain) for word in words if len(word) > 5):
            return truth
    return None


def converted(text: str, wanted: Wanted, node: Node | None = None, base: str = "") -> Any:
    """Return a text, or what it stands in, as what is asked for; `MISSING` if it is none."""
    text = " ".join(text.split())
    if wanted.choices:
        return next((one for one in wanted.choices if str(one).casefold() == text.casefold()), None) or next(
            (one for one in wanted.choices if str(one).casefold() in text.casefold()), MISSING
        )
    match wanted.kind:
        case "number" | "integer":
            number = number_in(text)
            if number is None or (wanted.kind == "integer" and not number.is_integer()):
                return MISSING
            return int(number) if wanted.kind == "integer" or number.is_integer() else number
        case "boolean":
            checked = None if node is None else node.states.get("checked")
            truth = truth_in(text) if checked is None else str(checked) == "true"
            return MISSING if truth is None else truth
        case "string" if wanted.form in ("uri", "url", "iri", "uri-reference"):
            address = "" if node is None else address_in(node)
            return absolute(address, base) or (text if re.match(r"\w+://", text) else MISSING)
        case "string" | "any":
            return text or MISSING
        case _:
            return MISSING


def address_in(node: Node) -> str:
    """Return where an element, or the first link in it, or the link that it is in, leads to."""
    for one in (*node.walk(), *node.ancestors()):
        if one.tag == "a" and one.attributes.get("href"):
            return one.attributes["href"]
    return ""


def absolute(address: str, base: str) -> str:
    """Return the whole of an address that stands in a page."""
    return urljoin(base, address.strip()) if address else ""
