"""Commands: ``command.execute("true")`` in a session of the local runtime, over a sandbox made for it alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

from agb import AGB, Config, CreateSessionParams
from agb.local.sandbox.bubblewrap import Bubblewrap
from agb.local.sandbox.directories import Directories
from agb.local.sandbox.launch import INSIDE

from .caller import TIMEOUT_MS
from .mover import IMAGE
from .processes import ENVIRONMENT
from .table import Row, compared


def compare(url: str, api_key: str, directory: Path, rounds: int) -> Iterator[Row]:
    """Yield the time of one command, and of one bare sandbox that runs it; nothing where bubblewrap is missing."""
    program = shutil.which("bwrap")
    if program is None:
        return
    bare = _bare(program, directory / "bare")
    ours, theirs = [], []
    with (
        patch.dict(os.environ, ENVIRONMENT, clear=True),
        AGB(api_key, Config(url, TIMEOUT_MS)) as client,
        client.session(CreateSessionParams(image_id=IMAGE)) as session,
    ):
        for number in range(rounds + 1):
            started = perf_counter()
            session.command.execute("true").raise_for_error()
            between = perf_counter()
            subprocess.run(bare, stdin=subprocess.DEVNULL, check=True, capture_output=True)
            if number:  # the first round is to warm up
                ours.append((between - started) * 1e3)
                theirs.append((perf_counter() - between) * 1e3)
    yield compared('command.execute("true")', "ms", ours, "bwrap ... sh -c true", theirs, 1.5)


def _bare(program: str, directory: Path) -> list[str]:
    """Return the command line of a sandbox with the namespaces and the view of a session."""
    directories = Directories(directory)
    directories.make(None)
    sandbox = Bubblewrap(path=program, unshare_user=os.getuid() != 0, programs=INSIDE)
    return sandbox.command(directories, user=os.getuid(), program=["sh", "-c", "true"])
