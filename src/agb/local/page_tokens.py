"""Tokens of pages: where the next page of a list begins, also when items were added or removed since."""

from __future__ import annotations

import base64
import binascii

from .errors import invalid


def token_after(number: int) -> str:
    """Return the token of the page that begins after the item of that number."""
    return base64.urlsafe_b64encode(f"after {number}".encode()).decode()


def number_before(token: str) -> int:
    """Return the number after which a page begins; raise `Refused` for an invalid token."""
    try:
        word, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
    except (binascii.Error, UnicodeError):
        word, number = "", ""
    if word != "after" or not (number.isascii() and number.isdigit()) or len(number) > 15:
        raise invalid("nextToken is not one of an earlier page")
    return int(number)
