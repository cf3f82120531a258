"""Arguments of tools: one class gives the schema and the validation, and nothing a client sends makes it fall over."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from agb.local.sessions.arguments import Arguments, BadArgument, Text, read, schema
from agb.local.sessions.file_tools import EditArguments
from agb.local.sessions.tools import to_json


class Example(Arguments, frozen=True):
    """An example."""

    text: Annotated[Text, Meta(description="A text.")]
    number: Annotated[int, Meta(description="A number.", ge=1, le=10)] = 5
    flag: Annotated[bool, Meta(description="Yes or no.")] = False
    words: Annotated[dict[Text, Text] | None, Meta(description="Words.")] = None


def test_schema() -> None:
    text = {"type": "string", "pattern": r"^[^\0]*$"}
    words = {"type": "object", "additionalProperties": text, "propertyNames": {"pattern": r"^[^\0]*$"}}
    assert schema(Example) == {
        "title": "Example",
        "description": "An example.",
        "type": "object",
        "properties": {
            "text": {**text, "description": "A text."},
            "number": {"type": "integer", "description": "A number.", "default": 5, "minimum": 1, "maximum": 10},
            "flag": {"type": "boolean", "description": "Yes or no.", "default": False},
            "words": {"anyOf": [words, {"type": "null"}], "description": "Words.", "default": None},
        },
        "required": ["text"],
    }


def test_schema_of_nested_arguments_is_complete() -> None:
    edits = schema(EditArguments)
    assert edits["properties"]["edits"]["items"] == {"$ref": "#/$defs/Edit"}
    assert edits["$defs"]["Edit"]["required"] == ["oldText", "newText"]
    assert edits["properties"]["dryRun"]["default"] is False


def test_read() -> None:
    assert read(Example, {"text": "x", "other": 1}) == Example("x")
    assert read(Example, {"text": "", "number": 7.0, "flag": None, "words": {"a": "b"}}) == Example(
        "", 7, False, {"a": "b"}
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "missing required field `text`"),
        ({"text": None}, "missing required field `text`"),
        ({"text": ["x"]}, "Expected `str`, got `array` - at `$.text`"),
        ({"text": "x", "number": "7"}, "Expected `int`, got `str` - at `$.number`"),
        ({"text": "x", "number": 11}, "Expected `int` <= 10 - at `$.number`"),
        ({"text": "x", "number": float("inf")}, "Expected `int`, got `float` - at `$.number`"),
        ({"text": "x", "number": 1e300}, "Expected `int` <= 10"),
        ({"text": "x", "flag": 1}, "Expected `bool`, got `int` - at `$.flag`"),
        ({"text": "x", "words": {"a": None}}, "Expected `str`, got `null` - at `$.words[...]`"),
        ({"text": "x", "words": {"\udc00": "a"}}, "half of a surrogate pair"),
    ],
)
def test_bad(values: dict[str, Any], said: str) -> None:
    with pytest.raises(BadArgument) as caught:
        read(Example, values)
    assert said in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["text", "number", "flag", "words", "other"]), anything))
def test_whatever_comes_is_read_or_refused(values: dict[str, Any]) -> None:
    try:
        arguments = read(Example, values)
    except BadArgument as error:
        str(error).encode()
    else:
        assert type(arguments.number) is int
        arguments.text.encode()


@given(anything)
def test_json_of_anything_can_be_sent(value: Any) -> None:
    json.loads(to_json(value).encode().decode())
