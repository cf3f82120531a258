"""What a sandbox shows of the machine, and where."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

RUN = Path("/run/agb")
"""The runtime's own directory, seen from inside."""
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Directories of the machine that every sandbox shows, read-only and in their own place."""


@frozen
class Shown:
    """A directory or file of the machine, and the place at which sandboxes show it, read-only."""

    source: Path
    place: Path
    instead_of: Path | None = None
    """The file of the machine of which ``source`` is a changed copy."""


def is_system(path: Path) -> bool:
    """Return whether the system's directories contain a path, so that every sandbox shows it anyway."""
    return any(path == Path(name) or path.is_relative_to(name) for name in SYSTEM)


def seen(path: Path, shown: Iterable[Shown]) -> Path:
    """Return where a path of the machine is seen from inside; the path itself if nothing else is shown of it.

    Of several parts that contain the path the innermost counts, since it is shown over the others.
    """
    found = path
    depth = 0
    for part in shown:
        source = part.instead_of or part.source
        if path.is_relative_to(source) and len(source.parts) > depth:
            found, depth = part.place / path.relative_to(source), len(source.parts)
    return found
