"""Images: the kinds of sessions, and the tools of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..errors import invalid
from .desktop_tools import DESKTOP_TOOLS
from .file_tools import FILE_TOOLS
from .tools import GET_METRICS, RUN_CODE, SHELL, Tool

_BASE: Final = (RUN_CODE, SHELL, *FILE_TOOLS, GET_METRICS)
_DESKTOP: Final = (*_BASE, *DESKTOP_TOOLS)

IMAGES: Final[Mapping[str, tuple[Tool, ...]]] = {
    "agb-code-space-1": _BASE,
    "agb-code-space-2": _BASE,
    "agb-browser-use-1": _BASE,
    "agb-computer-use-1": _DESKTOP,
    "agb-computer-use-ubuntu-2204": _DESKTOP,
}

WITH_DESKTOP: Final = frozenset(image for image, tools in IMAGES.items() if tools is _DESKTOP)
"""The images whose sessions have a desktop."""


def tools_of(image_id: str) -> tuple[Tool, ...]:
    """Return the tools of an image. Raises ``Refused`` for an unknown one."""
    if image_id not in IMAGES:
        raise invalid(f"There is no image {image_id[:100]!r}; there are {', '.join(IMAGES)}")
    return IMAGES[image_id]
