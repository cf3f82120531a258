"""Snapshots: a page as a tree of what its accessibility tree and its document say, made by two calls of DevTools.

The accessibility tree has roles, names and states; the document has structure, attributes and text. Both name a node by
its backend id, so each element of the document gets its part of the accessibility tree. Hidden elements are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field, frozen

ENTER_FRAME: Final = " >> internal:control=enter-frame >> "
"""What Playwright's selectors have between an iframe and an element of its document."""

_HIDDEN: Final = frozenset(
    {"notRendered", "notVisible", "ariaHiddenElement", "ariaHiddenSubtree", "inertElement", "inertSubtree"}
    | {"activeModalDialog", "activeAriaModalDialog", "activeFullscreenElement"}
)
_ROLES: Final = {
    "ColorWell": "textbox",
    "Date": "textbox",
    "DateTime": "textbox",
    "DescriptionList": "list",
    "DescriptionListDetail": "definition",
    "DescriptionListTerm": "term",
    "DisclosureTriangle": "button",
    "DisclosureTriangleGrouped": "button",
    "Iframe": "iframe",
    "IframePresentational": "iframe",
    "InputTime": "textbox",
    "LabelText": "label",
    "LayoutTable": "table",
    "LayoutTableCell": "cell",
    "LayoutTableRow": "row",
    "MenuListOption": "option",
    "RootWebArea": "document",
    "StaticText": "text",
    "TextField": "textbox",
    "grid": "table",
    "gridcell": "cell",
    "image": "img",
    "none": "generic",
    "treegrid": "table",
}
_NOT_SHOWN: Final = frozenset({"script", "style", "template", "noscript", "head", "meta", "link", "title"})
_FRAMES: Final = frozenset({"iframe", "frame", "object", "embed", "fencedframe"})
_INLINE: Final = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "button",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "input",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
    ]
)
_NOT_TYPED: Final = frozenset({"button", "checkbox", "file", "hidden", "image", "radio", "range", "reset", "submit"})
_XHTML_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")

INTERACTIVE: Final = frozenset(
    [
        "button",
        "checkbox",
        "combobox",
        "link",
        "listbox",
        "menuitem",
        "menuitemcheckbox",
        "menuitemradio",
        "option",
        "radio",
        "searchbox",
        "slider",
        "spinbutton",
        "switch",
        "tab",
        "textbox",
        "treeitem",
    ]
)


