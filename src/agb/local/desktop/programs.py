"""The programs and packages a desktop is made of, and what to install where they are missing."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import Final

from attrs import field, frozen

_PROGRAMS: Final = {"Xvnc": "tigervnc-standalone-server", "openbox": "openbox"}
"""Program -> its package in Debian and Ubuntu."""
_PACKAGES: Final = ("Xlib", "PIL")


@frozen
class DesktopPrograms:
    """What a desktop needs: ``found`` are programs and their paths, ``missing`` says what to install."""

    found: dict[str, str] = field(factory=dict)
    missing: str = ""

    @classmethod
    def find(cls) -> DesktopPrograms:
        """Return what this machine has."""
        paths = {name: shutil.which(name) for name in _PROGRAMS}
        absent = [name for name, path in paths.items() if path is None]
        remedies = []
        if absent:
            packages = " ".join(_PROGRAMS[name] for name in absent)
            remedies.append(f"{' and '.join(absent)} not found (Debian and Ubuntu: apt install {packages})")
        if any(find_spec(name) is None for name in _PACKAGES):
            remedies.append("Python packages are missing (pip install 'agb[local]')")
        return cls({name: path for name, path in paths.items() if path is not None}, "; ".join(remedies))
