"""The guide of the command line: every command in it is run, and prints what the guide shows."""

from __future__ import annotations

import doctest
import re
import subprocess
from pathlib import Path

import pytest

from agb.local import LocalServer
from tests.warm import commands

GUIDE = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"
BLOCK = re.compile(r"^```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """Return the commands of the guide, and what each prints."""
    found = []
    for block in BLOCK.findall(GUIDE.read_text("utf-8")):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            found.append((command, output))
    return found


def test_guide(runtime: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one shell, so that its variables and files are there in the next block."""
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "bin").mkdir()
    mark = "-----next-----"
    script = 'PATH="$PWD/bin:$PATH"\n' + "".join(f"{command}\necho {mark}\n" for command, _ in steps())
    with commands(tmp_path / "bin"):
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=240,
            check=False,
        )
    printed = ran.stdout.split(f"{mark}\n")
    assert len(printed) == len(steps()) + 1, ran.stderr
    for (command, expected), output in zip(steps(), printed, strict=False):
        assert matches(expected, output), f"{command}\nexpected:\n{expected}\nprinted:\n{output}\n{ran.stderr}"


def matches(expected: str, printed: str) -> bool:
    """Return whether they are the same, but for ids and times, for which the guide has "…"."""
    expected, printed = (re.sub(r" +", " ", text) for text in (expected, printed))
    checker = doctest.OutputChecker()
    return checker.check_output(expected.replace("…", "..."), printed, doctest.ELLIPSIS)


def test_differences_are_noticed() -> None:
    assert matches("ID  NAME\n…   a\n", "ID     NAME\ns-123  a\n")
    assert not matches("ID  NAME\n…   a\n", "ID     NAME\ns-123  b\n")
    assert len(steps()) > 15
