"""Options of the local runtime, checked before anything is started."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from attrs import Attribute, field, fields, frozen
from attrs.converters import optional

from .errors import CannotStart

_PUBLIC_URL = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")

_SCREEN = re.compile(r"[0-9]{1,5}x[0-9]{1,5}")
_PLANNER = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")

MOST_WARM = 16
"""Sandboxes that may wait; each takes some 80 MB of memory with a kernel and its network."""

Isolation = Literal["auto", "bubblewrap", "none"]
Network = Literal["auto", "isolated", "host"]


def new_key() -> str:
    """Return a new random API key."""
    return f"ako-local-{secrets.token_urlsafe(24)}"


def _one_of(choices: Any) -> Any:
    def check(_: object, attribute: Attribute[str], value: str) -> None:
        if value not in get_args(choices):
            raise CannotStart(f"{attribute.name} must be one of {', '.join(get_args(choices))}, not {value!r}")

    return check


def _is_port(_: object, _attribute: Attribute[int], value: int) -> None:
    if not isinstance(value, int) or not 0 <= value <= 65_535:
        raise CannotStart(f"port must be a whole number from 0 (any free port) to 65535, not {value!r}")


def _is_key(_: object, _attribute: Attribute[str], value: str) -> None:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value or " " in value:
        raise CannotStart("the API key must be printable ASCII without spaces, and not empty, to fit into a header")


def _is_time(_: object, _attribute: Attribute[float | None], value: float | None) -> None:
    if value is not None and not (isinstance(value, int | float) and 0 < value < float("inf")):
        raise CannotStart(f"idle_timeout must be a number of seconds greater than 0, not {value!r}")


def _is_warm(_: object, _attribute: Attribute[int], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_WARM:
        raise CannotStart(f"warm must be a whole number from 0 to {MOST_WARM}, not {value!r}")


def _is_public_url(_: object, _attribute: Attribute[str | None], value: str | None) -> None:
    if value is not None and not (isinstance(value, str) and _PUBLIC_URL.fullmatch(value)):
        raise CannotStart(
            "public_url must be a scheme and a host, with a port if it needs one, and without a path, "
            f"such as 'https://sandboxes.example.com', not {value!r}"
        )


def _is_screen(_: object, _attribute: Attribute[str], value: str) -> None:
    if not (isinstance(value, str) and _SCREEN.fullmatch(value) and all(64 <= size <= 8192 for size in sizes(value))):
        raise CannotStart(f"screen must be a width and a height from 64 to 8192, such as '1920x1080', not {value!r}")


def sizes(screen: str) -> tuple[int, int]:
    """Return the width and the height of the screen that an option names."""
    width, _, height = screen.partition("x")
    return int(width), int(height)


def _is_planner(_: object, _attribute: Attribute[str | None], value: str | None) -> None:
    if value is not None and not (isinstance(value, str) and _PLANNER.fullmatch(value)):
        raise CannotStart(f"planner must be 'module:function', not {value!r}")


def _without_slash(value: Any) -> Any:
    return value.removesuffix("/") if isinstance(value, str) else value


@frozen(kw_only=True)
class Options:
    """How to serve the local runtime; raises `CannotStart` for values that make no sense."""

    host: str = "127.0.0.1"
    port: int = field(default=0, validator=_is_port)
    """0 takes any free port."""
    api_key: str = field(factory=new_key, validator=_is_key, repr=False)
    data_dir: Path | None = field(default=None, converter=optional(Path))
    isolation: Isolation = field(default="auto", validator=_one_of(Isolation))
    network: Network = field(default="auto", validator=_one_of(Network))
    idle_timeout: float | None = field(default=None, validator=_is_time)
    """Seconds without activity after which a session is released unless it asked for another time; None: 300."""
    public_url: str | None = field(default=None, converter=_without_slash, validator=_is_public_url)
    """The URL by which other machines reach the server; the URLs that it answers begin with it."""
    allow_none: bool = False
    """Whether ``isolation="auto"`` continues without isolation where bubblewrap does not work."""

    warm: int = field(default=1, validator=_is_warm)
    """Sandboxes that are made ahead of the sessions that get them; 0 makes none."""
    screen: str = field(default="1920x1080", validator=_is_screen)
    """Width and height of the screen of desktops, in pixels."""

    planner: str | None = field(default=None, validator=_is_planner)
    """The function that decides what agents of browsers do, as ``module:function``; None: the runtime's own engine."""
    planner_path: tuple[str, ...] = field(default=(), converter=tuple)
    """Directories that are searched for its module, besides Python's own."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Options:
        """Return options from plain values; those that are None or missing have their defaults."""
        known = {attribute.name for attribute in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise CannotStart(f"there is no option {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return cls(**{name: value for name, value in given.items() if value is not None})

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
