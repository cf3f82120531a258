"""Write the examples of README and guides as Python files, so that type checkers read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def python_of(text: str) -> str:
    """Return the blocks of a page as one module, each at the line where it stands in the page."""
    lines = [""] * (text.count("\n") + 1)
    for match in BLOCK.finditer(text):
        first = text.count("\n", 0, match.start(1))
        block = match[1].splitlines()
        lines[first : first + len(block)] = block
    return "\n".join(lines) + "\n"


def write(directory: Path) -> list[Path]:
    """Write one file for each page that has examples, and return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for page in PAGES:
        code = python_of(page.read_text("utf-8"))
        if code.strip():
            path = directory / f"{page.stem.lower()}_examples.py"
            path.write_text(code, "utf-8")
            paths.append(path)
    return paths


if __name__ == "__main__":
    write(ROOT / "build" / "examples")