@define(eq=False)
class Node:
    """An element of a page, or a piece of its text, which has the role ``text`` and no children."""

    role: str
    name: str = ""
    tag: str = ""
    attributes: Mapping[str, str] = field(factory=dict)
    value: str = ""
    states: Mapping[str, Any] = field(factory=dict)
    """What the accessibility tree says about it: checked, disabled, expanded, level and so on."""
    selector: str = ""
    """By which Playwright finds it from its page."""
    children: list[Node] = field(factory=list, repr=False)
    parent: Node | None = field(default=None, repr=False)
    _text: str | None = field(default=None, repr=False, init=False)

    def walk(self) -> Iterator[Node]:
        """Return this node and all below it, in the order of the document."""
        waiting: list[Node] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    def elements(self) -> Iterator[Node]:
        """Return the elements below this node, in the order of the document."""
        return (node for node in self.walk() if node is not self and node.role != "text")

    def ancestors(self) -> Iterator[Node]:
        """Return what it is in, from the inside out."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    @property
    def text(self) -> str:
        """Its visible text, in one line; a page is not changed once it is complete, so it is composed once."""
        if self._text is None:
            self._text = " ".join("".join(_pieces(self)).split())
        return self._text

    @property
    def is_editable(self) -> bool:
        """Whether text can be typed into it."""
        if self.tag == "input":
            return self.attributes.get("type", "text").lower() not in _NOT_TYPED
        return self.tag == "textarea" or self.attributes.get("contenteditable", "false").lower() != "false"

    @property
    def labels(self) -> tuple[str, ...]:
        """The texts by which it may be called."""
        attributes = self.attributes
        given = [self.name, *(attributes.get(name, "") for name in ("aria-label", "placeholder", "title", "alt"))]
        if self.tag == "input" and attributes.get("type", "").lower() in ("submit", "button", "reset"):
            given.append(self.value)
        given.append("" if self.is_editable or self.tag == "select" else self.text)
        return tuple(dict.fromkeys(" ".join(text.split()) for text in given if text.strip()))

    def __str__(self) -> str:
        label = next(iter(self.labels), "")
        return f"{self.role} {_cut(label)!r}" if label else self.role


def _pieces(node: Node) -> Iterator[str]:
    """Return the text of a node, with spaces around what is not inline."""
    waiting: list[Node | str] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif one.role == "text":
            yield one.name
        else:
            edge = "" if one.tag in _INLINE else " "
            waiting.append(edge)
            waiting.extend(reversed(one.children))
            if one.tag == "br":
                waiting.append(" ")
            waiting.append(edge)


def _cut(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


@frozen
class Snapshot:
    """A page at one moment."""

    url: str
    title: str
    root: Node

    def elements(self) -> Iterator[Node]:
        """Return all elements, in the order of the document."""
        return self.root.elements()


# --- from the answers of DevTools ----------------------------------------------------------------------------------


@frozen
class FrameTrees:
    """What DevTools answered for one document and those inside it that the same process renders."""

    document: Mapping[str, Any]
    """The root of ``DOM.getDocument`` with all below it."""
    nodes: Mapping[int, Mapping[str, Any]]
    """The nodes of ``Accessibility.getFullAXTree`` by the backend id."""


def build(trees: FrameTrees, others: Mapping[str, FrameTrees] | None = None, *, iframes: bool = False) -> Snapshot:
    """Return the snapshot of a page.

    ``others`` are the documents of frames that another process renders, by the frame's id. Without ``iframes`` the
    documents of frames are left out.
    """
    builder = _Builder(others or {}, iframes)
    root = Node("document", tag="#document")
    builder.document(trees, trees.document, root, "")
    return Snapshot(str(trees.document.get("documentURL", "")), _title(trees.document), root)


def _title(document: Mapping[str, Any]) -> str:
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if node.get("localName") == "title":
            return " ".join("".join(child.get("nodeValue", "") for child in node.get("children", [])).split())
        if node.get("localName") != "body":
            waiting.extend(reversed(node.get("children", [])))
    return ""


class _Builder:
    """Makes nodes; without recursion, since documents may be nested deeper than Python's stack."""

    def __init__(self, others: Mapping[str, FrameTrees], iframes: bool) -> None:
        self._others = dict(others)
        """Those that were not put into the tree yet."""
        self._iframes = iframes
        self._waiting: list[tuple[FrameTrees, Mapping[str, Any], Node, str, str]] = []

    def document(self, trees: FrameTrees, document: Mapping[str, Any], root: Node, prefix: str) -> None:
        """Add the content of a document, and of those inside it."""
        made = [root]
        self._add(trees, document.get("children", []), root, f"{prefix}xpath=", "/")
        while self._waiting:
            trees, raw, parent, prefix, separator = self._waiting.pop()
            node = self._node(trees, raw, parent, prefix)
            if node is None:
                continue
            parent.children.append(node)
            made.append(node)
            self._content(trees, raw, node, separator)
        # From the leaves up: an element that shows nothing, itself or below it, is left out.
        for node in reversed(made):
            node.children = [child for child in node.children if child.role != "hidden" or child.children]
            if node.role == "hidden" and node.children:
                node.role = "generic"

    def _content(self, trees: FrameTrees, raw: Mapping[str, Any], node: Node, separator: str) -> None:
        """Schedule what is below an element."""
        inside = raw.get("contentDocument")
        # The element of a document itself has the id of the frame as well.
        other = self._others.pop(str(raw.get("frameId", "")), None) if raw.get("localName") in _FRAMES else None
        if self._iframes and inside is None and other is not None:
            trees, inside = other, other.document
        shadows = [child for root in raw.get("shadowRoots", []) for child in root.get("children", [])]
        # What is scheduled last is taken first, so the order is the reverse of the document's.
        self._add(trees, raw.get("children", []), node, node.selector, separator)
        if shadows and raw["shadowRoots"][0].get("shadowRootType") != "user-agent":
            self._add(trees, shadows, node, f"{node.selector} >> css=", " > ")
        if self._iframes and inside is not None:
            self._add(trees, inside.get("children", []), node, f"{node.selector}{ENTER_FRAME}xpath=", "/")

    def _add(
        self, trees: FrameTrees, children: list[Mapping[str, Any]], parent: Node, prefix: str, separator: str
    ) -> None:
        counts: dict[str, int] = {}
        scheduled = []
        for raw in children:
            tag = str(raw.get("localName", ""))
            counts[tag] = counts.get(tag, 0) + 1
            if tag in _NOT_SHOWN:
                continue
            path = _step(tag, counts[tag], prefix, separator) if tag else ""
            scheduled.append((trees, raw, parent, path, separator))
        self._waiting.extend(reversed(scheduled))

    def _node(self, trees: FrameTrees, raw: Mapping[str, Any], parent: Node, path: str) -> Node | None:
        """Return the node for a part of the document, None if it is neither an element nor visible text."""
        described = trees.nodes.get(raw.get("backendNodeId", 0))
        is_hidden = described is None or _is_hidden(described)
        if raw.get("nodeType") == 3:
            text = str(raw.get("nodeValue", ""))
            is_shown = (not is_hidden) or (described is None and not text.strip()) or parent.tag == "option"
            return Node("text", text, parent=parent) if text and is_shown else None
        if raw.get("nodeType") != 1:
            return None
        attributes = _attributes(raw)
        tag = str(raw.get("localName", ""))
        node = Node("hidden", tag=tag, attributes=attributes, selector=path, parent=parent)
        if tag == "option":
            node.role = "option"
        if described is not None and not is_hidden:
            node.role = _role(described)
            node.name = _value(described, "name")
            node.value = _value(described, "value")
            node.states = {one["name"]: one["value"].get("value") for one in described.get("properties", [])}
        return node


