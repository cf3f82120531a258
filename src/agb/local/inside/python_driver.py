"""Runs inside a session: starts the package ``python_kernel`` beside it, a Jupyter kernel.

The package gets a name of its own, and no directory of ours is left on ``sys.path``: modules of the code are never
hidden by those of the runtime.
"""

from __future__ import annotations

import importlib.util
import os
import sys

_NAME = "_agb_kernel"


def main() -> None:
    """Start the kernel."""
    del sys.path[0]  # this file's directory; the kernel adds the working directory
    directory = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_kernel")
    spec = importlib.util.spec_from_file_location(
        _NAME, os.path.join(directory, "__init__.py"), submodule_search_locations=[directory]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no package {directory}")
    package = sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    importlib.import_module(f"{_NAME}.service").main()


if __name__ == "__main__":
    main()
