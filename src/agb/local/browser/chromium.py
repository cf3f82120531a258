"""Finding Chromium on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from attrs import frozen

from .fingerprint import Fingerprint, client_hints

INSTALL = "install Chromium (Debian: apt install chromium; Fedora: dnf install chromium)"

_BINARIES = (
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/usr/lib64/chromium-browser/chromium-browser",
)
"""The programs behind the distributions' shell wrappers.

The program itself is run. A wrapper adds options of a desktop (the GPU, extensions of the machine, keys of Google's
services) from files that a sandbox does not show, and needs further programs.
"""
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@frozen
class Chromium:
    """The Chromium of this machine."""

    program: str
    version: str
    """As it says itself, such as ``Chromium 156.0.8078.114``."""

    @property
    def number(self) -> str:
        """The version alone, such as ``156.0.8078.114``."""
        return self.version.rpartition(" ")[2]

    @property
    def is_chrome(self) -> bool:
        """Whether it is Google's build."""
        return self.version.startswith("Google")

    @property
    def own_fingerprint(self) -> Fingerprint:
        """What it says of itself on a machine with a display, where it does not call itself headless."""
        major = self.number.partition(".")[0]
        engine = f"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 Safari/537.36"
        return Fingerprint(
            user_agent=f"Mozilla/5.0 (X11; Linux x86_64) {engine}",
            metadata=client_hints(self.number, "Google Chrome" if self.is_chrome else "", "Linux", is_mobile=False),
            languages=("en-US", "en"),
            is_complete=False,
        )

    @property
    def tree(self) -> Path:
        """The directory that its program needs beside the system's libraries."""
        return Path(self.program).parent


def find_chromium() -> Chromium | None:
    """Return the Chromium of this machine, None without one. Starts it to read the version."""
    named = (os.path.realpath(found) for name in _NAMES if (found := shutil.which(name)) is not None)
    for program in (*_BINARIES, *named):
        if os.access(program, os.X_OK) and (version := _version(program)):
            return Chromium(program, version)
    return None


def _version(program: str) -> str:
    """Return what a program says of its version; empty if it is no Chromium that runs outside of its package.

    A snap's command is a link to the program ``snap``, which runs in no sandbox.
    """
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"(?:Chromium|Google Chrome) \d+(?:\.\d+)+", done.stdout)
    return found[0] if found and done.returncode == 0 else ""
