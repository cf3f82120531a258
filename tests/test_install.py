"""A bare install is small: the requirements of `agb` and of everything it requires, from installed metadata."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import distribution, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def requirements_of(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Return the names of a distribution and of everything it requires, without extras unless they are given."""
    found: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        current, wanted = waiting.pop()
        found.add(canonicalize_name(current))
        for text in requires(current) or []:
            requirement = Requirement(text)
            asked = [""] if not wanted else sorted(wanted)
            marker = requirement.marker
            applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in asked)
            if applies and canonicalize_name(requirement.name) not in found:
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


def test_bare_install_is_small() -> None:
    names = requirements_of("agb")
    assert len(names) <= 12, sorted(names)
    assert not names & {"playwright", "pydantic", "loguru", "requests", "aiohttp", "starlette", "uvicorn"}


def test_required_are_five() -> None:
    required = [Requirement(text) for text in requires("agb") or [] if "extra ==" not in text]
    assert {requirement.name for requirement in required} == {"httpx", "anyio", "attrs", "websockets", "python-dotenv"}
    assert all(requirement.marker is None for requirement in required)


def test_h11_comes_with_httpx() -> None:
    """It is imported but not listed as a requirement; if httpx stops requiring it, it must be listed."""
    assert "h11" in requirements_of("httpx")
    assert distribution("h11").version


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")
def test_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    """Also those that are not Python: templates of pages, drivers of other languages, the mark of typed packages."""
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {str(path.relative_to(root / "src")) for path in (root / "src").rglob("*") if path.is_file()}
    expected = {name for name in files if "__pycache__" not in name}
    assert "agb/local/api/templates/session_page.html" in expected
    assert packed == expected
    # pytest finds the plugin by the metadata of the wheel, here in a directory that comes first on the path
    ZipFile(wheel).extractall(tmp_path / "site")
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--help"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    shown = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert "--agb-endpoint=URL" in shown.stdout
