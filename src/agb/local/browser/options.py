"""The options of a browser, as a request has them, and what they mean for its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .launch import BLANK, LaunchOptions


def read(option: Mapping[str, Any]) -> LaunchOptions:
    """Return what the JSON object ``browserOption`` asks for."""
    arguments = [str(argument) for argument in option.get("cmdArgs") or ()]
    if user_agent := option.get("userAgent"):
        arguments.append(f"--user-agent={user_agent}")
    if viewport := option.get("viewport"):
        arguments.append(f"--window-size={viewport['width']},{viewport['height']}")
    return LaunchOptions(arguments=tuple(arguments), start_url=option.get("defaultNavigateUrl") or BLANK)
