"""Arguments of tools: one attrs class per tool, from which both its JSON Schema and its validation come."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

T = TypeVar("T")

_NAMES = {str: "string", int: "integer", bool: "boolean"}


class BadArgument(Exception):  # noqa: N818 - says what happened
    """An argument is missing or makes no sense; the message names it and says what was expected."""


def argument(
    description: str, *, default: Any = attrs.NOTHING, minimum: int | None = None, maximum: int | None = None
) -> Any:
    """Return an attrs field for one argument."""
    metadata = {"description": description, "minimum": minimum, "maximum": maximum}
    return attrs.field(default=default, metadata=metadata)


def schema(arguments: type[attrs.AttrsInstance]) -> dict[str, Any]:
    """Return the JSON Schema of a class of arguments."""
    types_of = get_type_hints(arguments)
    fields = attrs.fields(arguments)
    properties = {field.name: _property(field, types_of[field.name]) for field in fields}
    return {
        "type": "object",
        "properties": properties,
        "required": [field.name for field in fields if field.default is attrs.NOTHING],
    }


def _property(field: attrs.Attribute[Any], kind: Any) -> dict[str, Any]:
    kind = _without_none(kind)
    described: dict[str, Any] = {"type": _name(kind), "description": field.metadata["description"]}
    if get_origin(kind) is dict:
        described["additionalProperties"] = {"type": "string"}
    for bound in ("minimum", "maximum"):
        if field.metadata[bound] is not None:
            described[bound] = field.metadata[bound]
    if field.default is not attrs.NOTHING and field.default is not None:
        described["default"] = field.default
    return described


def read(arguments: type[T], given: Mapping[str, Any]) -> T:
    """Return an instance made of the arguments given; unknown ones are ignored. Raises ``BadArgument``."""
    types_of = get_type_hints(arguments)
    values: dict[str, Any] = {}
    for field in attrs.fields(arguments):  # type: ignore[arg-type]  # every class of arguments is an attrs class
        value = given.get(field.name)
        if value is None:  # an explicit null is an absent argument
            if field.default is attrs.NOTHING:
                raise BadArgument(f"argument {field.name!r} is missing; expected {_expected(types_of[field.name])}")
            continue
        values[field.name] = _checked(field, _without_none(types_of[field.name]), value)
    return arguments(**values)


def _checked(field: attrs.Attribute[Any], kind: Any, value: Any) -> Any:
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has only one kind of number
    if not _fits(kind, value):
        raise BadArgument(f"argument {field.name!r}: expected {_expected(kind)}, got {_describe(value)}")
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise BadArgument(f"argument {field.name!r}: expected {minimum} to {maximum}, got {value}")
    for text in (value, *value, *value.values()) if isinstance(value, dict) else (value,):
        if isinstance(text, str):
            _check_text(field.name, text)
    return value


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
    return type(value) is kind


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadArgument(f"argument {name!r}: the text has half of a surrogate pair, which is no character") from None
    if "\0" in text:
        raise BadArgument(f"argument {name!r}: the text has a null character")


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def _name(kind: Any) -> str:
    return "object" if get_origin(kind) is dict else _NAMES[kind]


def _expected(kind: Any) -> str:
    kind = _without_none(kind)
    if get_origin(kind) is dict:
        return "an object of strings"
    return {"string": "a string", "integer": "a whole number", "boolean": "true or false"}[_name(kind)]


def _describe(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case int() | float():
            return f"the number {str(value)[:40]}"
        case list():
            return "a list"
        case dict():
            return "an object with something else in it than strings"
    return type(value).__name__
