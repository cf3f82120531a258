"""The report of a runtime: how sessions are run on this machine, and how they are reached."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen


@frozen
class Report:
    """How a runtime runs sessions."""

    isolation: Literal["bubblewrap", "none"]
    isolation_note: str
    """A sentence about it, for the banner."""
    network: Literal["pasta", "isolated", "host"]
    languages: dict[str, str] = field(factory=dict)
    """Language -> version."""
    missing: dict[str, str] = field(factory=dict)
    """Language, or ``browser`` -> what to install."""
    browser: str = ""
    """The browser of sessions and its version; empty if there is none."""
    links: Literal["name", "path"] = "path"
    """The form of links for callers on this machine: by host name, or by path."""
    links_note: str = ""
    """A sentence about it, for the banner: the reason, and what to install."""
