"""Makes the pictures of the guides, by the examples that are shown beside them, in a local runtime.

    python tools/guide_pictures.py

An example writes its picture into the current directory; the guide shows the file of that name in ``docs/images``.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from agb import local

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXAMPLE_AND_PICTURE = re.compile(
    r"^```python\n((?:(?!^```$).)*)^```\n(?:\n```text\n(?:(?!^```$).)*^```\n)?\n!\[[^]]*\]\(images/([\w-]+\.png)\)$",
    re.MULTILINE | re.DOTALL,
)


def main() -> None:
    """Run each example that a picture follows, and keep the picture."""
    for guide in sorted(DOCS.glob("*.md")):
        for code, name in EXAMPLE_AND_PICTURE.findall(guide.read_text("utf-8")):
            exec(compile(code, str(guide), "exec"), {"__name__": "__main__"})
            shutil.copy(name, DOCS / "images" / name)
            print(f"made docs/images/{name}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory, local.serve(allow_none=True, warm=0) as server:
        os.chdir(directory)
        os.environ.update(AGB_API_KEY=server.api_key, AGB_ENDPOINT=server.endpoint)
        main()
        os.chdir(DOCS)
