"""Examples of answers: for each shape of the protocol, a small value that has it."""

from __future__ import annotations

import json
from typing import Any

from .._wire.shape import Array, JsonText, Object, Shape, ShapeError, Table

_SIMPLE: tuple[Any, ...] = ("", "example", 1, 1.0, True, [], {}, None)
"""Tried one after the other, where a shape is none of the composed ones."""


def example_of(shape: Shape) -> Any:
    """Return a value that a shape accepts: fields that may be absent are, arrays are empty.

    Raises:
        ValueError: it accepts none of the values that are known here.
    """
    if isinstance(shape, Object):
        return {name: example_of(one.shape) for name, one in shape.fields.items() if one.is_needed}
    if isinstance(shape, Array):
        return []
    if isinstance(shape, Table):
        return {}
    if isinstance(shape, JsonText):
        return json.dumps(example_of(shape.shape))
    for value in _SIMPLE:
        try:
            shape.read(value, "")
        except ShapeError:
            continue
        return value
    raise ValueError(f"no example is known of the shape {shape!r}")
