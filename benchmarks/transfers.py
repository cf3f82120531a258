"""Transfers: a large file to and from a context beside curl, and many small ones beside agbcloud-sdk."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from agb import AGB, Config

from .mover import CHUNK
from .processes import ENVIRONMENT, caller
from .table import Row, compared

_MB = 1_000_000
_SMALL = 2_000
"""Bytes of a small file."""


def compare(
    url: str, api_key: str, directory: Path, other_python: str, rounds: int, megabytes: int, files: int
) -> Iterator[Row]:
    """Yield what a large file and many small ones take, in turns with the others. Memory is that of a fresh process."""
    _fill(directory, megabytes, files)
    ours: dict[str, list[float]] = {"upload": [], "download": [], "many": []}
    theirs: dict[str, list[float]] = {"upload": [], "download": [], "many": []}
    grown: dict[str, float] = {"upload": 0.0, "download": 0.0}
    with AGB(api_key, Config(url)) as agb:
        context_id = agb.context.create("benchmarks-transfers").raise_for_error().context_id
        arguments = (url, api_key, context_id, str(directory))

        def by_curl(operation: str) -> None:
            if curl := shutil.which("curl"):
                theirs[operation].append(_by_curl(curl, agb, context_id, operation, directory))

        def by_us(operation: str) -> None:
            with caller("agb", sys.executable, *arguments, module="courier") as client:
                client.ask(f"{operation} warm")
                told = client.ask(f"{operation} large")
                ours[operation].append(told["duration"])
                grown[operation] = max(grown[operation], told["grown"] / _MB)

        for number in range(rounds):
            for operation in ("upload", "download"):
                # The disk is still busy with what the first one wrote when the second begins.
                for move in (by_curl, by_us) if number % 2 else (by_us, by_curl):
                    move(operation)
            with caller("agb", sys.executable, *arguments, module="courier") as client:
                ours["many"].append(client.ask("upload many")["duration"])
            if other_python:
                with caller("agbcloud", other_python, *arguments, module="courier") as client:
                    theirs["many"].append(client.ask("upload many")["duration"])
    for operation, growth in grown.items():
        what = f"context.{operation} of {megabytes} MB"
        if theirs[operation]:
            yield compared(what, "s", ours[operation], "curl, same URL", theirs[operation], 1.3)
        yield Row(f"{what}, memory growth", "MB", growth, goal=64)
    if theirs["many"]:
        what = f"context.upload of {files:,} small files"
        yield compared(what, "s", ours["many"], "agbcloud-sdk, one by one", theirs["many"], 1 / 5)


def _fill(directory: Path, megabytes: int, files: int) -> None:
    """Make the large file, the many small ones, and one to warm up with."""
    (directory / "warm").write_bytes(CHUNK)
    with (directory / "large").open("wb") as file:
        for _ in range(megabytes):
            file.write((CHUNK * 16)[:_MB])
    (directory / "got").mkdir()
    (directory / "many").mkdir()
    for number in range(files):
        (directory / "many" / f"{number}.bin").write_bytes(CHUNK[:_SMALL])


def _by_curl(curl: str, agb: AGB, context_id: str, operation: str, directory: Path) -> float:
    """Move the large file by curl; return the seconds."""
    if operation == "upload":
        given = agb.context.get_file_upload_url(context_id, "/tmp/large")
        more = ["-T", str(directory / "large"), "-o", "/dev/null"]
    else:
        given = agb.context.get_file_download_url(context_id, "/tmp/large")
        more = ["-o", str(directory / "got" / "by-curl")]
    started = perf_counter()
    url = given.raise_for_error().url
    subprocess.run([curl, "-sS", "-f", *more, url], check=True, env=ENVIRONMENT)
    return perf_counter() - started
