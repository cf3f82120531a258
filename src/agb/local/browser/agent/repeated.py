"""Repeated structures of a page: tables, lists, and elements side by side that are alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from .schema import words_of
from .snapshot import Node

MOST_GROUPS: Final = 150
_ASIDE: Final = frozenset({"navigation", "banner", "contentinfo", "complementary", "menu", "menubar"})


@frozen
class Table:
    """A table, by its header."""

    node: Node
    headers: tuple[frozenset[str], ...]
    rows: tuple[tuple[Node, tuple[Node, ...]], ...]
    """Each row with its cells."""


@frozen
class Group:
    """Elements that are alike, and what they are called by headings, labels, ids and classes around them."""

    parent: Node
    items: tuple[Node, ...]
    words: frozenset[str]
    is_aside: bool


def tables(scope: Node) -> Iterator[Table]:
    """Return the tables below an element that have a header and rows."""
    for node in scope.walk():
        if node.role != "table":
            continue
        rows = [(row, _cells(row)) for row in node.elements() if row.role == "row" and _table_of(row) is node]
        header: tuple[Node, ...] = ()
        body: list[tuple[Node, tuple[Node, ...]]] = []
        for row, cells in rows:
            if not header:
                if cells and (all(cell.role == "columnheader" for cell in cells) or len(rows) > 1):
                    header = cells
            elif cells and not all(cell.role == "columnheader" for cell in cells):
                body.append((row, cells))
        if header and body:
            yield Table(node, tuple(words_of(cell.text) for cell in header), tuple(body))


def _cells(row: Node) -> tuple[Node, ...]:
    return tuple(node for node in row.children if node.role in ("cell", "columnheader", "rowheader"))


def _table_of(row: Node) -> Node | None:
    return next((outer for outer in row.ancestors() if outer.role == "table"), None)


def groups(scope: Node) -> list[Group]:
    """Return the groups of elements below an element that are alike; a list may have one item, others have two."""
    found = []
    for node in scope.walk():
        kinds: dict[tuple[str, str, str], list[Node]] = {}
        for child in node.children:
            if child.role not in ("text", "row", "cell") and (child.text or child.children):
                first = next(iter(child.attributes.get("class", "").split()), "")
                kinds.setdefault((child.tag, child.role, first), []).append(child)
        for (_, role, _), items in kinds.items():
            if len(items) > 1 or role in ("listitem", "article"):
                found.append(Group(node, tuple(items), words_around(node) | _own_words(items[0]), _is_aside(node)))
        if len(found) >= MOST_GROUPS:
            break
    return found


def words_around(node: Node) -> frozenset[str]:
    """Return the words by which an element is called: its name, its id and classes, and the heading before it."""
    words = words_of(node.name) | _own_words(node)
    place = node
    for outer in node.ancestors():
        before = outer.children[: outer.children.index(place)] if place in outer.children else []
        heading = next((one for one in reversed(before) if one.role in ("heading", "caption", "label")), None)
        words |= words_of(outer.name) | _own_words(outer)
        if heading is not None:
            return words | words_of(heading.text)
        place = outer
        if outer.role in ("region", "main", "document", "article"):
            break
    return words


def _own_words(node: Node) -> frozenset[str]:
    attributes: Mapping[str, str] = node.attributes
    return words_of(
        " ".join(attributes.get(name, "") for name in ("id", "class", "itemprop", "data-testid", "aria-label"))
    )


def _is_aside(node: Node) -> bool:
    return node.role in _ASIDE or any(outer.role in _ASIDE for outer in node.ancestors())