def _step(tag: str, number: int, prefix: str, separator: str) -> str:
    """Return the selector of the ``number``-th child with a tag."""
    is_root = prefix.endswith("=")
    if separator == " > ":
        return f"{prefix}{'' if is_root else separator}{tag}:nth-of-type({number})"
    # The names of SVG and MathML are in namespaces of their own, where XPath finds them by this function only.
    name = tag if _XHTML_NAME.fullmatch(tag) and tag not in _FOREIGN else f"*[name()='{tag}']"
    if name == tag and "*[name()='svg']" in prefix.rpartition(">>")[2]:
        name = f"*[name()='{tag}']"
    return f"{prefix}/{name}" if tag in ("html", "body") else f"{prefix}/{name}[{number}]"


_FOREIGN: Final = frozenset({"svg", "math"})


def _attributes(raw: Mapping[str, Any]) -> dict[str, str]:
    flat = raw.get("attributes", [])
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _is_hidden(described: Mapping[str, Any]) -> bool:
    return bool(described.get("ignored")) and any(
        reason.get("name") in _HIDDEN for reason in described.get("ignoredReasons", [])
    )


def _role(described: Mapping[str, Any]) -> str:
    if described.get("ignored"):
        return "generic"
    role = _value(described, "role")
    return _ROLES.get(role, role) or "generic"


def _value(described: Mapping[str, Any], name: str) -> str:
    value = described.get(name, {}).get("value", "")
    return "" if value is None else str(value)
