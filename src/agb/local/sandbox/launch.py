"""How the programs of a sandbox are started: where they are seen, their command lines, and the limits they get."""

from __future__ import annotations

import functools
import itertools
import json
import os
import sys
from pathlib import Path

from attrs import frozen

from .. import inside
from ..limits import Limits
from .bubblewrap import PROGRAMS, Bubblewrap
from .directories import HOME, TMP, CannotMount, Directories, is_own
from .pasta import Pasta

INSIDE = Path(inside.__file__).parent
"""The directory of the programs that run inside sessions, on the machine."""


@frozen(kw_only=True)
class Isolation:
    """How the sandboxes of a runtime are made; ``bubblewrap`` is None for sessions without a sandbox."""

    bubblewrap: Bubblewrap | None
    path: tuple[str, ...]
    """Directories in which programs are found."""
    pasta: Pasta | None = None
    """What connects sessions to the network, if anything does."""

    def program(self, name: str) -> str:
        """Return the path of one of the runtime's own programs, seen from inside."""
        return str((PROGRAMS if self.bubblewrap else INSIDE) / name)

    def helper(self, name: str) -> list[str]:
        """Return the command line of one of the runtime's own programs that is a Python package."""
        return [*_python(), self.program(""), name]

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
        command = [*_python(), self.program("agent.py"), json.dumps(config)]
        if self.bubblewrap is None:
            return command
        return self.bubblewrap.command(directories, user=os.getuid() if user is None else user, program=command)


def _python() -> list[str]:
    """Return how Python is started for a program that uses the standard library only."""
    return [os.path.realpath(sys.executable), "-I", "-S"]


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
