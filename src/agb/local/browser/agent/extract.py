"""Extraction: fills a JSON Schema from what a page shows: labels, headers, repeated structures, kinds of values."""

# The functions of one table have the same parameters.
# ruff: noqa: ARG001

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from attrs import evolve

from .labels import Labelled, labelled
from .repeated import Group, Table, groups, tables, words_around
from .schema import Wanted, words_of
from .snapshot import Node, Snapshot
from .values import DATE, EMAIL, MISSING, PHONE, PRICE, RATING, absolute, address_in, converted

UNDERSTOOD: Final = (
    "found are: values with a label (definitions, rows of two cells, form fields, 'Label: value', elements with such a "
    "class or id), tables by their headers, lists and repeated elements, headings, links, images, prices, dates"
)
_VAGUE: Final = frozenset(
    {"result", "value", "answer", "data", "text", "content", "extraction", "output", "item", "info"}
)
_SAMPLE: Final = 4
_SHORT: Final = 60
_PAGE_TITLE: Final = frozenset({"page", "title"})
_LIMIT: Final = re.compile(r"\b(?:first|top)\s+(\d{1,4})\b", re.IGNORECASE)


Score = tuple[float, float, bool, bool, int]
_NO_SCORE: Final[Score] = (0.0, 0.0, False, False, 0)


class NotExtracted(Exception):
    """What was asked for is not in the page; the message says which fields."""


def extract_from(snapshot: Snapshot, instruction: str, wanted: Wanted) -> Any:
    """Return the value that a schema asks for. Raises `NotExtracted` if a required part of it was not found."""
    extraction = _Extraction(snapshot, instruction)
    value = extraction.value(snapshot.root, "", wanted, is_root=True)
    if extraction.missing:
        names = ", ".join(dict.fromkeys(extraction.missing))
        raise NotExtracted(f"not found in the page: {names}; {UNDERSTOOD}")
    if value is MISSING:
        raise NotExtracted(f"the page has nothing of what the schema asks for; {UNDERSTOOD}")
    return value


