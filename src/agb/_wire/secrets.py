"""Secrets: which values are secret, and how they are masked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "****"
_WORDS = r"auth|token|ticket|secret|password|passwd|pwd|api[_-]?key|private[_-]?key|signature"
_SECRET = re.compile(_WORDS, re.IGNORECASE)
_IN_URL = re.compile(rf"((?:[\w.-]*(?:{_WORDS}|code|key|sign)[\w.-]*)=)[^&#\s]+", re.IGNORECASE)
_USER = re.compile(r"(://)[^/@\s]+@")
_LINK = re.compile(r"(/link/[^/\s]+/\d+/)[^/\s?#]+")


def masked(value: Any) -> Any:
    """Return a copy of ``value`` in which secrets are replaced: by the keys of objects, and inside URLs."""
    if isinstance(value, Mapping):
        return {
            key: MASK if item and isinstance(key, str) and _SECRET.search(key) else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, str) and "://" in value:
        for place, shown in ((_USER, rf"\1{MASK}@"), (_LINK, rf"\1{MASK}"), (_IN_URL, rf"\1{MASK}")):
            value = place.sub(shown, value)
    return value


def masked_repr(value: Any) -> str:
    """Return a bounded `repr` of ``value`` with its secrets masked."""
    from .display import short  # not needed by a call

    return short(masked(value))
