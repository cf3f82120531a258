"""Tokens of pages: where the next page of a list begins, also when items were added or removed since."""

from __future__ import annotations

import base64
import binascii

from .errors import Refused, invalid


def token_after(item: int | str) -> str:
    """Return the token of the page that begins after an item: its number, or its path in a list sorted by path."""
    word = "after" if isinstance(item, int) else "path"
    return base64.urlsafe_b64encode(f"{word} {item}".encode()).decode()


def number_before(token: str) -> int:
    """Return the number after which a page begins; raise `Refused` for an invalid token."""
    number = _item(token, "after")
    if not (number.isascii() and number.isdigit()) or len(number) > 15:
        raise _not_one()
    return int(number)


def path_before(token: str) -> str:
    """Return the path after which a page begins; raise `Refused` for an invalid token."""
    return _item(token, "path")


def _item(token: str, expected: str) -> str:
    try:
        word, _, item = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
    except (binascii.Error, UnicodeError):
        raise _not_one() from None
    if word != expected:
        raise _not_one()
    return item


def _not_one() -> Refused:
    return invalid("nextToken is not one of an earlier page")
