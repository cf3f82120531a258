"""Processes of the benchmarks: the server, the clients, and programs that are measured from start to end."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from select import select
from time import perf_counter

REPOSITORY = Path(__file__).resolve().parent.parent

# a proxy of the environment would stand between the clients and the server
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


class Late(Exception):
    """A client did not come to its end in time."""


class Caller:
    """A client in a process of its own."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process

    def ask(self, line: str, limit: float | None = None) -> dict[str, float]:
        """Let it do what the line says; return its figures.

        Raises:
            Late: it took more than ``limit`` seconds; it is not there any more.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        if limit is not None and not select([self._process.stdout], [], [], limit)[0]:
            self._process.kill()
            raise Late
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"the client {self.name} has ended; run it alone to see why: benchmarks/README.md")
        figures: dict[str, float] = json.loads(answer)
        return figures

    def call(self, calls: int) -> float:
        """Make that many calls; return the CPU time of each, in microseconds."""
        return self.ask(f"{calls}")["cpu"] / calls * 1e6


@contextmanager
def server(module: str = "server", scheme: str = "http") -> Iterator[str]:
    """Run a server; the value is its URL."""
    with _child([sys.executable, "-m", f"benchmarks.{module}"]) as process:
        assert process.stdout is not None
        yield f"{scheme}://127.0.0.1:{int(process.stdout.readline())}"


@contextmanager
def caller(name: str, python: str, *arguments: str, module: str = "caller") -> Iterator[Caller]:
    """Run a client by the interpreter given."""
    with _child([python, "-m", f"benchmarks.{module}", name, *arguments]) as process:
        yield Caller(name, process)


@contextmanager
def _child(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program that ends when its standard input is closed; it is gone when the block is left."""
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # agbcloud-sdk logs every call there
        text=True,
    )
    try:
        yield process
    finally:
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def whole_process(command: Sequence[str], directory: Path) -> tuple[float, float]:
    """Run a program to its end; return its CPU time and its duration, in milliseconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    subprocess.run(command, cwd=directory, env=ENVIRONMENT, stdin=subprocess.DEVNULL, check=True)
    duration, after = perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu * 1e3, duration * 1e3
