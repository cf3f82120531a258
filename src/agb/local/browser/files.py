"""The files of a session, as its browser needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class FileReply(Protocol):
    """The reply of a file tool."""

    @property
    def text(self) -> str:
        """What was read, or a sentence on the failure."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        ...


class SessionFiles(Protocol):
    """The file tools of a session."""

    async def call(self, tool: str, args: Mapping[str, Any], content: bytes = b"") -> FileReply:
        """Run a tool."""
        ...
