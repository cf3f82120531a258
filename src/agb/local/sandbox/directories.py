"""The directories of a session on the machine: making them for its user, and removing them in any state."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from attrs import frozen

HOME = Path("/home/user")
"""The home of a sandboxed session, seen from inside."""
TMP = Path("/tmp")  # the session's own
VAR_TMP = Path("/var/tmp")  # too


class CannotMount(Exception):
    """No context can be mounted at a place; the message is the reason."""


def is_own(place: Path) -> bool:
    """Return whether a place inside lies in a directory that every session has of its own: the home, or /tmp."""
    return place.is_relative_to(HOME) or place.is_relative_to(TMP)


@frozen
class Directories:
    """The directories of one session on the machine; ``mounts`` are places where contexts are mounted inside."""

    root: Path
    mounts: tuple[Path, ...] = ()

    @property
    def home(self) -> Path:
        """The session's home."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """The session's /tmp."""
        return self.root / "tmp"

    @property
    def var_tmp(self) -> Path:
        """The session's /var/tmp."""
        return self.root / "var-tmp"

    @property
    def sockets(self) -> Path:
        """The sockets of kernels."""
        return self.root / "sockets"

    @property
    def python(self) -> Path:
        """The session's own Python; sandboxed sessions share one instead."""
        return self.root / "python"

    @property
    def etc(self) -> Path:
        """Files of /etc made for this session."""
        return self.root / "etc"

    @property
    def elsewhere(self) -> dict[Path, Path]:
        """The mounts that are neither in the home nor in /tmp: place inside -> directory on the machine."""
        outside = [place for place in self.mounts if not (place.is_relative_to(HOME) or place.is_relative_to(TMP))]
        return {place: self.root / "mounts" / str(number) for number, place in enumerate(outside)}

    def on_machine(self, place: Path) -> tuple[Path, Path]:
        """Return the directory on the machine that holds a mount, and the way from there to it."""
        if place.is_relative_to(HOME):
            return self.home, place.relative_to(HOME)
        if place.is_relative_to(TMP):
            return self.tmp, place.relative_to(TMP)
        return self.elsewhere[place], Path()

    def is_missing(self, path: str) -> bool:
        """Return whether nothing is at a path inside, as far as that is known on the machine; else False.

        Only its first directory is looked at: what is below may be reached by a link that leads elsewhere inside.
        """
        try:
            directory, way = self.on_machine(Path(path))
        except KeyError:
            return False
        return bool(way.parts) and not os.path.lexists(directory / way.parts[0])

    def make(self, owner: int | None) -> None:
        """Make them, owned by the session's user."""
        self.root.mkdir(mode=0o700)
        self.etc.mkdir(mode=0o755)
        for path in (self.home, self.tmp, self.var_tmp, self.sockets):
            path.mkdir(mode=0o700)
            if owner is not None:
                os.chown(path, owner, owner)
        for path in (self.tmp, self.var_tmp):
            path.chmod(0o1777)
        if self.elsewhere:
            (self.root / "mounts").mkdir(mode=0o755)
        for place in self.mounts:
            directory, way = self.on_machine(place)
            for path in reversed([directory / part for part in (way, *way.parents)]):
                if not path.exists():
                    path.mkdir(mode=0o755)
                    if owner is not None:
                        os.chown(path, owner, owner)


async def remove(directory: Path) -> None:
    """Remove a directory of sessions with its contents, which may be deep, read-only or have any name."""

    def run() -> None:
        for program in (["rm", "-rf"], ["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            if not os.path.lexists(directory):
                return
            subprocess.run([*program, "--", str(directory)], stderr=subprocess.DEVNULL, check=False)

    await asyncio.to_thread(run)
