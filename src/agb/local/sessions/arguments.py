"""Arguments of tools: one attrs class per tool, from which both its JSON Schema and its validation come."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

T = TypeVar("T")

_NAMES = {str: "string", int: "integer", bool: "boolean"}


class BadArgument(Exception):  # noqa: N818 - says what happened
    """An argument is missing or makes no sense; the message names it and says what was expected."""


def argument(
    description: str,
    *,
    default: Any = attrs.NOTHING,
    minimum: int | None = None,
    maximum: int | None = None,
    choices: tuple[str, ...] = (),
    content: bool = False,
) -> Any:
    """Return an attrs field for one argument.

    ``choices`` are the texts it may be; ``content`` lets a text have null characters, as that of a file may.
    """
    metadata = {
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "content": content,
    }
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
    if (item := _item(kind)) is not None:
        described["items"] = schema(item) if attrs.has(item) else {"type": _name(item)}
    if field.metadata["choices"]:
        described["enum"] = list(field.metadata["choices"])
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
    item = _item(kind)
    if item is not None and attrs.has(item) and isinstance(value, list):
        return [_read_item(field.name, number, item, given) for number, given in enumerate(value, 1)]
    if not _fits(kind, value):
        raise BadArgument(f"argument {field.name!r}: expected {_expected(kind)}, got {_describe(value)}")
    if (choices := field.metadata["choices"]) and value not in choices:
        raise BadArgument(f"argument {field.name!r}: expected one of {', '.join(choices)}, got {str(value)[:40]!r}")
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise BadArgument(f"argument {field.name!r}: expected {minimum} to {maximum}, got {value}")
    for text in _texts(value):
        _check_text(field.name, text, content=field.metadata["content"])
    return value


def _read_item(name: str, number: int, kind: Any, given: Any) -> Any:
    if not isinstance(given, dict):
        raise BadArgument(f"argument {name!r}: expected an object as item {number}, got {_describe(given)}")
    try:
        return read(kind, given)
    except BadArgument as error:
        raise BadArgument(f"argument {name!r}, item {number}: {error}") from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str):
        yield value


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
    if (item := _item(kind)) is not None:
        return isinstance(value, list) and all(_fits(item, part) for part in value)
    return type(value) is kind


def _item(kind: Any) -> Any:
    """Return what a list is a list of; None for what is no list."""
    return get_args(kind)[0] if get_origin(kind) is list else None


def _check_text(name: str, text: str, *, content: bool) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadArgument(f"argument {name!r}: the text has half of a surrogate pair, which is no character") from None
    if "\0" in text and not content:
        raise BadArgument(f"argument {name!r}: the text has a null character")


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def _name(kind: Any) -> str:
    if get_origin(kind) is list:
        return "array"
    return "object" if get_origin(kind) is dict else _NAMES[kind]


def _expected(kind: Any) -> str:
    kind = _without_none(kind)
    if get_origin(kind) is dict:
        return "an object of strings"
    if (item := _item(kind)) is not None:
        return "a list of objects" if attrs.has(item) else "a list of strings"
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
            return "a list" if all(isinstance(item, str) for item in value) else "a list with something else in it"
        case dict():
            return "an object with something else in it than strings"
    return type(value).__name__