class _Extraction:
    def __init__(self, snapshot: Snapshot, instruction: str) -> None:
        self.snapshot = snapshot
        self.hints = words_of(instruction)
        limit = _LIMIT.search(instruction)
        self.limit = int(limit[1]) if limit is not None else None
        self.missing: list[str] = []
        self._labels: dict[int, list[Labelled]] = {}

    def value(self, scope: Node, place: str, wanted: Wanted, *, is_root: bool = False) -> Any:
        """Return the value for a part of the schema, `MISSING` if the scope has none."""
        match wanted.kind:
            case "object":
                return self._object(self._part(scope, wanted), place, wanted, is_root=is_root)
            case "array":
                return self._array(scope, place, wanted, is_root=is_root)
            case _:
                return self._scalar(scope, wanted, is_root=is_root)

    # --- objects ---

    def _object(self, scope: Node, place: str, wanted: Wanted, *, is_root: bool) -> Any:
        found: dict[str, Any] = {}
        absent: list[str] = []
        for name, one in wanted.properties.items():
            path = f"{place}.{name}" if place else name
            value = self.value(scope, path, self._named(one, wanted), is_root=is_root)
            if value is not MISSING:
                found[name] = value
            elif one.is_nullable and not one.has_default:
                found[name] = None
            elif name in wanted.required:
                absent.append(path)
        if is_root or any(value is not None for value in found.values()):
            self.missing += absent
        elif wanted.properties:
            return MISSING
        return found

    def _named(self, wanted: Wanted, outer: Wanted) -> Wanted:
        """Return a property with the instruction as its name, if its own says nothing or it is the only one."""
        is_vague = all(words <= _VAGUE for words in wanted.names)
        if not is_vague and (len(outer.properties) > 1 or not self.hints):
            return wanted
        return evolve(wanted, names=(*wanted.names, self.hints)) if self.hints else wanted

    def _part(self, scope: Node, wanted: Wanted) -> Node:
        """Return the part of a page that an object is in: what is called like it, or else all of it."""
        for node in scope.elements():
            if node.role in ("region", "form", "article", "table", "group", "generic", "list") and wanted.names:
                words = words_of(" ".join((node.name, node.attributes.get("id", ""), node.attributes.get("class", ""))))
                if any(name and name == words for name in wanted.names):
                    return node
        return scope

    # --- scalars ---

    def _labelled(self, scope: Node) -> list[Labelled]:
        if id(scope) not in self._labels:
            self._labels[id(scope)] = labelled(scope)
        return self._labels[id(scope)]

    def _scalar(self, scope: Node, wanted: Wanted, *, is_root: bool = False) -> Any:
        for candidate in self._by_label(scope, wanted):
            value = converted(candidate.text, wanted, candidate.node, self.snapshot.url)
            if value is not MISSING:
                return value
        for text, node in self._by_kind(scope, wanted, is_root=is_root):
            value = converted(text, wanted, node, self.snapshot.url)
            if value is not MISSING:
                return value
        return MISSING

    def _by_label(self, scope: Node, wanted: Wanted) -> list[Labelled]:
        ranked = []
        for candidate in self._labelled(scope):
            rank = max((_rank(name, candidate.words) for name in wanted.names), default=0)
            if rank:
                ranked.append(((rank, candidate.trust), candidate))
        return [candidate for _, candidate in sorted(ranked, key=lambda one: one[0], reverse=True)]

    def _by_kind(self, scope: Node, wanted: Wanted, *, is_root: bool) -> Iterator[tuple[str, Node | None]]:
        if any(name >= _PAGE_TITLE for name in wanted.names):
            yield from _page_title(scope, self.snapshot, is_root)
        for name in wanted.names:
            for words, find in _KINDS:
                if name & words:
                    yield from find(scope, self.snapshot, is_root)
            if wanted.kind in ("number", "integer", "any", "string"):
                yield from _counted(scope, name)
        if wanted.form in ("uri", "url"):
            yield from _links(scope, self.snapshot, is_root)
        elif wanted.form == "email":
            yield from _matching(EMAIL)(scope, self.snapshot, is_root)
        elif wanted.form in ("date", "date-time"):
            yield from _dates(scope, self.snapshot, is_root)
        if wanted.choices and not is_root:
            yield scope.text, scope

    # --- arrays ---

    def _array(self, scope: Node, place: str, wanted: Wanted, *, is_root: bool) -> Any:
        item = wanted.item or Wanted("any")
        names = (*wanted.names, self.hints) if is_root or not wanted.names else wanted.names
        names = tuple(name for name in names if name)
        if item.kind == "object" and item.properties:
            found = self._objects(scope, place, item, names)
        else:
            found = self._scalars(scope, item, names)
        if found is MISSING or self.limit is None or not is_root:
            return found
        return found[: self.limit]

    def _objects(self, scope: Node, place: str, item: Wanted, names: tuple[frozenset[str], ...]) -> Any:
        """Return the items of the structure that has the most of what is asked for."""
        candidates: list[Table | Group] = [*tables(scope), *groups(scope)]
        scored = [(self._score(one, item, names), one) for one in candidates]
        best = max((score for score, _ in scored), default=_NO_SCORE)
        if best[1] <= 0:
            return MISSING
        chosen = next(one for score, one in scored if score == best)
        if isinstance(chosen, Table):
            return self._from_table(chosen, item, place)
        return self._from_group(chosen, item, place)

    def _score(self, structure: Table | Group, item: Wanted, names: tuple[frozenset[str], ...]) -> Score:
        """Return how much of an item's required and of its other properties there is, and what else speaks for it."""
        if isinstance(structure, Table):
            columns = _columns(structure, item).keys()
            there = len(columns & item.required) / max(1, len(item.required)), len(columns) / len(item.properties)
            return *there, _is_called(names, words_around(structure.node)), True, len(structure.rows)
        return (
            *self._filled(structure, item),
            _is_called(names, structure.words),
            not structure.is_aside,
            len(structure.items),
        )

    def _filled(self, group: Group, item: Wanted) -> tuple[float, float]:
        required, filled = 0.0, 0.0
        sample = group.items[:_SAMPLE]
        for node in sample:
            values = {name: self._in_item(node, name, one) for name, one in item.properties.items()}
            there = {name for name, value in values.items() if value is not MISSING}
            required += len(there & item.required) / max(1, len(item.required))
            filled += len(there) / len(item.properties)
        return required / len(sample), filled / len(sample)

    def _in_item(self, node: Node, place: str, wanted: Wanted) -> Any:
        missing, self.missing = self.missing, []
        try:
            value = self.value(node, place, wanted)
            return MISSING if self.missing else value
        finally:
            self.missing = missing

    def _from_group(self, group: Group, item: Wanted, place: str) -> list[Any]:
        made = []
        for number, node in enumerate(group.items):
            value = self._object(node, f"{place}[{number}]", item, is_root=False)
            if value is not MISSING:
                made.append(value)
        return made

    def _from_table(self, table: Table, item: Wanted, place: str) -> list[Any]:
        columns = _columns(table, item)
        made = []
        for number, (row, cells) in enumerate(table.rows):
            found: dict[str, Any] = {}
            for name, one in item.properties.items():
                cell = cells[columns[name]] if name in columns and columns[name] < len(cells) else None
                value = self._in_item(row, name, one) if cell is None else self._of_cell(cell, one)
                if value is not MISSING:
                    found[name] = value
                elif one.is_nullable and not one.has_default:
                    found[name] = None
                elif name in item.required:
                    self.missing.append(f"{place}[{number}].{name}")
            made.append(found)
        return made

    def _of_cell(self, cell: Node, wanted: Wanted) -> Any:
        if wanted.kind == "array":
            return self._array(cell, "", wanted, is_root=False)
        is_field = next((one for one in cell.elements() if one.is_editable or one.tag == "select"), None)
        text = cell.text if is_field is None else is_field.value
        box = next((one for one in cell.elements() if one.role == "checkbox"), None)
        return converted(text, wanted, box or cell, self.snapshot.url)

    def _scalars(self, scope: Node, item: Wanted, names: tuple[frozenset[str], ...]) -> Any:
        texts = self._listed(scope, names)
        values = [converted(text, item, node, self.snapshot.url) for text, node in texts]
        kept = list(dict.fromkeys(value for value in values if value is not MISSING))
        return kept or MISSING

    def _listed(self, scope: Node, names: tuple[frozenset[str], ...]) -> list[tuple[str, Node]]:
        """Return the texts of an array of plain values: of a list, a column, alike elements, or all of a kind."""
        for table in tables(scope):
            for number, header in enumerate(table.headers):
                if any(_rank(name, header) for name in names):
                    return [(cells[number].text, cells[number]) for _, cells in table.rows if number < len(cells)]
        called = [group for group in groups(scope) if _is_called(names, group.words)]
        for group in sorted(called, key=lambda one: (one.items[0].role == "listitem", len(one.items)), reverse=True):
            if group.items[0].role in ("listitem", "option", "generic", "article"):
                return [(node.text, node) for node in group.items]
        alike = [(one.text, one.node) for one in self._labelled(scope) if any(name == one.words for name in names)]
        if len(alike) > 1:
            return alike
        for name in names:
            for words, find in _LISTS:
                if name & words:
                    return list(find(scope, self.snapshot))
        lists = [group for group in groups(scope) if group.items[0].role == "listitem" and not group.is_aside]
        return [(node.text, node) for node in lists[0].items] if len(lists) == 1 else alike


