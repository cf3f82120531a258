"""Shapes: what a valid answer contains, declared once for each operation and tool, and checked in one place.

A shape reads a value of JSON and returns it in one form: JSON inside a string is parsed, names that are spelled in
several ways have their first spelling, and fields that are absent or null are left out. A value that does not have
the shape raises `ShapeError`, so a wrong type is never read as an empty value.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Callable, Mapping
from typing import Any


class ShapeError(ValueError):
    """A value does not have the promised shape; the message names the place and what is there."""


class Shape(abc.ABC):
    """What a value must be.

    The classes are plain ones: each program that makes a call loads them, and attrs would take longer to make them
    than a call takes.
    """

    __slots__ = ()

    @abc.abstractmethod
    def read(self, value: Any, place: str) -> Any:
        """Return the value in one form; raise `ShapeError` unless it has this shape."""


class Scalar(Shape):
    """A value of one of some types; a boolean is no number. With ``is_filled`` an empty text does not count."""

    __slots__ = ("is_filled", "name", "types")

    def __init__(self, name: str, types: tuple[type, ...], is_filled: bool = False) -> None:
        self.name = name
        self.types = types
        self.is_filled = is_filled

    def read(self, value: Any, place: str) -> Any:
        """Return the value as it is."""
        if not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types):
            raise ShapeError(f"{place} is {kind_of_json(value)}, not {self.name}")
        if self.is_filled and not value:
            raise ShapeError(f"{place} is empty")
        return value


class Anything(Shape):
    """Any value."""

    __slots__ = ()

    def read(self, value: Any, place: str) -> Any:  # noqa: ARG002 - as every shape
        """Return the value as it is."""
        return value


class Array(Shape):
    """An array of values of one shape."""

    __slots__ = ("item",)

    def __init__(self, item: Shape) -> None:
        self.item = item

    def read(self, value: Any, place: str) -> list[Any]:
        """Return the values."""
        if not isinstance(value, list):
            raise ShapeError(f"{place} is {kind_of_json(value)}, not an array")
        return [self.item.read(item, f"{place}[{number}]") for number, item in enumerate(value)]


class Table(Shape):
    """An object with any names and values of one shape."""

    __slots__ = ("item",)

    def __init__(self, item: Shape) -> None:
        self.item = item

    def read(self, value: Any, place: str) -> dict[str, Any]:
        """Return the values by their names."""
        if not isinstance(value, dict):
            raise ShapeError(f"{place} is {kind_of_json(value)}, not an object")
        return {name: self.item.read(item, f"{place}[{name[:50]!r}]") for name, item in value.items()}


class Field:
    """A field of an object: its shape, its other spellings, and whether it must be there."""

    __slots__ = ("is_needed", "shape", "spellings")

    def __init__(self, shape: Shape, spellings: tuple[str, ...], *, is_needed: bool) -> None:
        self.shape = shape
        self.spellings = spellings
        self.is_needed = is_needed


def needed(shape: Shape, *spellings: str) -> Field:
    """Return a field that must be there, and not be null."""
    return Field(shape, spellings, is_needed=True)


def maybe(shape: Shape, *spellings: str) -> Field:
    """Return a field that may be absent or null."""
    return Field(shape, spellings, is_needed=False)


class Object(Shape):
    """An object with these fields; a service may add others, which are ignored."""

    __slots__ = ("fields",)

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = fields

    def read(self, value: Any, place: str) -> dict[str, Any]:
        """Return the fields that are there, by their first spelling."""
        if not isinstance(value, dict):
            raise ShapeError(f"{place} is {kind_of_json(value)}, not an object")
        found: dict[str, Any] = {}
        before = f"{place}." if place else ""
        for name, field in self.fields.items():
            item = value.get(name)
            if item is None and field.spellings:
                item = next((value[other] for other in field.spellings if value.get(other) is not None), None)
            if item is not None:
                found[name] = field.shape.read(item, f"{before}{name}")
            elif field.is_needed:
                raise ShapeError(f"it has no {before}{name}")
        return found


class JsonText(Shape):
    """JSON inside a string, or the value itself.

    If ``empty`` is given, an empty string, and null in a string, are read as what it makes.
    """

    __slots__ = ("empty", "shape")

    def __init__(self, shape: Shape, empty: Callable[[], Any] | None = None) -> None:
        self.shape = shape
        self.empty = empty

    def read(self, value: Any, place: str) -> Any:
        """Return the value inside."""
        if isinstance(value, str):
            if self.empty is not None and not value.strip():
                return self.empty()
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise ShapeError(f"{place} is not JSON") from error
            if value is None and self.empty is not None:
                return self.empty()
        return self.shape.read(value, place)


TEXT = Scalar("a string", (str,))
NAME = Scalar("a string", (str,), is_filled=True)
"""A text that is not empty."""
WHOLE = Scalar("a whole number", (int,))
NUMBER = Scalar("a number", (int, float))
FLAG = Scalar("true or false", (bool,))
ANYTHING = Anything()
OBJECT = Table(ANYTHING)


def kind_of_json(value: Any) -> str:
    """Return what a value of JSON is, in words."""
    names: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
