"""Files: what a megabyte costs on its way into and out of a session of the local runtime, and in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from .mover import CHUNK
from .processes import caller
from .table import Row, compared

_MB = 1_000_000
_SMALL = 1 * _MB
"""What is moved to warm up."""
_PAIRS = [
    ("read_stream", "read", "read", "agbcloud-sdk, read"),
    ("write_stream", "write", "write", "agbcloud-sdk, write"),
    ("upload_dir", "upload", "write", "agbcloud-sdk, write"),
]


def compare(
    url: str, api_key: str, directory: Path, other_python: str, rounds: int, megabytes: int, other_megabytes: int
) -> Iterator[Row]:
    """Yield what a MB costs; agbcloud-sdk moves fewer, to take about as long. Memory is that of a fresh process."""
    size, other_size = megabytes * _MB, other_megabytes * _MB
    for each in (_SMALL, size):
        _fill(directory / f"{each}", each)
    arguments = (url, api_key, str(directory))
    ours: dict[str, list[float]] = {"read": [], "write": [], "upload": []}
    grown = dict.fromkeys(ours, 0.0)
    theirs: dict[str, list[float]] = {"read": [], "write": []}
    for _ in range(rounds):
        for operation, figures in ours.items():
            with caller("agb", sys.executable, *arguments, module="mover") as client:
                for each in (_SMALL, size) if operation == "read" else ():
                    client.ask(f"source {each}")
                client.ask(f"{operation} {_SMALL}")
                told = client.ask(f"{operation} {size}")
                figures.append(told["duration"] * 1e3 / megabytes)
                grown[operation] = max(grown[operation], told["grown"] / _MB)
        if other_python:
            with caller("agbcloud", other_python, *arguments, module="mover") as client:
                client.ask(f"source {other_size}")
                for operation, figures in theirs.items():
                    figures.append(client.ask(f"{operation} {other_size}")["duration"] * 1e3 / other_megabytes)
    for name, operation, other, against in _PAIRS:
        what = f"{name} of {megabytes} MB, time per MB"
        if other_python:
            against = f"{against} {other_megabytes} MB"
            yield compared(what, "ms", ours[operation], against, theirs[other], 1 / 3)
        yield Row(f"{name} of {megabytes} MB, memory growth", "MB", grown[operation], goal=64)


def _fill(directory: Path, size: int) -> None:
    """Make a directory of eight files that hold so many bytes together."""
    directory.mkdir()
    for number in range(8):
        with (directory / f"{number}").open("wb") as file:
            for at in range(0, size // 8, len(CHUNK)):
                file.write(CHUNK[: size // 8 - at])
