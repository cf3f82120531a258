"""Packages in sessions: what the machine has, what is installed meanwhile, and environments made inside."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agb.local.sandbox import python as session_python
from agb.local.sandbox.python import MachinePython, write_environment
from agb.local.sandbox.shown import Shown, seen
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import IMAGE, needs_bubblewrap, output, run, shell

pytestmark = pytest.mark.asyncio

PIP = "pip install -q --no-index --no-deps --disable-pip-version-check"


def wheel(directory: Path, name: str, version: str) -> None:
    """Write a package that consists of its version."""
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        info = f"{name}-{version}.dist-info"
        archive.writestr(f"{name}/__init__.py", f"V = {version!r}")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest_asyncio.fixture(
    params=[pytest.param("bubblewrap", marks=needs_bubblewrap), pytest.param("none", marks=pytest.mark.long)]
)
async def runtime(request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    async with Runtime(isolation=request.param, network="isolated") as runtime:
        yield runtime


@pytest_asyncio.fixture
async def cell(runtime: Runtime) -> LocalSession:
    return await runtime.create(IMAGE)


async def test_pip_install(runtime: Runtime, cell: LocalSession) -> None:
    home = cell.sandbox.directories.home
    # The second one is a package that the machine has, in another version.
    for name, version in (("foopkg", "1.0"), ("msgspec", "0.0.1")):
        wheel(home, name, version)
    assert "No module named" in (await run(runtime, cell, "import foopkg"))["executionError"]
    before = (await run(runtime, cell, "import importlib.metadata as m; m.version('msgspec')"))["result"]
    assert before[0]["text/plain"] != "'0.0.1'"
    await output(runtime, cell, f"{PIP} ~/foopkg*.whl && {PIP} --user ~/msgspec*.whl")

    code = "import foopkg, msgspec; print(foopkg.V, msgspec.V)"
    assert (await run(runtime, cell, code))["stdout"] == ["1.0 0.0.1\n"]
    assert await output(runtime, cell, f"python3 -c '{code}'") == "1.0 0.0.1"
    # Nothing of it is anybody else's.
    other = await runtime.create(IMAGE)
    assert "No module named" in (await run(runtime, other, "import foopkg"))["executionError"]
    assert subprocess.run([sys.executable, "-c", "import foopkg"], stderr=subprocess.DEVNULL).returncode == 1
    runtime.release(cell.id)
    await runtime.released(cell.id)
    assert not cell.sandbox.directories.root.exists()


async def test_package_installed_as_a_link_to_its_source(runtime: Runtime, cell: LocalSession) -> None:
    """What ``pip install --editable`` leaves: a directory in a ``.pth`` file."""
    assert (await run(runtime, cell, "1"))["executionError"] is None
    await output(
        runtime,
        cell,
        "mkdir -p project $(python3 -m site --user-site); echo 'V = 3' > project/linked.py; "
        "echo ~/project > $(python3 -m site --user-site)/linked.pth",
    )
    assert (await run(runtime, cell, "import linked; linked.V"))["result"][0]["text/plain"] == "3"


async def test_environment_made_inside(runtime: Runtime, cell: LocalSession) -> None:
    wheel(cell.sandbox.directories.home, "foopkg", "1.0")
    await output(runtime, cell, "python3 -m venv --without-pip v")
    code = 'import sys; print(sys.prefix == sys.argv[1], [p for p in sys.path if "-packages" in p])'
    packages = f"{cell.sandbox.home}/v/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    assert await output(runtime, cell, f"v/bin/python -c '{code}' ~/v") == f"True ['{packages}']"
    await output(runtime, cell, f"{PIP.replace('pip', 'pip --python v/bin/python', 1)} ~/*.whl")
    assert await output(runtime, cell, "v/bin/python -c 'import foopkg; print(foopkg.V)'") == "1.0"


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_npm_install(runtime: Runtime, cell: LocalSession) -> None:
    package = 'echo \'{"name": "seven", "version": "1.0.0"}\' > package.json; echo \'module.exports = 7\' > index.js'
    await output(runtime, cell, f"mkdir seven; (cd seven; {package}); npm install --no-audit --no-fund ./seven")
    assert (await run(runtime, cell, "require('seven')", "javascript"))["result"][0]["text/plain"] == "7"


@needs_bubblewrap
async def test_home_is_empty_at_first_and_the_environment_read_only() -> None:
    async with Runtime(isolation="bubblewrap", network="isolated") as runtime:
        session = await runtime.create(IMAGE)
        await run(runtime, session, "1")
        assert await output(runtime, session, "ls -A ~") == ""
        assert (await shell(runtime, session, "touch $(python3 -c 'import sys; print(sys.prefix)')/x"))[
            "exit_code"
        ] == 1


class TestMachinePython:
    async def test_system_interpreter_is_seen_as_it_is(self, tmp_path: Path) -> None:
        python = MachinePython(
            program=Path("/usr/bin/python3"), packages=(Path("/usr/lib/python3/dist-packages"), tmp_path)
        )
        shown = python.shown(tmp_path / "made")
        assert shown == (Shown(tmp_path, session_python.PACKAGES / "1"),)
        assert seen(python.program, shown) == python.program

    async def test_packages_of_the_interpreter_itself(self, tmp_path: Path) -> None:
        """As with a Python of conda or pyenv without a virtual environment: hidden in the base, shown as packages."""
        packages = tmp_path / "base/lib" / Path(sysconfig.get_path("stdlib")).name / "site-packages"
        packages.mkdir(parents=True)
        (tmp_path / "base/bin").mkdir()
        (tmp_path / "base/bin/python3").touch()
        python = MachinePython(program=tmp_path / "base/bin/python3", packages=(packages,))
        shown = python.shown(tmp_path / "made")
        assert seen(packages, shown) == session_python.PACKAGES / "0"
        assert seen(packages.parent / "os.py", shown) == session_python.BASE / "lib" / packages.parent.name / "os.py"
        [hidden] = [part for part in shown if part.place.name == "site-packages"]
        assert list(hidden.source.iterdir()) == []

    @pytest.mark.parametrize("is_relative", [True, False])
    async def test_shared_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_relative: bool) -> None:
        """A path to the library within the program is made relative; where that is impossible, both paths hold."""
        base, made = tmp_path / "a-long-enough-name", tmp_path / "made"
        library = (base if is_relative else tmp_path) / "lib" / "libpython.so"
        for path in (base / "bin/python3", library):
            path.parent.mkdir(parents=True)
        library.touch()
        program = b"ELF\0%s\0rest" % str(library.parent).encode()
        (base / "bin/python3").write_bytes(program)
        variables = {"Py_ENABLE_SHARED": 1, "INSTSONAME": library.name, "LIBDIR": str(library.parent)}
        monkeypatch.setattr(sysconfig, "get_config_var", variables.get)
        python = MachinePython(program=base / "bin/python3", packages=())
        first, *others = python.shown(made)
        place = Path("/run/agb/base/bin/python3")
        assert seen(python.program, [first, *others]) == place
        if is_relative:
            assert first == Shown(made / "python3", place, instead_of=python.program)
            changed = first.source.read_bytes()
            assert changed.startswith(b"ELF\0$ORIGIN/../lib\0")
            assert changed.endswith(b"\0rest")
            assert len(changed) == len(program)
            assert Shown(library, library) not in others
        else:
            assert first == Shown(base / "bin/python3", place)
            assert Shown(library, library) in others

    async def test_pip_comes_with_python_where_it_is_not_installed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not list(Path(sysconfig.get_path("stdlib"), "ensurepip", "_bundled").glob("pip-*.whl")):
            pytest.skip("this Python comes without pip")
        monkeypatch.setattr(session_python, "find_spec", lambda _: None)
        archive = MachinePython.find().packages[-1]
        assert archive.name.startswith("pip-")
        place = tmp_path / "environment"
        write_environment(place, seen_at=place, program=sys.executable, packages=[str(archive)])
        done = subprocess.run([place / "bin/pip", "--version"], capture_output=True, text=True)
        assert str(archive) in done.stdout, done

    async def test_environment_is_readable_under_any_umask(self, tmp_path: Path) -> None:
        place = tmp_path / "environment"
        program = (
            f"import os, pathlib; os.umask(0o077); from agb.local.sandbox.python import *; write_environment("
            f"pathlib.Path({str(place)!r}), seen_at=pathlib.Path('/x'), program='/usr/bin/python3', packages=[])"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
        closed = [path for path in place.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o044 != 0o044]
        assert closed == []
