"""Classes that describe an answer: their JSON Schemas, and objects made of answers."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import attrs
import pytest

from agb._ops.answer_schemas import BadAnswer
from agb._ops.answer_types import read_answer, schema_of

pydantic = pytest.importorskip("pydantic")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.define
class Size:
    width: int
    unit: Literal["cm", "in"] = "cm"


@dataclass
class Shoe:
    name: Annotated[str, "what it is called"]
    price: float
    colours: list[Colour]
    size: Size | None = None
    tags: set[str] = field(default_factory=set)


class Shop(TypedDict):
    shoes: list[Shoe]
    opened: NotRequired[date]
    total: NotRequired[Decimal]


@attrs.define
class Tree:
    label: str
    below: list[Tree] = attrs.field(factory=list)


ANSWER: dict[str, Any] = {
    "shoes": [
        {"name": "Red", "price": 5, "colours": ["red"], "size": {"width": 4.0}, "tags": ["new", "new"], "more": 1},
        {"name": "Blue", "price": 6.5, "colours": []},
    ],
    "opened": "2026-11-30",
    "total": 11.5,
}


def test_schema_of_nested_classes() -> None:
    schema = schema_of(Shop)
    assert (schema["type"], schema["required"]) == ("object", ["shoes"])
    assert schema["properties"]["shoes"] == {"type": "array", "items": {"$ref": "#/$defs/Shoe"}}
    assert schema["properties"]["opened"] == {"type": "string", "format": "date"}
    shoe = schema["$defs"]["Shoe"]
    assert shoe["required"] == ["name", "price", "colours"]
    assert shoe["properties"]["name"] == {"type": "string", "description": "what it is called"}
    assert shoe["properties"]["colours"] == {"type": "array", "items": {"enum": ["red", "blue"]}}
    assert shoe["properties"]["size"] == {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]}
    assert schema["$defs"]["Size"]["properties"]["unit"] == {"enum": ["cm", "in"]}


def test_class_that_contains_itself() -> None:
    assert schema_of(Tree)["$defs"]["Tree"]["properties"]["below"] == {
        "type": "array",
        "items": {"$ref": "#/$defs/Tree"},
    }
    assert read_answer(Tree, {"label": "a", "below": [{"label": "b"}]}) == Tree("a", [Tree("b")])


def test_objects_of_an_answer() -> None:
    assert read_answer(Shop, ANSWER) == {
        "shoes": [Shoe("Red", 5.0, [Colour.RED], Size(4), {"new"}), Shoe("Blue", 6.5, [])],
        "opened": date(2026, 11, 30),
        "total": Decimal("11.5"),
    }


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda shoes: shoes[0].pop("price"), "shoes[0].price is missing"),
        (lambda shoes: shoes[0].update(price="5"), "shoes[0].price is a string, not a number"),
        (lambda shoes: shoes[1].update(price=True), "shoes[1].price is a boolean, not a number"),
        (lambda shoes: shoes[0].update(colours=["green"]), "shoes[0].colours[0] is 'green', not one of 'red', 'blue'"),
        (lambda shoes: shoes[0].update(size={"width": 4.5}), "shoes[0].size.width is a number, not a whole number"),
        (lambda shoes: shoes[0].update(tags="new"), "shoes[0].tags is a string, not a list"),
        (lambda shoes: shoes.append(None), "shoes[2] is null, not an object"),
    ],
)
def test_field_that_is_wrong_is_named(change: Any, text: str) -> None:
    shoes = [dict(one) for one in ANSWER["shoes"]]
    change(shoes)
    with pytest.raises(BadAnswer) as raised:
        read_answer(Shop, {"shoes": shoes})
    assert str(raised.value) == text


def test_pydantic_model() -> None:
    class Price(pydantic.BaseModel):  # type: ignore[name-defined, misc]
        amount: float

    model = pydantic.create_model("Model", prices=(list[Price], ...))
    assert schema_of(model)["properties"]["prices"]["type"] == "array"
    assert read_answer(model, {"prices": [{"amount": "5.5"}]}).prices[0].amount == 5.5
    with pytest.raises(BadAnswer, match=r"^prices\[0\]\.amount is not valid: Input should be a valid number"):
        read_answer(model, {"prices": [{"amount": "five"}]})


def test_json_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["id"],
        "additionalProperties": False,
        "$defs": {"item": {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]}},
    }
    assert schema_of(schema) == schema
    value = {"id": 1, "items": [{"kind": "a"}], "note": None}
    assert read_answer(schema, value) is value
    for wrong, text in [
        ({}, "id is missing"),
        ({"id": 1.5}, "id is a number, not a whole number"),
        ({"id": 1, "items": [{"kind": "a"}, {}]}, r"items\[1\].kind is missing"),
        ({"id": 1, "items": [{"kind": "c"}]}, r"items\[0\].kind is 'c', not one of 'a', 'b'"),
        ({"id": 1, "note": 5}, "note is a number, not a text"),
        ({"id": 1, "more": 5}, "more is not allowed"),
    ]:
        with pytest.raises(BadAnswer, match=f"^{text}$"):
            read_answer(schema, wrong)


def test_what_is_no_schema() -> None:
    with pytest.raises(TypeError, match=r"Bad\.when has the type .*, which no JSON value has"):
        schema_of(attrs.make_class("Bad", {"when": attrs.field(type=complex)}))
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        schema_of({"type": {1, 2}})
    with pytest.raises(ValueError, match="the type 'text', and JSON has object"):
        schema_of({"type": "text"})
