"""The pages of the documentation and the examples in them, for tests, pictures and the site."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
"""An example, and the output that the page shows below it."""
WRITTEN = {"shapes.py": "def square(side: int) -> int:\n    return side * side\n"}
"""Modules that an example writes before it imports them."""
FLAVOURS = (
    "The examples are synchronous. In an asynchronous program use `AsyncAGB`, and write `await` before each call,\n"
    "`async with` and `async for`."
)
"""What a guide says of its examples where only one flavour of them is shown."""
SYNC_ONLY, LONG = "sync only", "long"
"""Marks of an example, each a comment on a line of its own before it: it has no asynchronous form; it takes long."""
ENTRY = re.compile(r"^::: (\S+)$", re.MULTILINE)
"""A line of a page of the reference, in whose place mkdocstrings puts a class or a function."""
PICTURE = re.compile(r"!\[[^\]]*\]\((?:\.\./)*images/([^)]+)\)")

NEEDS = re.compile(r"<!-- needs: (\w+) -->")
"""The package that the examples of a page need; a development environment may be without it."""


def pages() -> list[Path]:
    """Return the README and all pages of the documentation."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return the path of a page below ``docs``, or the name of a page that is not there."""
    return str(page.relative_to(DOCS)) if page.is_relative_to(DOCS) else page.name


def module_name(page: Path) -> str:
    """Return a name for the module of a page's examples."""
    return re.sub(r"[^a-z]", "_", name_of(page).lower())


def is_marked(mark: str, text: str, start: int) -> bool:
    """Return whether the example that starts there has a mark, beside others or alone."""
    marks = re.search(r"(?:^<!-- [a-z ]+ -->\n)*\Z", text[:start], re.MULTILINE)
    return marks is not None and f"<!-- {mark} -->\n" in marks[0]


def python_of(text: str) -> str:
    """Return the blocks of a page as one module, each at the line where it stands in the page."""
    lines = [""] * (text.count("\n") + 1)
    for match in BLOCK.finditer(text):
        first = text.count("\n", 0, match.start(1))
        block = match[1].splitlines()
        lines[first : first + len(block)] = block
    return "\n".join(lines) + "\n"


def first_sentence(text: str) -> str:
    """Return the first sentence below the title of a page, without its links."""
    paragraphs = (part for part in text.split("\n\n") if part.strip() and not part.startswith(("#", "!", "<", "|")))
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(next(paragraphs, "").split()))
    return re.split(r"(?<=\.)\s", words, maxsplit=1)[0]


def anchors_of(text: str) -> set[str]:
    """Return the anchors of a page's headings, as the site makes them."""
    found: set[str] = set()
    for line in re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL).splitlines():
        if heading := re.fullmatch(r"#+ (.+)", line):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            anchor = first = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", words).strip().lower())
            number = 0
            while anchor in found:
                number += 1
                anchor = f"{first}_{number}"
            found.add(anchor)
    return found


def missing_for(page: Path) -> str:
    """Return the name of the package that the examples of a page need, if it is not installed, else an empty string."""
    needed = NEEDS.search(page.read_text("utf-8"))
    return needed[1] if needed and find_spec(needed[1]) is None else ""


def pictures_of(text: str) -> list[str]:
    """Return the names of the pictures that the examples of a page save; `tools/screenshots.py` makes the others."""
    code = "".join(block for block, _ in BLOCK.findall(text))
    return [name for name in PICTURE.findall(text) if name in code]
