"""The pages of the documentation and the examples in them, for tests, pictures and the site."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
"""An example, and the output that the page shows below it."""
PICTURE = re.compile(r"!\[[^\]]*\]\((?:\.\./)*images/([^)]+)\)")

NEEDS = re.compile(r"<!-- needs: (\w+) -->")
"""The package that the examples of a page import; only ``nox -s integrations`` installs it."""


def pages() -> list[Path]:
    """Return the README and all pages of the documentation."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return the path of a page below ``docs``, or the name of a page that is not there."""
    return str(page.relative_to(DOCS)) if page.is_relative_to(DOCS) else page.name


def missing_for(page: Path) -> str:
    """Return the name of the package that the examples of a page need, if it is not installed, else an empty string."""
    needed = NEEDS.search(page.read_text("utf-8"))
    return needed[1] if needed and find_spec(needed[1]) is None else ""
