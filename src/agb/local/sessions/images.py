"""Images: what kinds of session there are, and the tools each has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .file_tools import FILE_TOOLS
from .tools import GET_METRICS, RUN_CODE, SHELL, Tool

_BASE: Final = (RUN_CODE, SHELL, *FILE_TOOLS, GET_METRICS)

IMAGES: Final[Mapping[str, tuple[Tool, ...]]] = {
    "agb-code-space-1": _BASE,
    "agb-code-space-2": _BASE,
    "agb-browser-use-1": _BASE,
    "agb-computer-use-1": _BASE,
    "agb-computer-use-ubuntu-2204": _BASE,
}
