"""Finding the elements that a description means, in a snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from .snapshot import INTERACTIVE, Node, Snapshot
from .targets import Target

_SHOWN: Final = 8
_WORD: Final = re.compile(r"\w+")
_STOP: Final = frozenset(
    ["a", "an", "the", "of", "for", "to", "in", "on", "at", "and", "or", "with", "your", "my", "this", "that", "is"]
)
_PUNCTUATION: Final = " .,:;*!?…\u203a»→"

EXACT, SAME, PART, WORDS, NOTHING = 4, 3, 2, 1, 0
"""How well a text matches: exactly, but for case and punctuation, as a part, by its words, or not at all."""


class NotFound(Exception):
    """No element, or more than one, is what a description means; the message says what there is."""


class Ambiguous(NotFound):
    """Several elements match equally well."""


def find_one(snapshot: Snapshot, target: Target, preferred: frozenset[str] = frozenset()) -> Node:
    """Return the element that a description means.

    ``preferred`` are the roles that the action is for. Where several elements match equally well, only an ordinal
    decides, except between links to the same address. Raises `NotFound`, `Ambiguous` among them.
    """
    found = find_all(snapshot, target, preferred)
    if not found:
        raise NotFound(f"there is no {target}{_what_there_is(snapshot, target)}")
    if target.ordinal:
        number = target.ordinal - 1 if target.ordinal > 0 else -1
        if number >= len(found):
            raise NotFound(f"there is no {target}: there are {len(found)}")
        return found[number]
    addresses = {node.attributes.get("href") for node in found}
    if len(found) > 1 and (len(addresses) > 1 or None in addresses):
        shown = ", ".join(f"{number}. {_placed(node)}" for number, node in enumerate(found[:_SHOWN], 1))
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise Ambiguous(f"{len(found)} elements match {target}: {shown}{more}; say which, as in 'the second …'")
    return found[0]


def find_all(snapshot: Snapshot, target: Target, preferred: frozenset[str] = frozenset()) -> list[Node]:
    """Return the elements that a description means, in the order of the document; its ordinal is not applied."""
    scopes = [snapshot.root] if target.within is None else _scopes(snapshot, target.within)
    pool = [node for scope in scopes for node in scope.elements() if node.selector and node.role != "hidden"]
    if target.roles:
        pool = [node for node in pool if _has_role(node, target)]
    elif not target.text and target.role_name != "text":
        pool = [node for node in pool if node.role in INTERACTIVE]
    found = _best(pool, target, preferred) if target.text else pool
    return _nearest(found, target.near) if target.near else found


def _has_role(node: Node, target: Target) -> bool:
    if node.role in target.roles:
        return True
    # An editable element of a page without a role of its own is a field as well.
    return "textbox" in target.roles and node.is_editable


def _scopes(snapshot: Snapshot, scope: Target) -> list[Node]:
    """Return the elements that are meant by what another one is in, the smallest of them."""
    pool = [node for node in snapshot.elements() if node.role in scope.roles]
    if scope.role_name == "section":
        pool += _titled_sections(snapshot, scope.text)
    if scope.text:
        ranked = [(max(_match(scope, _naming(node)), _contains(node, scope)), node) for node in pool]
        best = max((rank for rank, _ in ranked), default=NOTHING)
        pool = [node for rank, node in ranked if rank == best > NOTHING]
    inner = [node for node in pool if not any(other is not node and node in other.ancestors() for other in pool)]
    if not inner:
        raise NotFound(f"there is no {scope}{_what_there_is(snapshot, scope)}")
    if scope.ordinal:
        number = scope.ordinal - 1 if scope.ordinal > 0 else -1
        if number >= len(inner):
            raise NotFound(f"there is no {scope}: there are {len(inner)}")
        return [inner[number]]
    return inner


def _naming(node: Node) -> tuple[str, ...]:
    """Return the names of a container: its own, and its headings and caption; not all the text that is in it."""
    headings = (inner.text for inner in node.elements() if inner.role in ("heading", "caption", "Legend", "legend"))
    return tuple(text for text in (node.name, node.attributes.get("title", ""), *headings) if text)


def _contains(node: Node, scope: Target) -> int:
    """Return how well the text of a row, an item or a card matches: one of them is known by what it contains."""
    if node.role not in ("row", "listitem", "article", "group"):
        return NOTHING
    cells = tuple(inner.text for inner in node.elements())
    return _match(scope, (*cells, node.text))


def _titled_sections(snapshot: Snapshot, title: str) -> list[Node]:
    """Return what a heading with this text is the title of: the largest element around it that has no other title."""
    found = []
    for heading in snapshot.elements():
        if heading.role != "heading" or (title and not _texts_match(title, heading.text)):
            continue
        section: Node | None = None
        for outer in heading.ancestors():
            if sum(inner.role == "heading" and _level(inner) <= _level(heading) for inner in outer.elements()) > 1:
                break
            section = outer
        if section is not None:
            found.append(section)
    return found


def _level(heading: Node) -> int:
    level = heading.states.get("level", 2)
    return level if isinstance(level, int) else 2


def _texts_match(wanted: str, text: str) -> bool:
    return _plain(wanted) in _plain(text)


# --- which of them matches best ------------------------------------------------------------------------------------


def _best(pool: Iterable[Node], target: Target, preferred: frozenset[str]) -> list[Node]:
    ranked = [
        (_match(target, _texts_of(node, target.attribute)) or _by_attributes(node, target), node) for node in pool
    ]
    best = max((rank for rank, _ in ranked), default=NOTHING)
    if best == NOTHING:
        return []
    if preferred or not target.roles:
        # What an action is for comes first, even if the text matches something else better: the button "Sign in now"
        # and not the heading "Sign in" is what can be clicked. A part of a text counts, single words only if all of
        # them are there.
        wanted = preferred or INTERACTIVE
        rank = max((rank for rank, node in ranked if _is_wanted(node, wanted)), default=NOTHING)
        chosen = [node for one, node in ranked if one == rank and _is_wanted(node, wanted)] if rank else []
        if chosen:
            return _outermost(chosen)
    return _innermost([node for rank, node in ranked if rank == best])


def _is_wanted(node: Node, wanted: frozenset[str]) -> bool:
    return node.role in wanted or ("textbox" in wanted and node.is_editable)


def _innermost(nodes: Sequence[Node]) -> list[Node]:
    outer = {id(above) for node in nodes for above in node.ancestors()}
    return [node for node in nodes if id(node) not in outer]


def _outermost(nodes: Sequence[Node]) -> list[Node]:
    known = {id(node) for node in nodes}
    return [node for node in nodes if not any(id(above) in known for above in node.ancestors())]


def _nearest(nodes: Sequence[Node], text: str) -> list[Node]:
    """Return those that the fewest levels separate from a text: the button of a product, not that of another one."""
    distances = []
    for node in nodes:
        for distance, outer in enumerate((node, *node.ancestors())):
            if _texts_match(text, outer.text):
                distances.append((distance, node))
                break
    nearest = min((distance for distance, _ in distances), default=-1)
    return [node for distance, node in distances if distance == nearest]


def _texts_of(node: Node, attribute: str) -> tuple[str, ...]:
    match attribute:
        case "":
            return node.labels
        case "label":
            return tuple(filter(None, (node.name, node.attributes.get("aria-label", ""))))
        case "text":
            return tuple(filter(None, (node.text, node.name)))
        case _:
            return tuple(filter(None, (node.attributes.get(attribute, ""),)))


def _match(target: Target, texts: Iterable[str]) -> int:
    return max((rank_of(target.text, text, target.is_quoted) for text in texts), default=NOTHING)


def rank_of(wanted: str, text: str, is_quoted: bool = False) -> int:
    """Return how well a text matches what is wanted."""
    if not text:
        return NOTHING
    if text == wanted:
        return EXACT
    plain_text, plain_wanted = _plain(text), _plain(wanted)
    if plain_text == plain_wanted:
        return SAME
    if plain_wanted and re.search(rf"(?<!\w){re.escape(plain_wanted)}(?!\w)", plain_text):
        return PART
    if is_quoted:
        return PART if plain_wanted and plain_wanted in plain_text else NOTHING
    return WORDS if _has_words(wanted, text) else NOTHING


def _by_attributes(node: Node, target: Target) -> int:
    """Return whether the words of a description are in what programs call the element, as its id."""
    if target.is_quoted or target.attribute or node.role not in INTERACTIVE:
        return NOTHING
    called = " ".join(node.attributes.get(name, "") for name in ("id", "name", "type", "class", "data-testid"))
    called += " search" if node.role == "searchbox" else ""
    spread = re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]", " ", called)
    return WORDS if _has_words(target.text, f"{spread} {' '.join(node.labels)}") else NOTHING


def _has_words(wanted: str, text: str) -> bool:
    words = {word for word in _WORD.findall(wanted.casefold()) if word not in _STOP}
    return bool(words) and words <= set(_WORD.findall(text.casefold()))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(_PUNCTUATION)


# --- what there is -------------------------------------------------------------------------------------------------


def _what_there_is(snapshot: Snapshot, target: Target) -> str:
    roles = target.roles or INTERACTIVE
    names = [str(node) for node in snapshot.elements() if node.role in roles and node.labels]
    if not names:
        return f": the page has no {target.role_name or 'such element'}" if target.text else ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"; there are: {', '.join(names[:_SHOWN])}{more}"


def _placed(node: Node) -> str:
    """Return an element with what it is in, by which a reader knows it from others of its name."""
    for outer in node.ancestors():
        if outer.role in ("row", "listitem", "article", "region", "form", "dialog", "navigation"):
            text = outer.name or outer.text
            return f"{node} in the {outer.role} {text[:40]!r}" if text else f"{node} in the {outer.role}"
    return str(node)
