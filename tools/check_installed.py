"""What an installed package must be: typed, without tests, small. Run by the python of an environment with it alone.

python tools/check_installed.py
"""

from __future__ import annotations

import sys
from importlib.metadata import distribution
from pathlib import Path

MOST_BYTES = 8_000_000
"""Without compiled files."""


def main() -> int:
    """Check the distribution `agb` of this environment; return the exit code."""
    installed = distribution("agb")
    files = [Path(str(installed.locate_file(file))) for file in installed.files or []]
    names = [str(file) for file in installed.files or []]
    size = sum(path.stat().st_size for path in files if path.is_file() and path.suffix != ".pyc")  # pip compiles here
    problems = []
    if "agb/py.typed" not in names:
        problems.append("there is no py.typed")
    foreign = [name for name in names if name.split("/")[0] in {"tests", "docs", "tools", "benchmarks", "examples"}]
    if foreign:
        problems.append(f"it has files that are not of the package: {', '.join(foreign[:5])}")
    if size > MOST_BYTES:
        problems.append(f"it has {size:,} bytes, and {MOST_BYTES:,} are the most")
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or f"well: {len(names)} files, {size:,} bytes\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
