"""Reading JSON into structures: errors that name the field, and numbers of one kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..validation import refuse

_PATTERNS = {
    r"^[^\x00]*$": "a text without null characters",
    r"^[^\x00-\x1f\x7f]*$": "one line without control characters",
    r"^[\x20-\x7e]*$": "one line of ASCII characters",
    r"^[A-Za-z0-9-]{1,35}$": "a language such as en-US",
}
TEXT, LINE, HEADER, LANGUAGE = _PATTERNS

MOST_PIXELS = 7680 * 4320

Text = Annotated[str, Meta(pattern=TEXT)]
Line = Annotated[str, Meta(pattern=LINE, max_length=2048)]
Header = Annotated[str, Meta(pattern=HEADER, max_length=2048)]
"""A text that can be a header's value."""
Language = Annotated[str, Meta(pattern=LANGUAGE)]


def whole_numbers(value: Any) -> Any:
    """Return a JSON value in which 5.0 is 5: JSON has one kind of number."""
    if isinstance(value, Mapping):
        return {key: whole_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [whole_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_area(width: float, height: float, what: str) -> None:
    """Raise ``Refused`` for more pixels than a browser can paint without a graphics card."""
    if width * height > MOST_PIXELS:
        refuse(f"{what} has {width:g} x {height:g} pixels; there are at most {MOST_PIXELS}, as of 7680 x 4320")


def described(error: msgspec.ValidationError, what: str) -> str:
    """Return what is wrong with a value, beginning with the name of the field, such as ``option.viewport.width``."""
    expected, _, place = str(error).partition(" - at `$")
    expected = expected.replace("`", "")
    for pattern, words in _PATTERNS.items():
        expected = expected.replace(f"str matching regex {pattern!r}", words)
    return f"{what}{place.rstrip('`')}: {expected[:1].lower()}{expected[1:]}"
