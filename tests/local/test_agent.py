"""What the agent of a session reports when it has happened, and not before."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from agb.local.inside.agent import _kill


def test_killed_programs_are_dead() -> None:
    programs = [subprocess.Popen(["sleep", "600"]) for _ in range(40)]
    gone = subprocess.Popen(["true"])
    gone.wait()
    try:
        _kill({program.pid for program in programs} | {gone.pid})
        states = [Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[0] for program in programs]
    finally:
        for program in programs:
            with suppress(ProcessLookupError):
                program.kill()
            program.wait()
    assert set(states) == {"Z"}
