"""Runs a program of this directory that is a package: ``python -I -S inside PROGRAM``.

Python puts the directory that it runs first on ``sys.path``. Here the directory above is appended instead: this one
becomes a package in it, so relative imports work, and no module of ours hides one of the standard library.
"""

from __future__ import annotations

import importlib
import os
import sys


def main() -> None:
    """Run the program that the first argument names."""
    directory = os.path.dirname(os.path.abspath(__file__))
    del sys.path[0]
    sys.path.append(os.path.dirname(directory))
    importlib.import_module(f"{os.path.basename(directory)}.{sys.argv[1]}.service").main()


if __name__ == "__main__":
    main()
