"""Images: the kinds of sessions, and the tools of each."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

from ..errors import invalid
from .browser_tools import BROWSER_SCREENSHOT, BROWSER_TOOLS
from .desktop_tools import DESKTOP_TOOLS
from .file_tools import FILE_TOOLS
from .page_use import PAGE_USE_TOOLS
from .shell_tool import SHELL
from .tools import GET_METRICS, RUN_CODE, Tool

_BASE: Final = (RUN_CODE, SHELL, *FILE_TOOLS, GET_METRICS)
_BROWSER: Final = (*_BASE, *BROWSER_TOOLS, *PAGE_USE_TOOLS)
_DESKTOP: Final = (*_BROWSER, *DESKTOP_TOOLS)

IMAGES: Final[Mapping[str, tuple[Tool, ...]]] = {
    "agb-code-space-1": _BASE,
    "agb-code-space-2": _BASE,
    "agb-browser-use-1": (*_BROWSER, BROWSER_SCREENSHOT),
    "agb-computer-use-1": _DESKTOP,
    "agb-computer-use-ubuntu-2204": _DESKTOP,
}

WITH_DESKTOP: Final = frozenset(image for image, tools in IMAGES.items() if tools is _DESKTOP)
"""The images whose sessions have a desktop."""

WITHOUT_LINK: Final = frozenset({"agb-computer-use-1"})
"""The images whose sessions have no URL for calls of tools beside the API.

Clients take it from that URL by which tool a picture of the screen is taken: with one by ``screenshot``, else by
``system_screenshot``. So there is an image for each of the two.
"""


def abilities(missing: Container[str]) -> dict[str, str]:
    """Return what the sessions of each image can do on a machine where some parts are missing."""
    parts = {"browser": BROWSER_TOOLS, "desktop": DESKTOP_TOOLS}
    return {
        image: ", ".join(
            [
                "code, commands, files",
                *(name for name, of in parts.items() if set(of) <= set(tools) and name not in missing),
            ]
        )
        for image, tools in IMAGES.items()
    }


def tools_of(image_id: str) -> tuple[Tool, ...]:
    """Return the tools of an image. Raises ``Refused`` for an unknown one."""
    if image_id not in IMAGES:
        raise invalid(f"There is no image {image_id[:100]!r}; there are {', '.join(IMAGES)}")
    return IMAGES[image_id]


def has_browser(image_id: str) -> bool:
    """Return whether the sessions of an image have a browser. Raises ``Refused`` for an unknown one."""
    return set(BROWSER_TOOLS) <= set(tools_of(image_id))


def check_browser(image_id: str) -> None:
    """Raise ``Refused`` unless the sessions of an image have a browser."""
    if not has_browser(image_id):
        having = ", ".join(image for image in IMAGES if has_browser(image))
        raise invalid(f"The image {image_id} has no browser; create the session with one of {having}")
