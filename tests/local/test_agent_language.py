"""The language of the browser agent: which steps and elements an instruction means, and values in texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agb.local.browser.agent import schema as schemas
from agb.local.browser.agent.around import StepFailed, Variables
from agb.local.browser.agent.grammar import METHODS, PATTERNS, NotUnderstood, Step, address, parse
from agb.local.browser.agent.quotes import Quotes
from agb.local.browser.agent.schema import BadSchema, words_of
from agb.local.browser.agent.targets import parse_target
from agb.local.browser.agent.values import MISSING, converted, number_in, truth_in


def meaning(instruction: str) -> list[tuple[Any, ...]]:
    """Return the steps of an instruction: method, element, value and amount, as far as there are any."""
    return [shown(step) for step in parse(instruction)]


def shown(step: Step) -> tuple[Any, ...]:
    target = () if step.target is None else (str(step.target),)
    return (step.method, *target, *((step.value,) if step.value else ()), *((step.amount,) if step.amount else ()))


STEPS: list[tuple[str, tuple[Any, ...]]] = [
    ("click the 'Sign in' button", ("click", "button 'Sign in'")),
    ("Please click on Sign in now.", ("click", "element 'Sign in'")),
    ("press the OK button", ("click", "button 'OK'")),
    ("open the menu", ("click", "element 'menu'")),
    ("go to the About page", ("click", "element 'About'")),
    ("double-click the third row", ("double_click", "3. row")),
    ("right click on the image", ("right_click", "image")),
    ("hover over the Products link", ("hover", "link 'Products'")),
    ("focus the search box", ("focus", "box 'search'")),
    ("type 'hello' into the search field", ("fill", "field 'search'", "hello")),
    ("enter a@b.c in the Email field", ("fill", "field 'Email'", "a@b.c")),
    ('fill in the Name field with "Ada"', ("fill", "field 'Name'", "Ada")),
    ("fill the field with placeholder 'City' with 'Ulm'", ("fill", "field 'City'", "Ulm")),
    ("set Quantity to 3", ("fill", "element 'Quantity'", "3")),
    ("type %password% into the Password field", ("fill", "field 'Password'", "%password%")),
    ("type hello", ("type", "hello")),
    ("clear the comment text area", ("clear", "text area 'comment'")),
    ("select 'Germany' from the Country dropdown", ("select", "dropdown 'Country'", "Germany")),
    ("choose Large for Size", ("select", "element 'Size'", "Large")),
    ("check the 'I agree' checkbox", ("check", "checkbox 'I agree'")),
    ("untick newsletter", ("uncheck", "element 'newsletter'")),
    ("press Enter", ("press", "Enter", 1)),
    ("hit the down arrow key 3 times", ("press", "ArrowDown", 3)),
    ("press ctrl + shift + t", ("press", "Control+Shift+t", 1)),
    ("press Enter in the search field", ("press", "field 'search'", "Enter", 1)),
    ("scroll", ("scroll", "down")),
    ("scroll up 300 pixels", ("scroll", "up", 300)),
    ("scroll down 2 pages", ("scroll", "down", -2)),
    ("scroll to the bottom of the page", ("scroll", "bottom")),
    ("scroll to the 'Terms' heading", ("scroll_to", "heading 'Terms'")),
    ("scroll the 'Terms' heading into view", ("scroll_to", "heading 'Terms'")),
    ("wait 2 seconds", ("wait", 2)),
    ("wait for 500 ms", ("wait", 0.5)),
    ("wait a minute", ("wait", 60)),
    ("wait for the page to load", ("wait_load",)),
    ("wait for 'Done' to appear", ("wait_for", "element 'Done'")),
    ("wait until the spinner disappears", ("wait_gone", "element 'spinner'")),
    ("go to https://example.com/a?b=c;d", ("navigate", "https://example.com/a?b=c;d")),
    ("open example.com", ("navigate", "https://example.com")),
    ("visit localhost:8000/x", ("navigate", "http://localhost:8000/x")),
    ("go back", ("back",)),
    ("go forward", ("forward",)),
    ("refresh the page", ("reload",)),
    ("search for 'red shoes'", ("search", "red shoes")),
    ("submit the form", ("submit",)),
]
"""An instruction for each pattern, and the step it means."""


@pytest.mark.parametrize(("instruction", "step"), STEPS)
def test_step(instruction: str, step: tuple[Any, ...]) -> None:
    assert meaning(instruction) == [step]


def test_every_pattern_and_method_is_tested() -> None:
    """The table above has an instruction for each pattern."""
    instructions = [instruction for instruction, _ in STEPS]
    assert {step.method for one in instructions for step in parse(one)} == METHODS
    used = set()
    for text in (Quotes(one).text.rstrip(".").removeprefix("Please ").removesuffix(" now") for one in instructions):
        matching = [number for number, pattern in enumerate(PATTERNS) if pattern.expression.fullmatch(text)]
        used.update(matching)
    assert used == set(range(len(PATTERNS)))


@pytest.mark.parametrize(
    ("instruction", "methods"),
    [
        ("click 'A' then click 'B'", ["click", "click"]),
        ("click 'A', and then press Enter", ["click", "press"]),
        ("type 'x' into Name and click Save", ["fill", "click"]),
        ("1. click 'A'\n2) type 'b' in the name field\n- press Enter", ["click", "fill", "press"]),
        ("Click 'A'. Wait 2.5 seconds. Go back", ["click", "wait", "back"]),
        ("click 'A'; scroll down, click 'B'", ["click", "scroll", "click"]),
        ("type 'hello and then click' into the Subject and Body field", ["fill"]),
        ("click the link 'Terms and click here'", ["click"]),
        ("first, go to example.com. Next, click 'Log in'. Finally, submit", ["navigate", "click", "submit"]),
    ],
)
def test_several_steps(instruction: str, methods: list[str]) -> None:
    assert [step.method for step in parse(instruction)] == methods


@pytest.mark.parametrize(
    "instruction",
    [
        "dance",
        "make a sandwich",
        "check that the price is 5",
        "fill in the form",
        "",
        "click",
        "click 'A' then dance",
    ],
)
def test_what_is_not_understood_is_named(instruction: str) -> None:
    with pytest.raises(NotUnderstood, match="understood are: click, double click"):
        parse(instruction)
    if instruction.endswith("dance"):
        with pytest.raises(NotUnderstood, match=r"^not understood: 'dance'; "):
            parse(instruction)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("the second 'Read more' link", "2. link 'Read more'"),
        ("the last button", "last button"),
        ("the 3rd checkbox", "3. checkbox"),
        ("button named Save", "button 'Save'"),
        ("the button that says 'Save'", "button 'Save'"),
        ("the link with the text 'More'", "link 'More'"),
        ("the image with alt text 'Logo'", "image 'Logo'"),
        ("the text field labelled First name", "text field 'First name'"),
        ("the 'Delete' button in the row 'Ada'", "button 'Delete' in the row 'Ada'"),
        ("the first link in the navigation", "1. link in the navigation"),
        ("the 'Buy' button for 'Red shoes'", "button 'Buy' for 'Red shoes'"),
        ("the OK button in the 'Delete file' dialog", "button 'OK' in the dialog 'Delete file'"),
        ("all the links on this page", "link"),
        ("it's fine", 'element "it\'s fine"'),
        ("“Sign in” button", "button 'Sign in'"),
    ],
)
def test_description_of_an_element(text: str, target: str) -> None:
    quotes = Quotes(text)
    assert str(parse_target(quotes.text, quotes)) == target


def test_text_is_literal_only_in_quotes() -> None:
    for text, is_quoted in (("'Sign in'", True), ("Sign in", False)):
        quotes = Quotes(text)
        target = parse_target(quotes.text, quotes)
        assert target is not None
        assert (target.text, target.is_quoted) == ("Sign in", is_quoted)
    quotes = Quotes("'Sign' or 'Log' in")
    assert parse_target(quotes.text, quotes) is None


def test_addresses() -> None:
    assert address("example.com/a") == "https://example.com/a"
    assert address("127.0.0.1:80") == "http://127.0.0.1:80"
    assert address("about:blank") == "about:blank"
    assert address("the menu") is None


def test_variables() -> None:
    variables = Variables({"pw": "hunter2", "user": "ada"})
    assert variables.fill("%user%:%pw% 50% %") == "ada:hunter2 50% %"
    assert variables.hide("it was hunter2") == "it was %pw%"
    with pytest.raises(StepFailed, match="there is no variable %pass%; given are pw, user"):
        variables.check("%pass%")
    Variables({}).check("%pass%")  # without variables it is a text like others


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$1,299.50", 1299.5),
        ("1.299,50 €", 1299.5),
        ("12,50", 12.5),
        ("1,299", 1299),
        ("1 299", 1299),
        ("68.2 million", 68.2),
        ("-5", -5),
        ("\u22125", -5),
        ("none", None),
    ],
)
def test_numbers(text: str, number: float | None) -> None:
    assert number_in(text) == number


def test_conversion() -> None:
    def as_schema(text: str, **schema: Any) -> Any:
        wanted = schemas.read(f"schema: {json.dumps({'type': 'object', 'properties': {'x': schema}})}").properties["x"]
        value = converted(text, wanted)
        return None if value is MISSING else value

    assert as_schema("5 pieces", type="integer") == 5
    assert as_schema("5.5", type="integer") is None
    assert as_schema("In stock", type="boolean") is True
    assert as_schema("Sold out", type="boolean") is False
    assert as_schema("maybe", type="boolean") is None
    assert as_schema("colour: Red", enum=["red", "blue"]) == "red"
    assert as_schema(" a \n b ", type="string") == "a b"
    assert truth_in("out of stock") is False


def test_schemas() -> None:
    text = json.dumps(
        {
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
                "note": {"anyOf": [{"type": "null"}, {"type": "string"}], "title": "Remark"},
            },
            "required": ["items"],
            "$defs": {"item": {"type": "object", "properties": {"unitPrice": {"type": ["number", "null"]}}}},
        }
    )
    wanted = schemas.read(f"schema: {text}")
    item = wanted.properties["items"].item
    assert item is not None
    assert (item.properties["unitPrice"].kind, item.properties["unitPrice"].is_nullable) == ("number", True)
    assert wanted.properties["note"].is_nullable
    assert wanted.properties["note"].names == (frozenset({"note"}), frozenset({"remark"}))
    assert words_of("unitPrices") == {"unit", "price"}
    for wrong, reason in [
        ("schema: {", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"type": "text"}', "the unknown type 'text'"),
        ('{"$ref": "#/$defs/none"}', "which is not in it"),
        ('{"$ref": "#"}', "refers to itself"),
    ]:
        with pytest.raises(BadSchema, match=reason):
            schemas.read(wrong)
