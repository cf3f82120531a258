"""Answers checked against a JSON Schema.

Checked are ``type``, ``properties``, ``required``, ``additionalProperties``, ``items``, ``enum``, ``const``, ``anyOf``,
``oneOf``, ``allOf`` and ``$ref`` within the schema; other keywords describe more than is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._wire.shape import kind_of_json

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_NAMES = {"object": "an object", "array": "a list", "string": "a text", "number": "a number", "null": "null"}
_NAMES |= {"integer": "a whole number", "boolean": "true or false"}


class BadAnswer(ValueError):
    """An answer is not what its schema says; ``place`` is the field, such as ``products[0].price``."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place or 'the answer'} {why}")
        self.place = place


def check_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a JSON Schema.

    Raises:
        TypeError: JSON cannot represent it.
        ValueError: it is empty, or names a type that JSON does not have.
    """
    try:
        copied: dict[str, Any] = json.loads(json.dumps(dict(schema)))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"the schema cannot be written as JSON: {error}") from error
    if not copied:
        raise ValueError("the schema is empty: it says nothing about what is wanted")
    kinds = copied.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES:
            raise ValueError(f"the schema has the type {kind!r}, and JSON has {', '.join(_TYPES)}")
    return copied


def check(schema: Mapping[str, Any], value: Any) -> None:
    """Raise `BadAnswer` unless a value is what a JSON Schema says."""
    _check(schema, value, "", schema)


def _check(schema: Any, value: Any, place: str, root: Mapping[str, Any]) -> None:
    if not isinstance(schema, Mapping):
        if schema is False:
            raise BadAnswer(place, "is not allowed")
        return
    if "$ref" in schema:
        _check(_referred(str(schema["$ref"]), root), value, place, root)
    for one in schema.get("allOf", ()):
        _check(one, value, place, root)
    for alternatives in (schema[name] for name in ("anyOf", "oneOf") if schema.get(name)):
        _check_any(alternatives, value, place, root)
    if "const" in schema and value != schema["const"]:
        raise BadAnswer(place, f"is {value!r}, not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        raise BadAnswer(place, f"is {value!r}, not one of {', '.join(map(repr, schema['enum']))}")
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if kinds and not any(_is_of(kind, value) for kind in kinds):
        raise BadAnswer(
            place, f"is {kind_of_json(value)}, not {' or '.join(_NAMES.get(str(one), str(one)) for one in kinds)}"
        )
    if isinstance(value, dict):
        _check_object(schema, value, place, root)
    elif isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            _check(schema["items"], item, f"{place}[{number}]", root)


def _check_any(alternatives: Any, value: Any, place: str, root: Mapping[str, Any]) -> None:
    failures = []
    for one in alternatives:
        try:
            _check(one, value, place, root)
        except BadAnswer as error:
            failures.append(error)
        else:
            return
    # The failure that is deepest in the value is that of the alternative which was meant.
    raise max(failures, key=lambda error: len(error.place))


def _check_object(schema: Mapping[str, Any], value: Mapping[str, Any], place: str, root: Mapping[str, Any]) -> None:
    def inside(name: str) -> str:
        return f"{place}.{name}" if place else name

    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            raise BadAnswer(inside(name), "is missing")
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        _check(properties.get(name, others), item, inside(name), root)


def _is_of(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))


def _referred(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if reference != "#" else []:
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    if not reference.startswith("#") or found is None:
        raise BadAnswer("", f"cannot be checked: the schema refers to {reference!r}, which is not in it")
    return found
