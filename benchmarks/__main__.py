"""Run the benchmarks and print their table: ``python -m benchmarks [--quick] [--install]``."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from . import calls, environments, silence, startup
from .processes import server
from .table import Row, table


def main() -> None:
    """Run them all; the exit code says nothing about goals, since machines differ."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Speed and size, side by side with others.")
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that everything runs")
    parser.add_argument("--install", action="store_true", help="also measure what a bare installation by pip brings")
    options = parser.parse_args()
    started = perf_counter()
    rounds, calls_of_a_round, starts = (3, 60, 3) if options.quick else (25, 300, 25)
    other_python = os.environ.get("AGBCLOUD_PYTHON", "")

    others = [f"httpx {version('httpx')}", *([f"agbcloud-sdk {_other_version(other_python)}"] if other_python else [])]
    print(f"Python {platform.python_version()}, {platform.system()}: agb {version('agb')}, {', '.join(others)}")
    print(
        f"Medians of {rounds} rounds of {calls_of_a_round} calls, fewer where slow, and of {starts} starts, in turns."
    )
    if not other_python:
        print("Without agbcloud-sdk: AGBCLOUD_PYTHON names no interpreter that has it.")
    with TemporaryDirectory(prefix="agb-benchmarks-") as directory, server() as url:
        rows = [
            *calls.compare(url, other_python, rounds, calls_of_a_round),
            *startup.compare(environments.copied(Path(directory, "copied")), Path(directory), url, starts),
            *silence.compare(url),
            *(_size(Path(directory, "installed")) if options.install else ()),
        ]
    print(f"\n{table(rows)}\n\n{perf_counter() - started:.0f} s in all")


def _other_version(python: str) -> str:
    ask = "from importlib.metadata import version; print(version('agbcloud-sdk'))"
    return subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


def _size(directory: Path) -> Iterator[Row]:
    environment = environments.installed(directory)
    yield Row("bare installation", "distributions", len(environment.distributions()), goal=12)
    yield Row("bare installation", "MB", environment.megabytes(), goal=8)


if __name__ == "__main__":
    main()
