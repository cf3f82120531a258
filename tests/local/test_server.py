"""The server process: how it starts, what it says, how it refuses to start, and that it ends without a trace."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import anyio
import httpx
import psutil
import pytest

import agb.local
from agb import cli
from agb.local import CannotStart, LocalServer, command
from agb.local.options import Options

from .conftest import Api

MODULE = [sys.executable, "-m", "agb.local"]


@contextmanager
def served(*arguments: str, key: str | None = "test-key") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``agb serve`` and yield the process and its banner; it is gone afterwards, whatever happened."""
    env = {name: value for name, value in os.environ.items() if name != "AGB_API_KEY"}
    process = subprocess.Popen(
        [*MODULE, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=env | ({"AGB_API_KEY": key} if key else {}),
    )
    try:
        yield process, _until(process.stdout, "Ctrl-C")
    finally:
        process.terminate()
        assert process.wait(10) == 0
        if process.stdout:
            process.stdout.close()


def _until(stream: IO[str] | None, words: str) -> str:
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line)
        if words in line:
            break
    return "".join(lines)


def _connect(banner: str, key: str = "test-key") -> Api:
    found = re.search(r"AGB_ENDPOINT=(\S+)", banner)
    assert found
    report = agb.local.LocalServer.__annotations__  # noqa: F841
    return Api(LocalServer(found[1], key, 0, None))  # type: ignore[arg-type]
