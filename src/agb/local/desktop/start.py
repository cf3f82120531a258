"""Starting applications by the command lines of desktop entries."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

from attrs import frozen

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Sandbox

_FIELD = re.compile(r"%(.)")
"""A field code of the desktop entry standard: files and addresses that a launcher puts in, of which there are none."""
_AT_ONCE_SECONDS = 0.25
"""A program that fails within this time has not started: its display, its libraries or its arguments are wrong."""
_OUTPUT = 1 << 16


class NotStarted(Exception):
    """A program that could not be started, or has failed at once; the message says why."""


@frozen
class Started:
    """A program that was started."""

    pid: int
    name: str
    command_line: str


def command(line: str) -> list[str]:
    """Return the program and its arguments; field codes are left out. Raises `NotStarted`."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise NotStarted(f"{line[:100]!r} is no command line: {error}") from None
    filled = [_FIELD.sub(lambda code: "%" if code[1] == "%" else "", word) for word in words]
    kept = [new for old, new in zip(words, filled, strict=True) if new or not old]
    if not kept or not kept[0]:
        raise NotStarted("the command line names no program")
    return kept


async def start(sandbox: Sandbox, line: str, directory: str | None) -> Started:
    """Start a program of a command line; it lives on. Raises `NotStarted`, and ``SandboxGone``."""
    argv = command(line)
    stdout, stderr = (Capture(_OUTPUT, owner=sandbox.user) for _ in range(2))
    try:
        process = await sandbox.spawn(argv, cwd=directory, stdout=stdout, stderr=stderr)
        # A launcher that succeeds at once is none of the failures: what it has started goes on.
        await asyncio.wait({process.exited}, timeout=_AT_ONCE_SECONDS)
        if process.exited.done() and process.exited.result() != 0:
            stderr.drain()
            lines = stderr.text().strip().splitlines()
            why = lines[-1] if lines else "it wrote no reason"
            raise NotStarted(f"{argv[0]} ended at once, with exit code {process.exited.result()}: {why}")
    except OSError as error:
        if directory and error.filename == str(Path(sandbox.home, directory)):
            raise NotStarted(f"it cannot run in {directory!r}: {error.strerror}") from error
        raise NotStarted(f"there is no program {argv[0]!r} ({error.strerror or error})") from error
    finally:
        for capture in (stdout, stderr):
            capture.close_writer()
            sandbox.adopt(capture)
    return Started(process.pid, Path(argv[0]).name, shlex.join(argv))
