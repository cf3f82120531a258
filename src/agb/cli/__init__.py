"""The command line ``agb``: what people do with sessions without writing a program.

`main` is the entry point, also of ``python -m agb``. The commands need click and rich (the extra ``cli``, which is part
of ``local``), so that importing this package loads neither.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_NEEDED = ("click", "rich", "platformdirs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``agb`` with the given arguments (default: the process's) and return the exit code."""
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NEEDED:
            raise
        sys.stderr.write(f"agb: the command line needs one more package ({error.name}): pip install 'agb[cli]'\n")
        return 2
    return run(list(sys.argv[1:] if arguments is None else arguments))
