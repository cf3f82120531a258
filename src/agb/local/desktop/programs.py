"""The programs and packages a desktop is made of, and what to install where they are missing."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from attrs import evolve, field, frozen

from ..report import Report

_PROGRAMS: Final = {"Xvnc": "tigervnc-standalone-server", "openbox": "openbox"}
"""Program -> its package in Debian and Ubuntu."""
_VIEWERS: Final = ("/usr/share/novnc", "/usr/share/webapps/novnc")
INSTALL_VIEWER: Final = "install noVNC (Debian and Ubuntu: apt install novnc)"
_PACKAGES: Final = ("Xlib", "PIL")


@frozen
class DesktopPrograms:
    """What a desktop needs: ``found`` are programs and their paths, ``missing`` says what to install."""

    found: dict[str, str] = field(factory=dict)
    missing: str = ""
    viewer: Path | None = None
    """The directory of noVNC, which shows a screen in a browser; None if it is not installed."""

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
        return cls({name: path for name, path in paths.items() if path is not None}, "; ".join(remedies), _viewer())

    def reported(self, report: Report, width: int, height: int) -> Report:
        """Return a report with the desktop, and with what to install."""
        missing = {"desktop": self.missing} if self.missing else {}
        if self.viewer is None:
            missing["screen in the page"] = INSTALL_VIEWER
        desktop = "" if self.missing else f"TigerVNC and openbox, a screen of {width}x{height}"
        return evolve(report, desktop=desktop, missing={**report.missing, **missing})


def _viewer() -> Path | None:
    return next((path for path in map(Path, _VIEWERS) if (path / "core/rfb.js").is_file()), None)
