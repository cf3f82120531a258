"""Validation of the values of a request, and the texts of refusals. Knows no HTTP.

The arguments of tools are msgspec's. Here its errors would say too little: it reports half of a surrogate pair as input
that is cut, it does not name the key of a label, and it cannot say whether a parameter belongs into query or body.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from .errors import invalid

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


ARGUMENTS = "args"
"""The member of a request that has the arguments of a tool; their own validation decides which text they may have."""


def json_value(text: str | bytes, what: str) -> Any:
    """Return the value of a JSON text; raise `Refused` for anything that is not JSON or cannot be sent on."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        value = json.loads(raw, parse_constant=_no_constant)
        if _SURROGATE.search(raw):
            _check_halves(value, may_be_bytes=what == ARGUMENTS)
    except UnicodeEncodeError:
        refuse(f"{what} contains half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    except UnicodeDecodeError:
        refuse(f"{what} is not UTF-8")
    except RecursionError:
        refuse(f"{what} is nested too deeply")
    except ValueError as error:
        refuse(f"{what} is not valid JSON: {error}")
    return value


def _check_halves(value: Any, *, may_be_bytes: bool) -> None:
    """Raise ``UnicodeEncodeError`` for half of a surrogate pair; in arguments it may stand for a byte of a path."""
    if isinstance(value, dict) and ARGUMENTS in value:
        _check_halves(value[ARGUMENTS], may_be_bytes=True)
        value = {name: one for name, one in value.items() if name != ARGUMENTS}
    json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape" if may_be_bytes else "strict")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def json_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Return the object of a JSON text, ``{}`` for an empty text; raise `Refused` for anything else."""
    value = json_value(text, what) if text.strip() else {}
    return value if isinstance(value, dict) else refuse(f"{what} must be a JSON object, not {kind_of(value)}")


def object_or_json(value: Any, what: str) -> dict[str, Any]:
    """Return an object that may come as JSON inside a string; nothing at all is the empty object."""
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    return json_object(value, what) if isinstance(value, str) else refuse(f"{what} must be a JSON object")


def labels(value: Any, what: str) -> dict[str, str]:
    """Return labels, which come as JSON inside a string; raise `Refused` unless they map strings to strings."""
    found = object_or_json(value, what)
    if "" in found:
        refuse(f"{what} must not have an empty key")
    for key, label in found.items():
        if not isinstance(label, str):
            refuse(f"{what} must map strings to strings; the value of {shown(key)} is {kind_of(label)}")
    return found


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value, in words."""
    names: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def shown(text: str, limit: int = 60) -> str:
    """Return a text for use in a message: quoted, escaped and cut."""
    return ascii(text if len(text) <= limit else text[:limit] + "...")


def refuse(why: str) -> NoReturn:
    """Raise the refusal of a request that makes no sense."""
    raise invalid(why)
