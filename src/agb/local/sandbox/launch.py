"""How the programs of a sandbox are started: where they are seen, their command lines, and the limits they get."""

from __future__ import annotations

import functools
import itertools
import json
import os
from pathlib import Path

from attrs import frozen

from .. import inside
from ..limits import Limits
from .bubblewrap import PROGRAMS, Bubblewrap
from .directories import HOME, TMP, CannotMount, Directories, is_own
from .pasta import Pasta
from .python import PREFIX, MachinePython, write_environment
from .shown import seen

INSIDE = Path(inside.__file__).parent
"""The directory of the programs that run inside sessions, on the machine."""


@frozen(kw_only=True)
class Isolation:
    """How the sandboxes of a runtime are made; ``bubblewrap`` is None for sessions without a sandbox."""

    bubblewrap: Bubblewrap | None
    path: tuple[str, ...]
    """Directories in which programs are found, after the session's own."""
    python: MachinePython
    """What the session's Python and the runtime's own programs are run by."""
    pasta: Pasta | None = None
    """What connects sessions to the network, if anything does."""

    def program(self, name: str) -> str:
        """Return the path of one of the runtime's own programs, seen from inside."""
        return str((PROGRAMS if self.bubblewrap else INSIDE) / name)

    def seen(self, path: str | Path) -> str:
        """Return where a program or a directory of the machine is seen from inside."""
        return str(Path(path) if self.bubblewrap is None else seen(Path(path), self.bubblewrap.shown))

    def prefix(self, directories: Directories) -> Path:
        """Return the directory of the session's Python, seen from inside."""
        return directories.python if self.bubblewrap is None else PREFIX

    def make(self, directories: Directories, user: int | None) -> None:
        """Make the directories of a session, and what its Python needs unless all sessions share it."""
        directories.make(user)
        if self.bubblewrap is None:
            self.write_environment(directories.python, directories.python)

    def write_environment(self, place: Path, seen_at: Path) -> None:
        """Write an environment of Python into a new directory."""
        packages = [self.seen(path) for path in self.python.packages]
        write_environment(place, seen_at=seen_at, program=self.seen(self.python.program), packages=packages)

    def helper(self, name: str) -> list[str]:
        """Return the command line of one of the runtime's own programs that is a Python package."""
        return [*self._python(), self.program(""), name]

    def check_mount(self, place: Path) -> None:
        """Raise ``CannotMount`` unless a context can be mounted at a place inside."""
        if self.bubblewrap is not None:
            self.bubblewrap.check_mount(place)
        elif not is_own(place):
            raise CannotMount(
                f"this runtime does not isolate sessions, so there are only {HOME} and {TMP}, "
                "which stand for the session's HOME and TMPDIR"
            )

    def agent(self, directories: Directories, control: int, limits: Limits, user: int | None) -> list[str]:
        """Return the command line of a session's agent."""
        plain = self.bubblewrap is None
        config = {"control": control, "plain": plain, "uid": user, "limits": _resource_limits(limits, plain=plain)}
        command = [*self._python(), self.program("agent.py"), json.dumps(config)]
        if self.bubblewrap is None:
            return command
        return self.bubblewrap.command(directories, user=os.getuid() if user is None else user, program=command)

    def _python(self) -> list[str]:
        """Return how Python is started for a program that uses the standard library only."""
        return [self.seen(self.python.program), "-I", "-S"]


def _resource_limits(limits: Limits, *, plain: bool) -> dict[str, int]:
    binding = {"core": 0, "fsize": limits.file_size, "data": limits.memory, "nofile": limits.open_files}
    # Before Linux 5.14 an ordinary user's processes are counted all together, not per namespace.
    if not plain and (os.getuid() == 0 or _kernel() >= (5, 14)):
        binding["nproc"] = limits.processes
    return binding


@functools.cache
def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(itertools.takewhile(str.isdigit, minor)))
