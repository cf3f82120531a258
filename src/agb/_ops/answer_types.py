"""Classes that describe an answer in JSON: their JSON Schema, and the object that an answer makes of them.

Understood are pydantic models, attrs classes, dataclasses and ``TypedDict``, nested as they like, with fields of the
types of JSON, lists, tuples, sets, dicts, unions, ``Literal``, enumerations, dates, times and decimals. A JSON Schema
as a dict stays what it is (`answer_schemas`). pydantic is not imported: its models know the rest themselves.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs

from .._wire.shape import kind_of_json
from .answer_schemas import BadAnswer, check, check_schema

_SCALARS: Mapping[type, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string", "format": "time"},
    Decimal: {"type": "number"},
}
_LISTS = (list, tuple, set, frozenset)
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


def schema_of(schema: Any) -> dict[str, Any]:
    """Return the JSON Schema of a class, or a schema that is one already.

    Raises:
        TypeError: it is neither, or a field has a type that cannot be in JSON.
        ValueError: a JSON Schema makes no sense.
    """
    if isinstance(schema, Mapping):
        return check_schema(schema)
    if _is_pydantic(schema):
        made: dict[str, Any] = schema.model_json_schema()
        return made
    if not _has_fields(schema):
        raise TypeError(
            "schema must be a pydantic model, an attrs class, a dataclass, a TypedDict, or a JSON Schema as a dict, "
            f"not {schema!r}"
        )
    definitions: dict[str, dict[str, Any]] = {}
    reference = _schema(schema, definitions, schema.__name__)
    name = reference["$ref"].rpartition("/")[2]
    # What is not referred to by itself stands at the top; the others are its definitions.
    refers_to_itself = f"'{reference['$ref']}'" in repr(definitions)
    top = definitions[name] if refers_to_itself else definitions.pop(name)
    return {**top, "$defs": definitions} if definitions else top


def read_answer(schema: Any, value: Any) -> Any:
    """Return an answer as an object of the class, or as it is if there is a JSON Schema only.

    Raises:
        BadAnswer: it is not what the schema says; the message names the field.
    """
    if isinstance(schema, Mapping):
        check(schema, value)
        return value
    return _read(schema, value, "")


def _is_pydantic(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate")


def _has_fields(kind: Any) -> bool:
    return isinstance(kind, type) and (attrs.has(kind) or dataclasses.is_dataclass(kind) or typing.is_typeddict(kind))


# --- fields of classes -----------------------------------------------------------------------------------------------


@attrs.frozen
class _Field:
    """A field: the name in JSON, the name of the argument that sets it, its type, and what is known about it."""

    name: str
    argument: str
    kind: Any
    is_required: bool
    description: str


def _fields(cls: Any) -> list[_Field]:
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"the annotations of {cls.__qualname__} cannot be resolved ({error}); define the classes at the top level "
            "of a module"
        ) from error
    if typing.is_typeddict(cls):
        return [
            _Field(name, name, kind, _is_required(cls, name, kind), _described(kind)) for name, kind in hints.items()
        ]
    found: list[_Field] = []
    listed: Iterable[Any] = attrs.fields(cls) if attrs.has(cls) else dataclasses.fields(cls)
    for one in listed:
        if not one.init:
            continue
        is_attrs = isinstance(one, attrs.Attribute)
        has_default = one.default is not (attrs.NOTHING if is_attrs else dataclasses.MISSING)
        has_default = has_default or (not is_attrs and one.default_factory is not dataclasses.MISSING)
        argument = (one.alias or one.name) if is_attrs else one.name
        kind = hints.get(one.name, Any)
        described = str(one.metadata.get("description", "")) or _described(kind)
        found.append(_Field(argument, argument, kind, not has_default, described))
    return found


def _is_required(cls: Any, name: str, kind: Any) -> bool:
    """Return whether a key is required; the class itself does not know where its annotations are texts."""
    if get_origin(kind) in (typing.Required, typing.NotRequired):
        return get_origin(kind) is typing.Required
    return name in cls.__required_keys__


def _described(kind: Any) -> str:
    """Return the text in ``Annotated[str, "text"]``."""
    if get_origin(kind) is not Annotated:
        return ""
    return next((one for one in get_args(kind)[1:] if isinstance(one, str)), "")


def _plain(kind: Any) -> Any:
    """Return a type without what only says something about a field of it."""
    while get_origin(kind) in (Annotated, typing.Required, typing.NotRequired) or hasattr(kind, "__supertype__"):
        kind = kind.__supertype__ if hasattr(kind, "__supertype__") else get_args(kind)[0]
    return kind


# --- schemas -------------------------------------------------------------------------------------------------------


def _schema(kind: Any, definitions: dict[str, dict[str, Any]], place: str) -> dict[str, Any]:
    kind = _plain(kind)
    if kind is Any or kind is object:
        return {}
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    if _is_pydantic(kind):
        return _nested_pydantic(kind, definitions)
    if _has_fields(kind):
        return _object(kind, definitions)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return {"enum": list(arguments)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [one.value for one in kind]}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(one, definitions, place) for one in arguments]}
    if origin in _LISTS or origin is Sequence:
        return {"type": "array", "items": _schema(_item(arguments), definitions, f"{place}[]")}
    if origin in (dict, Mapping):
        values = _schema(arguments[1], definitions, f"{place}[...]") if arguments else {}
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    raise TypeError(f"{place} has the type {kind!r}, which no JSON value has")


def _item(arguments: tuple[Any, ...]) -> Any:
    kinds = [one for one in arguments if one is not ...]
    return Union[tuple(kinds)] if kinds else Any  # noqa: UP007 - made at run time


def _object(cls: Any, definitions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    name = cls.__name__
    if name not in definitions:
        definitions[name] = made = {"title": name, "type": "object"}
        fields = _fields(cls)
        made["properties"] = {
            one.name: {
                **_schema(one.kind, definitions, f"{name}.{one.name}"),
                **({"description": one.description} if one.description else {}),
            }
            for one in fields
        }
        made["required"] = [one.name for one in fields if one.is_required]
    return {"$ref": f"#/$defs/{name}"}


def _nested_pydantic(kind: Any, definitions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    made = dict(kind.model_json_schema())
    definitions.update(made.pop("$defs", {}))
    definitions[kind.__name__] = made
    return {"$ref": f"#/$defs/{kind.__name__}"}


# --- answers -------------------------------------------------------------------------------------------------------


def _read(kind: Any, value: Any, place: str) -> Any:
    kind = _plain(kind)
    if kind is Any or kind is object:
        return value
    if kind in _SCALARS:
        return _scalar(kind, value, place)
    if _is_pydantic(kind):
        return _validated(kind, value, place)
    if _has_fields(kind):
        return _instance(kind, value, place)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        if not any(value == one and type(value) is type(one) for one in arguments):
            raise BadAnswer(place, f"is {value!r}, not one of {', '.join(map(repr, arguments))}")
        return value
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            raise BadAnswer(place, f"is {value!r}, not one of {', '.join(repr(one.value) for one in kind)}") from None
    if origin in (Union, types.UnionType):
        return _any_of(arguments, value, place)
    if origin in _LISTS or origin is Sequence:
        if not isinstance(value, list):
            raise BadAnswer(place, f"is {kind_of_json(value)}, not a list")
        item = _item(arguments)
        items = [_read(item, one, f"{place}[{number}]") for number, one in enumerate(value)]
        return origin(items) if origin in (tuple, set, frozenset) else items
    if not isinstance(value, dict):
        raise BadAnswer(place, f"is {kind_of_json(value)}, not an object")
    values = arguments[1] if arguments else Any
    return {key: _read(values, one, f"{place}[{key!r}]") for key, one in value.items()}


def _scalar(kind: Any, value: Any, place: str) -> Any:
    if kind in _PARSED:
        try:
            return _PARSED[kind](value)
        except (TypeError, ValueError, InvalidOperation):
            raise BadAnswer(place, f"is {value!r}, which is no {kind.__name__}") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadAnswer(place, f"is {kind_of_json(value)}, not {_NAMES[kind]}")
    return value


_PARSED: Mapping[type, Callable[[Any], Any]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    Decimal: lambda value: Decimal(str(value)),
}


def _any_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    failures = []
    for kind in (one for one in kinds if one is not type(None)):
        try:
            return _read(kind, value, place)
        except BadAnswer as error:
            failures.append(error)
    raise failures[0]


def _instance(cls: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise BadAnswer(place, f"is {kind_of_json(value)}, not an object")
    arguments = {}
    for one in _fields(cls):
        inside = f"{place}.{one.name}" if place else one.name
        if one.name in value:
            arguments[one.argument] = _read(one.kind, value[one.name], inside)
        elif one.is_required:
            raise BadAnswer(inside, "is missing")
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:  # of a validator of the class
        raise BadAnswer(place, f"makes no {cls.__name__}: {error}") from error


def _validated(model: Any, value: Any, place: str) -> Any:
    try:
        return model.model_validate(value)
    except ValueError as error:
        listed: Callable[[], list[dict[str, Any]]] | None = getattr(error, "errors", None)
        if listed is None:
            raise BadAnswer(place, f"makes no {model.__name__}: {error}") from error
        first = listed()[0]
        path = place
        for part in first["loc"]:
            path = f"{path}[{part}]" if isinstance(part, int) else f"{path}.{part}" if path else str(part)
        raise BadAnswer(path, f"is not valid: {first['msg']}") from error
