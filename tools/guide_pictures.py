"""The pictures of the guides: made by the examples of the guides themselves.

    python -m tools.guide_pictures

A guide shows a picture as ``![...](images/name.png)`` if one of its examples saves ``name.png``. This runs the
examples of each such guide in order, against a local runtime and in an empty directory, and writes what they have saved
to ``docs/images``, large ones at half the size, and with few colours, so that the repository stays small.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

import agb.local
from tools.guides import BLOCK, DOCS, pages, pictures_of

COLOURS = 32
WIDEST = 1000
"""Pixels of a picture that is stored in its own size."""


def write_pictures(page: Path) -> list[Path]:
    """Run the examples of a page in the current directory and write the pictures that it shows; return their paths."""
    text = page.read_text("utf-8")
    names = pictures_of(text)
    if not names:
        return []
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for source, _ in BLOCK.findall(text):
        exec(compile(source, str(page), "exec", dont_inherit=True), namespace)
    return [_write(Path(name), DOCS / "images" / name) for name in names]


def _write(source: Path, target: Path) -> Path:
    target.parent.mkdir(exist_ok=True)
    with Image.open(source) as picture:
        shown = picture.convert("RGB")
        if shown.width > WIDEST:
            shown = shown.resize((shown.width // 2, shown.height // 2), Image.Resampling.LANCZOS)
        shown.quantize(COLOURS).save(target, optimize=True)
    return target


def main() -> None:
    """Write the pictures of all guides."""
    with agb.local.serve(allow_none=True) as server, tempfile.TemporaryDirectory() as directory:
        os.environ["AGB_API_KEY"], os.environ["AGB_ENDPOINT"] = server.api_key, server.endpoint
        os.chdir(directory)
        for page in pages():
            for path in write_pictures(page):
                sys.stderr.write(f"wrote {path.relative_to(DOCS.parent)} ({path.stat().st_size:,} bytes)\n")
        os.chdir(DOCS)


if __name__ == "__main__":
    main()
