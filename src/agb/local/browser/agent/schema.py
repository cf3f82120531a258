"""JSON Schemas of what is to be extracted, reduced to what decides where it is looked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from attrs import evolve, field, frozen

PREFIX: Final = "schema:"
_DEEPEST: Final = 12
_NO_WORDS: Final = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "for",
        "in",
        "on",
        "and",
        "or",
        "with",
        "to",
        "is",
        "it",
        "its",
        "this",
        "that",
        "each",
        "every",
        "all",
        "list",
    ]
)


class BadSchema(Exception):
    """A schema cannot be used; the message says why."""


Kind = Literal["object", "array", "string", "number", "integer", "boolean", "any"]
_KINDS: Final = frozenset({"object", "array", "string", "number", "integer", "boolean"})


@frozen
class Wanted:
    """A value to be extracted."""

    kind: Kind
    names: tuple[frozenset[str], ...] = ()
    """The words by which it may be called: those of the property's name, of its title, of its description."""
    properties: Mapping[str, Wanted] = field(factory=dict)
    required: frozenset[str] = frozenset()
    item: Wanted | None = None
    choices: tuple[Any, ...] = ()
    form: str = ""
    """The schema's ``format``: uri, date and so on."""
    is_nullable: bool = False
    has_default: bool = False


def read(text: str) -> Wanted:
    """Return what a field schema asks for: the word ``schema:`` and a JSON Schema. Raises `BadSchema`."""
    try:
        schema = json.loads(without_prefix(text))
    except ValueError as error:
        raise BadSchema(f"the field schema is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise BadSchema("the field schema must be a JSON object")
    return _wanted(schema, schema, (), 0)


def without_prefix(text: str) -> str:
    """Return the JSON Schema in a field schema."""
    text = text.strip()
    return text[len(PREFIX) :] if text.lower().startswith(PREFIX) else text


def _wanted(schema: Any, root: Mapping[str, Any], names: tuple[frozenset[str], ...], depth: int) -> Wanted:
    if depth > _DEEPEST:
        raise BadSchema("the schema is nested too deep, or refers to itself")
    if not isinstance(schema, dict):
        return Wanted("any", names)
    schema, is_nullable = _resolved(schema, root)
    names = _with_title(names, schema)
    kind = schema.get("type", "")
    if isinstance(kind, list):
        is_nullable = is_nullable or "null" in kind
        kind = next((one for one in kind if one != "null"), "")
    if not kind:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "any"
    if kind not in _KINDS and kind != "any":
        raise BadSchema(f"the schema has the unknown type {kind!r}")
    choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
    wanted = Wanted(
        cast("Kind", kind),
        names,
        choices=tuple(choices) if isinstance(choices, list) else (),
        form=str(schema.get("format", "")),
        is_nullable=is_nullable,
        has_default="default" in schema,
    )
    if kind == "array":
        return evolve(wanted, item=_wanted(schema.get("items", {}), root, names, depth + 1))
    if kind == "object":
        given = schema.get("properties", {})
        properties = given if isinstance(given, dict) else {}
        required = schema.get("required", [])
        return evolve(
            wanted,
            properties={name: _wanted(one, root, (words_of(name),), depth + 1) for name, one in properties.items()},
            required=frozenset(required if isinstance(required, list) else ()),
        )
    return wanted


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return a schema without references and alternatives, and whether null is one of these."""
    is_nullable = False
    for _ in range(_DEEPEST):
        if "$ref" in schema:
            schema = {**_referred(str(schema["$ref"]), root), **{k: v for k, v in schema.items() if k != "$ref"}}
            continue
        alternatives = next((schema[name] for name in ("anyOf", "oneOf", "allOf") if schema.get(name)), None)
        if not isinstance(alternatives, list):
            return schema, is_nullable
        filled = [one for one in alternatives if isinstance(one, dict) and one.get("type") != "null"]
        is_nullable = is_nullable or len(filled) < len(alternatives)
        rest = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf", "allOf")}
        merged: dict[str, Any] = {}
        for one in filled if "allOf" in schema else filled[:1]:
            merged.update(one)
        schema = {**merged, **rest}
    raise BadSchema("the schema refers to itself")


def _referred(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if reference != "#" else []:
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    if not reference.startswith("#") or not isinstance(found, dict):
        raise BadSchema(f"the schema refers to {reference!r}, which is not in it")
    return found


def _with_title(names: tuple[frozenset[str], ...], schema: Mapping[str, Any]) -> tuple[frozenset[str], ...]:
    more = [words_of(text) for text in (schema.get("title"), schema.get("description")) if isinstance(text, str)]
    return tuple(dict.fromkeys(words for words in (*names, *more) if words and len(words) <= 6))


def words_of(name: str) -> frozenset[str]:
    """Return the words in a name, in lower case and in the singular: ``unitPrices`` are "unit" and "price"."""
    spread = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = (word.casefold() for word in re.findall(r"[^\W_]+", spread))
    return frozenset(singular(word) for word in words if word not in _NO_WORDS)


def singular(word: str) -> str:
    """Return an English word in the singular, nearly: two forms of the same word become equal."""
    if len(word) > 3 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("ses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
