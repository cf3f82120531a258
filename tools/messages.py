"""The messages that a user of the package can see, collected from the source for the documentation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tools.guides import ROOT

AREAS = {
    "_async/modules/browser": "Browser",
    "_async/modules/fingerprint_generator": "Browser",
    "_async/modules/code": "Code",
    "_async/modules/command": "Commands and processes",
    "_async/modules/process": "Commands and processes",
    "_async/modules/computer": "Desktop",
    "_async/modules/context_manager": "Contexts",
    "_async/modules/file": "Files",
    "_async/host": "Files",
    "_async/storage": "Contexts",
    "_async/batch": "Batches",
    "_async/lifecycle": "Pools and limits",
    "_async": "Clients and sessions",
    "_ops/tools/process": "Commands and processes",
    "_ops/tools/file": "Files",
    "_ops/contexts": "Contexts",
    "_ops/sync_tasks": "Contexts",
    "_ops/browser": "Browser",
    "_ops/journal": "Batches",
    "_ops": "Arguments",
    "_wire": "Answers of the service",
    "browser_": "Browser",
    "context_sync": "Contexts",
    "desktop": "Desktop",
    "executor": "Executors",
    "fingerprint": "Browser",
    "cli": "Command line",
    "local": "Local runtime",
    "": "Arguments",
}
"""The beginning of a path in the package, and the part of the SDK that it belongs to; the first that fits applies."""
_OF_THE_RUNTIME = ("local/__init__", "local/child", "local/command", "local/options", "local/planner", "local/server")
"""Of the runtime, what its user sees; the rest answers requests, and is shown as a message of the service."""
_HINTS = "_wire/hints"
"""The module whose functions return sentences that are added to messages."""
_SHORTEST = 12
"""Characters of a message; shorter ones are parts of others."""


def messages() -> dict[str, list[tuple[str, str]]]:
    """Return for each part of the SDK its messages, each with the class of its exception; ``…`` is what varies."""
    found: dict[str, set[tuple[str, str]]] = {area: set() for area in AREAS.values()}
    package = ROOT / "src" / "agb"
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).with_suffix("").as_posix()
        if name.startswith("_sync/") or (name.startswith("local/") and not name.startswith(_OF_THE_RUNTIME)):
            continue
        area = next(area for beginning, area in AREAS.items() if name.startswith(beginning))
        found[area].update(_raised(path))
        if name == _HINTS:
            found[area].update(_returned(path))
    return {area: sorted(texts, key=lambda one: one[0].lower()) for area, texts in sorted(found.items()) if texts}


def _raised(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            text = text_of(node.exc.args[0])
            if len(text.replace("…", "").strip()) >= _SHORTEST and name[:1].isupper():
                yield text, name


def _returned(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Return) and node.value is not None:
            text = text_of(node.value)
            if len(text.replace("…", "").strip()) >= _SHORTEST:
                yield text, "a hint behind the message"


def text_of(node: ast.expr) -> str:
    """Return the text that an expression makes, with one space where it has several, and ``…`` for what varies."""
    return re.sub("…+", "…", " ".join(_parts(node).split()))


def _parts(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(map(_parts, values))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _parts(left) + _parts(right)
        case _:
            return "…"


def as_page() -> str:
    """Return the page of all messages."""
    lines = [
        "# All messages",
        "",
        "The texts of the exceptions of this package, for the search. `…` is what varies. What",
    ]
    lines += ["to do: [table of errors](errors.md), [troubleshooting](../troubleshooting.md).", ""]
    for area, texts in messages().items():
        lines += [f"## {area}", ""]
        lines += [f"- `{text.replace('`', chr(39))}` ({name})" for text, name in texts]
        lines.append("")
    return "\n".join(lines)
