"""The outline of a page: its accessibility tree as text, with a reference for each element that can be used."""

from __future__ import annotations

from .snapshot import INTERACTIVE, Node, Snapshot

LONGEST = 200_000
"""Characters of an outline; the rest is left out, and the last line says so."""
_LONGEST_TEXT = 300
_SILENT = frozenset({"generic", "document", "label", "hidden"})


def outline(snapshot: Snapshot) -> tuple[str, dict[str, Node]]:
    """Return the text, and the elements by their references."""
    references: dict[str, Node] = {}
    lines: list[str] = []
    size = 0
    waiting: list[tuple[Node, int]] = [(snapshot.root, 0)]
    while waiting:
        node, depth = waiting.pop()
        line = _line(node, references)
        if line:
            lines.append("  " * depth + line)
            size += len(lines[-1]) + 1
        if size > LONGEST:
            lines.append("(the page has more)")
            break
        children = [] if node.role in ("button", "link", "option") and not _has_controls(node) else node.children
        waiting.extend((child, depth + 1 if line else depth) for child in reversed(children))
    return "\n".join(lines), references


def _has_controls(node: Node) -> bool:
    return any(inner.role in INTERACTIVE for inner in node.elements())


def _line(node: Node, references: dict[str, Node]) -> str:
    if node.role == "text":
        text = " ".join(node.name.split())
        return f"- text {text[:_LONGEST_TEXT]!r}" if text else ""
    if node.role in _SILENT and not node.is_editable:
        return ""
    reference = f"e{len(references) + 1}"
    references[reference] = node
    name = next(iter(node.labels), "") if node.role in INTERACTIVE or node.is_editable else node.name
    parts = [f"- {node.role}", *([repr(name[:_LONGEST_TEXT])] if name else [])]
    parts += [f"value={node.value[:_LONGEST_TEXT]!r}"] if node.value and not _is_password(node) else []
    parts += [f"{state}={node.states[state]}" for state in ("checked", "expanded", "selected") if state in node.states]
    parts += ["disabled"] if node.states.get("disabled") else []
    return f"{' '.join(parts)} [{reference}]"


def _is_password(node: Node) -> bool:
    return node.attributes.get("type", "") == "password"