def _rank(name: frozenset[str], label: frozenset[str]) -> int:
    """Return how well a label fits a name: 2 if they are the same, 1 if the label has all words of the name."""
    if not name or not label:
        return 0
    return 2 if name == label else 1 if name <= label or (label <= name and len(label) * 2 >= len(name)) else 0


def _is_called(names: Iterable[frozenset[str]], words: frozenset[str]) -> bool:
    return any(name & words for name in names if not name <= _VAGUE)


def _columns(table: Table, item: Wanted) -> dict[str, int]:
    """Return the column of each property that has one."""
    columns: dict[str, int] = {}
    for name, wanted in item.properties.items():
        ranks = [max((_rank(one, header) for one in wanted.names), default=0) for header in table.headers]
        if max(ranks, default=0):
            columns[name] = ranks.index(max(ranks))
    return columns


# --- kinds of values -----------------------------------------------------------------------------------------------

Found = Iterator[tuple[str, Node | None]]
Finder = Callable[[Node, Snapshot, bool], Found]


def _headings(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
    nodes = [node for node in scope.elements() if node.role == "heading"]
    for node in sorted(nodes, key=lambda one: _level(one)):
        yield node.text, node
    if is_root:
        yield snapshot.title, None
        return
    for role in ("link", "strong"):
        yield from ((node.text, node) for node in scope.elements() if node.role == role and node.text)
    if not any(node.role in ("list", "table") for node in scope.elements()):
        first = next((node for node in scope.walk() if node.role == "text" and node.name.strip()), None)
        if first is not None:
            yield first.name, scope


def _level(node: Node) -> int:
    level = node.states.get("level", 2)
    return level if isinstance(level, int) else 2


def _page_title(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
    if is_root:
        yield snapshot.title, None


def _links(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
    if is_root:
        yield snapshot.url, None
    elif address := address_in(scope):
        yield absolute(address, snapshot.url), scope


def _images(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
    for node in scope.walk():
        if node.tag == "img" and node.attributes.get("src"):
            yield absolute(node.attributes["src"], snapshot.url), None


def _matching(pattern: re.Pattern[str]) -> Finder:
    def find(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
        for found in pattern.finditer(scope.text):
            yield found[found.lastindex or 0], None

    return find


def _dates(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
    for node in scope.walk():
        if node.tag == "time":
            yield node.attributes.get("datetime") or node.text, node
    yield from _matching(DATE)(scope, snapshot, is_root)


def _ratings(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
    texts = [label for node in scope.walk() for label in (node.name, node.attributes.get("title", "")) if label]
    for text in (*texts, scope.text):
        if (found := RATING.search(text)) is not None:
            yield found[1], None


def _paragraphs(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
    nodes = [node for node in scope.walk() if node.role in ("paragraph", "blockquote", "definition") and node.text]
    for node in sorted(nodes, key=lambda one: -len(one.text)):
        yield node.text, node


def _authors(scope: Node, snapshot: Snapshot, is_root: bool) -> Found:
    for node in scope.walk():
        if (found := re.fullmatch(r"(?:written\s+|posted\s+)?by:?\s+(.{2,60})", node.text, re.IGNORECASE)) is not None:
            yield found[1], node


def _counted(scope: Node, name: frozenset[str]) -> Found:
    """Return numbers beside the word of a name: "128 reviews"."""
    for node in scope.walk():
        if len(text := node.text) <= _SHORT:
            for found in re.finditer(r"(\d[\d.,]*)\s+([^\W\d_]+)", text):
                if words_of(found[2]) and words_of(found[2]) <= name:
                    yield found[1], None


_KINDS: Final[tuple[tuple[frozenset[str], Finder], ...]] = (
    (frozenset({"title"}), _headings),
    (frozenset({"name", "heading", "headline", "product", "article", "story"}), _headings),
    (frozenset({"url", "link", "href", "website", "address", "uri"}), _links),
    (frozenset({"image", "img", "picture", "photo", "thumbnail", "logo"}), _images),
    (frozenset({"price", "cost", "amount", "total", "subtotal", "fee"}), _matching(PRICE)),
    (frozenset({"email", "mail"}), _matching(EMAIL)),
    (frozenset({"phone", "telephone", "tel", "mobile"}), _matching(PHONE)),
    (frozenset({"date", "time", "published", "created", "updated", "day", "posted"}), _dates),
    (frozenset({"rating", "star", "score"}), _ratings),
    (frozenset({"description", "summary", "text", "content", "body", "abstract", "excerpt", "quote"}), _paragraphs),
    (frozenset({"author", "writer"}), _authors),
)
"""The words that say what kind of value it is, and where values of that kind are."""


def _all(*roles: str) -> Callable[[Node, Snapshot], Iterator[tuple[str, Node]]]:
    return lambda scope, _: ((node.text or node.name, node) for node in scope.elements() if node.role in roles)


def _all_links(scope: Node, snapshot: Snapshot) -> Iterator[tuple[str, Node]]:
    for node in scope.elements():
        if node.tag == "a" and node.attributes.get("href"):
            yield absolute(node.attributes["href"], snapshot.url), node


def _all_images(scope: Node, snapshot: Snapshot) -> Iterator[tuple[str, Node]]:
    yield from ((text, scope) for text, _ in _images(scope, snapshot, False))


def _all_matching(pattern: re.Pattern[str]) -> Callable[[Node, Snapshot], Iterator[tuple[str, Node]]]:
    return lambda scope, _: ((found[0], scope) for found in pattern.finditer(scope.text))


_LISTS: Final[tuple[tuple[frozenset[str], Callable[[Node, Snapshot], Iterator[tuple[str, Node]]]], ...]] = (
    (frozenset({"url", "link", "href", "address"}), _all_links),
    (frozenset({"heading", "headline", "title", "section"}), _all("heading")),
    (frozenset({"image", "picture", "photo", "img"}), _all_images),
    (frozenset({"price", "cost", "amount"}), _all_matching(PRICE)),
    (frozenset({"email", "mail"}), _all_matching(EMAIL)),
    (frozenset({"phone"}), _all_matching(PHONE)),
    (frozenset({"date"}), _all_matching(DATE)),
    (frozenset({"button"}), _all("button")),
    (frozenset({"paragraph"}), _all("paragraph")),
    (frozenset({"option", "choice"}), _all("option")),
)
