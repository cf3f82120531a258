"""Environments of the benchmarks: what a user of the bare package has, and nothing of this project's own tools."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import agb

from .processes import REPOSITORY

_BELONGS_TO_VENV = {"pip", "setuptools", "wheel"}


@dataclass(frozen=True)
class Environment:
    """An environment in a directory of its own."""

    python: str
    site_packages: Path

    def distributions(self) -> list[metadata.Distribution]:
        """Return what is installed, without what every environment has."""
        found = metadata.distributions(path=[str(self.site_packages)])
        return [each for each in found if canonicalize_name(each.metadata["Name"]) not in _BELONGS_TO_VENV]

    def megabytes(self) -> float:
        """Return the size of what is installed, compiled files included."""
        paths = {path for each in self.distributions() for path in each.files or () if not path.is_absolute()}
        return sum(Path(self.site_packages / path).stat().st_size for path in paths) / 1e6


def installed(directory: Path) -> Environment:
    """Make an environment in which the package is installed by pip, with its required dependencies."""
    environment = _new(directory)
    pip = [environment.python, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "install", str(REPOSITORY)], check=True)
    return environment


def copied(directory: Path) -> Environment:
    """Make an environment of the package and its required dependencies, copied from this one, and of nothing else.

    What is installed for development would be no measure: tools add code of their own to every start of Python.
    """
    environment = _new(directory, "--without-pip")
    for name in _required("agb") - {"agb"}:
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and source.is_file():
                target = environment.site_packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    shutil.copytree(Path(agb.__file__).parent, environment.site_packages / "agb")
    return environment


def _new(directory: Path, *options: str) -> Environment:
    subprocess.run([sys.executable, "-m", "venv", *options, str(directory)], check=True)
    python = directory / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([str(python), "-c", ask], check=True, capture_output=True, text=True)
    return Environment(str(python), Path(found.stdout.strip()))


def _required(name: str) -> set[str]:
    """Return the names of a distribution and of all it requires, extras left out."""
    names: set[str] = set()
    todo = [name]
    while todo:
        name = canonicalize_name(todo.pop())
        if name in names:
            continue
        names.add(name)
        requirements = map(Requirement, metadata.requires(name) or ())
        todo += [each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
    return names
