"""Labelled values of a page: definitions, rows of two cells, form fields, "Price: 5 €", classes and ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from .schema import words_of
from .snapshot import Node

_COLON: Final = re.compile(r"(?P<label>[^:\n]{1,40}?)\s*:\s+(?P<value>\S.*)")
_NAMED: Final = ("itemprop", "data-field", "data-testid", "data-test", "data-label", "name", "id", "class")
_CELLS: Final = frozenset({"cell", "rowheader", "columnheader"})


@frozen
class Labelled:
    """A value, with the words of its label, and how far these are to be trusted: 3 is best."""

    words: frozenset[str]
    text: str
    node: Node
    trust: int


def labelled(scope: Node) -> list[Labelled]:
    """Return the labelled values below an element."""
    found = [
        *_definitions(scope),
        *_rows_of_two(scope),
        *_fields(scope),
        *_with_colon(scope),
        *_neighbours(scope),
        *_by_attributes(scope),
    ]
    return [one for one in found if one.words]


def _definitions(scope: Node) -> Iterator[Labelled]:
    for node in scope.elements():
        if node.role == "term" and node.parent is not None:
            after = node.parent.children[node.parent.children.index(node) + 1 :]
            value = next((one for one in after if one.role in ("definition", "term")), None)
            if value is not None and value.role == "definition":
                yield Labelled(words_of(node.text), value.text, value, 3)


def _rows_of_two(scope: Node) -> Iterator[Labelled]:
    for row in scope.elements():
        if row.role != "row":
            continue
        cells = [cell for cell in row.elements() if cell.role in _CELLS]
        if len(cells) == 2 and cells[1].role == "cell":
            yield Labelled(words_of(cells[0].text), cells[1].text, cells[1], 3)


def _fields(scope: Node) -> Iterator[Labelled]:
    for node in scope.elements():
        is_field = node.is_editable or node.tag == "select" or node.role in ("checkbox", "switch", "slider")
        if is_field and node.attributes.get("type") != "password":
            value = node.value or str(node.states.get("checked", ""))
            for label in (*node.labels[:1], node.attributes.get("name", "")):
                yield Labelled(words_of(label), value, node, 2)


def _with_colon(scope: Node) -> Iterator[Labelled]:
    for node in scope.walk():
        if node.role in ("text", "row", "cell") or any(
            inner.role not in ("text", "generic") for inner in node.children
        ):
            blocks = [
                inner for inner in node.children if inner.role not in ("text", "strong", "emphasis", "link", "time")
            ]
            if node.role == "text" or blocks:
                continue
        if (found := _COLON.fullmatch(node.text)) is not None:
            yield Labelled(words_of(found["label"]), found["value"], node, 2)


def _neighbours(scope: Node) -> Iterator[Labelled]:
    """Return values whose label is the whole text of the element before them: two ``span`` side by side."""
    for node in scope.walk():
        inner = [child for child in node.children if child.role != "text" or child.name.strip()]
        if len(inner) == 2 and all(child.role != "text" or child is inner[1] for child in inner):
            label, value = inner
            text = value.name.strip() if value.role == "text" else value.text
            if text and 0 < len(label.text) <= 40:
                yield Labelled(
                    words_of(label.text), text.lstrip(":\u2013 "), node if value.role == "text" else value, 1
                )


def _by_attributes(scope: Node) -> Iterator[Labelled]:
    for node in scope.elements():
        text = node.attributes.get("content") or node.text
        if not text:
            continue
        for name in _NAMED:
            for token in node.attributes.get(name, "").split():
                yield Labelled(words_of(token), text, node, 3 if name == "itemprop" else 1)
