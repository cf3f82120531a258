"""Arguments of tools: one class gives the schema and the validation, and nothing a client sends makes it fall over."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb.local.sessions.arguments import BadArgument, argument, read, schema
from agb.local.sessions.tools import to_json


@attrs.frozen
class Arguments:
    text: str = argument("A text.")
    number: int = argument("A number.", default=5, minimum=1, maximum=10)
    flag: bool = argument("Yes or no.", default=False)
    words: dict[str, str] | None = argument("Words.", default=None)


def test_schema() -> None:
    assert schema(Arguments) == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "A text."},
            "number": {"type": "integer", "description": "A number.", "default": 5, "minimum": 1, "maximum": 10},
            "flag": {"type": "boolean", "description": "Yes or no.", "default": False},
            "words": {"type": "object", "description": "Words.", "additionalProperties": {"type": "string"}},
        },
        "required": ["text"],
    }


def test_read() -> None:
    assert read(Arguments, {"text": "x", "other": 1}) == Arguments("x")
    assert read(Arguments, {"text": "", "number": 7.0, "flag": None, "words": {"a": "b"}}) == Arguments(
        "", 7, False, {"a": "b"}
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "argument 'text' is missing; expected a string"),
        ({"text": None}, "argument 'text' is missing"),
        ({"text": ["x"]}, "argument 'text': expected a string, got a list"),
        ({"text": "x", "number": "7"}, "argument 'number': expected a whole number, got a string"),
        ({"text": "x", "number": 11}, "argument 'number': expected 1 to 10, got 11"),
        ({"text": "x", "number": float("inf")}, "expected a whole number"),
        ({"text": "x", "number": 1e300}, "expected 1 to 10"),
        ({"text": "x", "flag": 1}, "argument 'flag': expected true or false, got the number 1"),
        ({"text": "x", "words": {"a": None}}, "argument 'words': expected an object of strings"),
        ({"text": "x", "words": {"\udc00": "a"}}, "half of a surrogate pair"),
    ],
)
def test_bad(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BadArgument) as caught:
        read(Arguments, values)
    assert said in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["text", "number", "flag", "words", "other"]), anything))
def test_whatever_comes_is_read_or_refused(values: dict[str, Any]) -> None:
    try:
        arguments = read(Arguments, values)
    except BadArgument as error:
        str(error).encode()
    else:
        assert type(arguments.number) is int
        arguments.text.encode()


@given(anything)
def test_json_of_anything_can_be_sent(value: Any) -> None:
    json.loads(to_json(value).encode().decode())
