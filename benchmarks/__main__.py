"""Run the benchmarks and print their table: ``python -m benchmarks [--quick] [--install] [--only GROUP]``."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import agb.local

from . import (
    batches,
    browsers,
    calls,
    commands,
    environments,
    files,
    flight,
    opening,
    silence,
    startup,
    streams,
    transfers,
)
from .processes import server
from .table import Row, table


@dataclass
class Run:
    """What the groups of one run share; servers are started by the first that needs them."""

    is_quick: bool
    other_python: str
    directory: Path
    stack: ExitStack
    _url: str = field(default="", init=False)
    _runtime: tuple[str, str] | None = field(default=None, init=False)

    @property
    def rounds(self) -> int:
        """How often a figure is taken."""
        return 3 if self.is_quick else 25

    @property
    def calls(self) -> int:
        """How many calls a round has."""
        return 60 if self.is_quick else 300

    @property
    def url(self) -> str:
        """The server that answers every call the same."""
        self._url = self._url or self.stack.enter_context(server())
        return self._url

    @property
    def runtime(self) -> tuple[str, str]:
        """A local runtime: its endpoint and its key."""
        if self._runtime is None:
            local = self.stack.enter_context(agb.local.serve(allow_none=True))
            self._runtime = local.endpoint, local.api_key
        return self._runtime


def _calls(run: Run) -> Iterator[Row]:
    yield from calls.compare(run.url, run.other_python, run.rounds, run.calls)


def _flight(run: Run) -> Iterator[Row]:
    rounds, flights, limit = (1, (1, 10, 100), 5.0) if run.is_quick else (3, (1, 10, 100, 1000, 5000), 20.0)
    yield from flight.compare(run.other_python, rounds, flights, limit)


def _startup(run: Run) -> Iterator[Row]:
    environment = environments.copied(run.directory / "copied")
    yield from startup.compare(environment, run.directory, run.url, run.rounds)


def _logging(run: Run) -> Iterator[Row]:
    yield from silence.compare(run.url)


def _streams(run: Run) -> Iterator[Row]:
    rounds, events, firsts = (3, 10_000, 30) if run.is_quick else (7, 50_000, 200)
    yield from streams.compare(run.other_python, rounds, events, firsts)


def _files(run: Run) -> Iterator[Row]:
    rounds, megabytes, others = (1, 32, 1) if run.is_quick else (3, 100, 3)
    directory = run.directory / "files"
    directory.mkdir()
    yield from files.compare(*run.runtime, directory, run.other_python, rounds, megabytes, others)


def _transfers(run: Run) -> Iterator[Row]:
    rounds, megabytes, many = (1, 100, 100) if run.is_quick else (5, 1000, 1000)
    directory = run.directory / "transfers"
    directory.mkdir()
    yield from transfers.compare(*run.runtime, directory, run.other_python, rounds, megabytes, many)


def _commands(run: Run) -> Iterator[Row]:
    yield from commands.compare(*run.runtime, run.directory, 10 if run.is_quick else 100)


def _sessions(run: Run) -> Iterator[Row]:
    yield from opening.compare(run.other_python, 2 if run.is_quick else 15)


def _browsers(run: Run) -> Iterator[Row]:
    yield from browsers.compare(*run.runtime, 3 if run.is_quick else 15)


def _map(run: Run) -> Iterator[Row]:
    rounds, items, concurrency, threads = (1, 200, 50, 20) if run.is_quick else (7, 2000, 500, 100)
    yield from batches.compare(rounds, items, concurrency, threads)


def _install(run: Run) -> Iterator[Row]:
    environment = environments.installed(run.directory / "installed")
    yield Row("bare installation", "distributions", len(environment.distributions()), goal=12)
    yield Row("bare installation", "MB", environment.megabytes(), goal=8)


_GROUPS: dict[str, Callable[[Run], Iterator[Row]]] = {
    "calls": _calls,
    "flight": _flight,
    "startup": _startup,
    "logging": _logging,
    "streams": _streams,
    "files": _files,
    "transfers": _transfers,
    "commands": _commands,
    "sessions": _sessions,
    "browsers": _browsers,
    "map": _map,
    "install": _install,
}


def main() -> None:
    """Run them all; the exit code says nothing about goals, since machines differ."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Speed and size, side by side with others.")
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that everything runs")
    parser.add_argument("--install", action="store_true", help="also measure what a bare installation by pip brings")
    parser.add_argument("--only", action="append", choices=_GROUPS, metavar="GROUP", help=", ".join(_GROUPS))
    options = parser.parse_args()
    started = perf_counter()
    names = options.only or [name for name in _GROUPS if name != "install" or options.install]
    other_python = os.environ.get("AGBCLOUD_PYTHON", "")

    others = [f"httpx {version('httpx')}", *([f"agbcloud-sdk {_other_version(other_python)}"] if other_python else [])]
    others += [f"{name} {version(name)}" for name in ("websockets", "msgspec")]
    print(f"Python {platform.python_version()}, {platform.system()}: agb {version('agb')}, {', '.join(others)}")
    if not other_python:
        print("Without agbcloud-sdk: AGBCLOUD_PYTHON names no interpreter that has it.")
    with TemporaryDirectory(prefix="agb-benchmarks-") as directory, ExitStack() as stack:
        run = Run(options.quick, other_python, Path(directory), stack)
        print(f"Medians of {run.rounds} rounds of {run.calls} calls, fewer where slow, and of {run.rounds} starts.")
        rows = [row for name in dict.fromkeys(names) for row in _GROUPS[name](run)]
    print(f"\n{table(rows)}\n\n{perf_counter() - started:.0f} s in all")


def _other_version(python: str) -> str:
    ask = "from importlib.metadata import version; print(version('agbcloud-sdk'))"
    return subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
