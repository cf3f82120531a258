"""Arguments of tools: one structure per tool, from which msgspec makes both the JSON Schema and the validation."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta


class Arguments(msgspec.Struct, frozen=True):
    """Base of the arguments of a tool.

    ``paths_of_files`` names those that are paths of files: bytes that are not UTF-8 are surrogates in them, as of
    `os.fsdecode`.
    """

    paths_of_files: ClassVar[frozenset[str]] = frozenset()


A = TypeVar("A", bound=Arguments)

Text = Annotated[str, Meta(pattern=r"^[^\0]*$")]
"""A text without null characters, as the system's calls take it."""


class BadArgument(Exception):
    """An argument is missing or makes no sense; the message names it and says what was expected."""


@functools.cache
def schema(arguments: type[Arguments]) -> Mapping[str, Any]:
    """Return the JSON Schema of a structure of arguments. Cached: every new session is sent the list of its tools."""
    _, components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    described: Mapping[str, Any] = components.pop(arguments.__name__)
    return {**described, "$defs": components} if components else described


def read(arguments: type[A], given: Mapping[str, Any]) -> A:
    """Return an instance made of the arguments given; unknown ones are ignored. Raises ``BadArgument``.

    JSON has one kind of number, so ``5.0`` is a whole number. An explicit null is an absent argument.
    """
    names = arguments.__struct_encode_fields__
    values = {name: _whole(given[name]) for name in names if given.get(name) is not None}
    try:
        msgspec.json.encode({name: _shown(value, name in arguments.paths_of_files) for name, value in values.items()})
        return msgspec.convert(values, arguments)
    except UnicodeEncodeError:
        raise BadArgument("the arguments contain half of a surrogate pair, which is no character") from None
    except RecursionError:
        raise BadArgument("the arguments are nested too deeply") from None
    except msgspec.ValidationError as error:
        raise BadArgument(f"invalid arguments: {error}") from None


def _shown(value: Any, is_path: bool) -> Any:
    """Return a value in which a path has no bytes that are not UTF-8, so that it can be checked."""
    if is_path and isinstance(value, list):
        return [_shown(one, is_path) for one in value]
    return re.sub("[\udc80-\udcff]", "\ufffd", value) if is_path and isinstance(value, str) else value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
