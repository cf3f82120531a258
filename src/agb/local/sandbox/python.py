"""The Python of sessions: an environment of their own over the machine's interpreter and its packages.

The runtime's interpreter and packages lie anywhere: in a home, in ``/tmp``, in ``/opt``. A sandbox shows what of them
is needed, read-only and under :data:`BASE` and :data:`PACKAGES`, and nothing at its place on the machine. Sessions run
the environment at :data:`PREFIX`, which consists of a few files like a virtual environment and is shared by all
sandboxes. Since it is read-only, ``pip install`` falls back to the user's directory in the session's home.

A session without a sandbox has an environment in a directory of its own, which ``pip install`` writes to.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Self

from attrs import frozen

from ..inside import session_packages
from .shown import RUN, Shown, is_system

BASE = RUN / "base"
"""The interpreter and its standard library, seen from inside."""
PACKAGES = RUN / "packages"
PREFIX = RUN / "python"
"""The environment of a sandboxed session, seen from inside."""

_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_PATHS_MODULE = "_agb_packages"


@frozen(kw_only=True)
class MachinePython:
    """The interpreter of the runtime, without its virtual environment, and the packages it finds."""

    program: Path
    """The interpreter; its standard library is below the directory above it."""
    packages: tuple[Path, ...]
    """Directories of packages, and pip's own archive where pip is not installed."""

    @classmethod
    def find(cls) -> Self:
        """Return what runs this process."""
        program = Path(sys.base_prefix, "bin", Path(sysconfig.get_path("stdlib")).name)
        program = program if program.exists() else Path(sys.executable)
        packages = [
            Path(os.path.realpath(place))
            for place in sys.path
            if place.rstrip("/").endswith(("/site-packages", "/dist-packages")) and Path(place).is_dir()
        ]
        if find_spec("pip") is None:
            bundled = Path(sysconfig.get_path("stdlib"), "ensurepip", "_bundled")
            packages += sorted(Path(os.path.realpath(wheel)) for wheel in bundled.glob("pip-*.whl"))[-1:]
        return cls(program=Path(os.path.realpath(program)), packages=tuple(dict.fromkeys(packages)))

    @property
    def base(self) -> Path:
        """The directory of the interpreter's installation."""
        return self.program.parent.parent

    def shown(self, directory: Path) -> tuple[Shown, ...]:
        """Return what a sandbox has to show of it: nothing, for what the system's directories have anyway.

        ``directory`` is a new one for files that are shown in the place of the machine's.
        """
        packages = tuple(
            Shown(path, Path(PACKAGES, str(number), *([] if path.is_dir() else [path.name])))
            for number, path in enumerate(self.packages)
            if not is_system(path)
        )
        if is_system(self.program):
            return packages
        empty = directory / "empty"
        empty.mkdir(parents=True)
        parts = []
        for name in dict.fromkeys(("lib", sys.platlibdir, "include")):
            path = self.base / name
            if path.is_symlink() or not path.is_dir():
                continue
            parts.append(Shown(path, BASE / name))
            own_packages = Path(_stdlib_name(), "site-packages")
            if (path / own_packages).is_dir():
                parts.append(Shown(empty, BASE / name / own_packages))
        _make_readable(directory)
        return (*self._shown_program(directory), *parts, *packages)

    def _shown_program(self, directory: Path) -> list[Shown]:
        """Return the interpreter, and its shared library at its own place if it is found nowhere else.

        An interpreter that was built with a shared library finds that by a path within the program. In a copy the path
        is replaced by one relative to the program: it is shorter, so nothing else of the file moves.
        """
        place = BASE / "bin" / self.program.name
        name = sysconfig.get_config_var("INSTSONAME") or ""
        library = Path(sysconfig.get_config_var("LIBDIR") or "/", name)
        program = self.program.read_bytes()
        path = b"\0%s\0" % os.fsencode(library.parent)
        if not sysconfig.get_config_var("Py_ENABLE_SHARED") or path not in program or is_system(library):
            return [Shown(self.program, place)]
        relative = f"$ORIGIN/../{library.parent.name}".encode()
        if program.count(path) > 1 or library.parent.parent != self.base or len(relative) > len(path) - 2:
            return [Shown(self.program, place), Shown(library, library)]
        copy = directory / self.program.name
        copy.write_bytes(program.replace(path, (b"\0" + relative).ljust(len(path), b"\0")))
        copy.chmod(0o755)
        return [Shown(copy, place, instead_of=self.program)]


def _stdlib_name() -> str:
    return Path(sysconfig.get_path("stdlib")).name


def write_environment(place: Path, *, seen_at: Path, program: str, packages: Sequence[str]) -> None:
    """Write an environment into a new directory, for sessions that see it at ``seen_at``.

    ``program`` is the interpreter and ``packages`` are the directories of packages, both as the sessions see them.
    """
    site_packages = place / "lib" / _stdlib_name() / "site-packages"
    site_packages.mkdir(parents=True)
    (place / "bin").mkdir()
    for name in ("python", "python3", _VERSION):
        (place / "bin" / name).symlink_to(program)
    # Not the machine's pip, whose first line names the machine's interpreter.
    pip = f'#!/bin/sh\nexec {quote(str(seen_at / "bin/python3"))} -m pip "$@"\n'
    for name in ("pip", "pip3"):
        (place / "bin" / name).write_text(pip)
    # With the system's packages there is a directory for the user's own, which `pip install --user` needs.
    config = f"home = {Path(program).parent}\ninclude-system-site-packages = true\nversion = {sys.version.split()[0]}\n"
    (place / "pyvenv.cfg").write_text(config)
    shutil.copyfile(session_packages.__file__, site_packages / f"{_PATHS_MODULE}.py")
    line = f"import {_PATHS_MODULE}; {_PATHS_MODULE}.add(locals().get('known_paths'), {list(packages)!r})\n"
    (site_packages / f"{_PATHS_MODULE}.pth").write_text(line)
    _make_readable(place)


def _make_readable(place: Path) -> None:
    """Let every user read a tree, whatever the umask of this process is."""
    for directory, _, names in os.walk(place):
        Path(directory).chmod(0o755)
        for name in names:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)
