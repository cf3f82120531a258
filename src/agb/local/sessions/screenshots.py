"""Pictures of a session's screen that are fetched by a URL: kept for some time, and not longer than the session."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

KEPT_SECONDS = 1800.0
"""How long a picture can be fetched."""
_MOST = 100
"""Pictures kept of one session; another one takes the place of the oldest."""


class Screenshots:
    """The pictures of one session, as files in a directory that its programs do not see, under names that are secrets.

    The directory is made with the first picture, and removed with the others of the session.
    """

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._until: dict[str, float] = {}

    async def keep(self, picture: bytes) -> str:
        """Keep a PNG file and return its name."""
        name = f"{secrets.token_urlsafe(24)}.png"
        gone = [old for old, until in self._until.items() if until <= self._clock()]
        gone += list(self._until)[len(gone) : len(self._until) - _MOST + 1]
        for old in gone:
            del self._until[old]

        def write() -> None:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            for old in gone:
                (self._directory / old).unlink(missing_ok=True)
            (self._directory / name).write_bytes(picture)

        await asyncio.to_thread(write)
        self._until[name] = self._clock() + KEPT_SECONDS
        return name

    def find(self, name: str) -> Path | None:
        """Return the file of a name, None if there is none or its time is over."""
        until = self._until.get(name)
        return self._directory / name if until is not None and until > self._clock() else None
