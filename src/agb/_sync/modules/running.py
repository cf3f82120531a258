# Generated from src/agb/_async/modules/running.py by tools/unasync.py. Do not edit.
"""Programs that run to their end, byte for byte, as processes: for a service whose `shell` cannot run them so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..._ops.tools import file_scripts as scripts
from ..._ops.tools.run import TIMED_OUT
from ...exceptions import CommandError, ErrorKind
from ...results.sandbox import ExecOutcome
from .file_calls import random_token
from .process_output import LOST
from .tools import run_tool

if TYPE_CHECKING:
    from .command import Command
    from .protocols import SessionAccess

_GRACE = 30.0
"""Seconds after the time limit when the session itself ends a program whose caller is gone."""


def run_process(
    commands: Command,
    command: str | Sequence[str],
    cwd: str | None,
    envs: Mapping[str, str] | None,
    timeout: float | None,
    output_limit: int,
) -> ExecOutcome:
    """Run a program as a process and return its outcome; it is ended when its time is over, or the caller cancelled.

    Raises:
        CommandError: it could not be started, or cannot be reached any more.
    """
    limit = None if timeout is None else timeout + _GRACE
    with commands.start(command, cwd=cwd, envs=envs, timeout=limit) as process:
        stdout, stderr = bytearray(), bytearray()
        try:
            with process.stream(timeout=timeout) as output:
                while (pieces := output.read_bytes()) is not None:
                    stdout += pieces[0][: output_limit + 1 - len(stdout)]
                    stderr += pieces[1][: output_limit + 1 - len(stderr)]
        except CommandError as error:
            if error.kind is not ErrorKind.TIMED_OUT or timeout is None or process.poll() is not None:
                raise
            code, timed_out = TIMED_OUT, True
        else:
            ended = process.poll()
            if ended is None:
                raise CommandError(LOST, session_id=commands.session.session_id)
            code, timed_out = ended, False
        truncated = max(len(stdout), len(stderr)) > output_limit
        return ExecOutcome(code, bytes(stdout[:output_limit]), bytes(stderr[:output_limit]), timed_out, truncated)


def temporary_file(session: SessionAccess, data: bytes) -> str:
    """Write a temporary file that only the session's user can read, and return its path.

    Raises:
        AGBError: it could not be written.
    """
    from .files import FileSystem  # not needed before

    path = run_tool(session, scripts.temporary_name(random_token(), session_id=session.session_id))
    FileSystem(session).write(path, data).raise_for_error()
    return path
