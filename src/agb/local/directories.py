"""The directories of a session on the machine: made, given to its user, removed whatever was done to them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from attrs import frozen


@frozen
class Directories:
    """The directories of one session on the machine."""

    root: Path

    @property
    def home(self) -> Path:
        """The session's home."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """The session's /tmp."""
        return self.root / "tmp"

    @property
    def sockets(self) -> Path:
        """Where kernels put their sockets."""
        return self.root / "sockets"

    @property
    def etc(self) -> Path:
        """Files of /etc made for this session."""
        return self.root / "etc"

    def make(self, owner: int | None) -> None:
        """Make them, given to the session's user."""
        self.root.mkdir(mode=0o700)
        self.etc.mkdir(mode=0o755)
        for path in (self.home, self.tmp, self.sockets):
            path.mkdir(mode=0o700)
            if owner is not None:
                os.chown(path, owner, owner)
        self.tmp.chmod(0o1777)


async def remove(directory: Path) -> None:
    """Remove a directory of sessions with all that is in it, however deep, read-only or strangely named."""

    def run() -> None:
        for program in (["rm", "-rf"], ["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            if not os.path.lexists(directory):
                return
            subprocess.run([*program, "--", str(directory)], stderr=subprocess.DEVNULL, check=False)  # noqa: S603

    await asyncio.to_thread(run)
