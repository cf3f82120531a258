"""Shell commands: a new shell for each, its output captured, its process group killed on timeout."""

from __future__ import annotations

import asyncio
import secrets
import signal

from attrs import frozen

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Sandbox

TIMED_OUT = 124
"""Exit code of a command that timed out, the same as that of the program timeout."""
LONGEST = (1 << 17) - 1
"""Bytes the kernel allows in one argument of a program."""


@frozen
class ShellResult:
    """The result of a command; ``trace_id`` is empty after a success.

    ``discarded`` is the bytes beyond the limit of each stream that has some.
    """

    stdout: str
    stderr: str
    exit_code: int
    trace_id: str
    has_timed_out: bool
    discarded: dict[str, int]


async def run_shell(
    sandbox: Sandbox, shell: str, command: str, *, timeout: float, cwd: str | None, envs: dict[str, str] | None
) -> ShellResult:
    """Run a command and return its output up to the end of its shell; programs in the background live on.

    ``timeout`` is in seconds. Later output of background programs to the inherited pipes is read and discarded.
    Raises ``OSError`` when the shell cannot be started and ``SandboxGone`` when the session ends.
    """
    stdout, stderr = (Capture(sandbox.limits.output, owner=sandbox.user) for _ in range(2))
    try:
        process = await sandbox.spawn([shell, "-c", "--", command], cwd=cwd, env=envs, stdout=stdout, stderr=stderr)
        try:
            done, _ = await asyncio.wait({process.exited}, timeout=timeout)
        except asyncio.CancelledError:
            await process.signal(signal.SIGKILL)
            raise
        if not done:
            await process.signal(signal.SIGKILL)
            await process.wait()
        stdout.drain()
        stderr.drain()
        return _result(process.exited.result(), stdout, stderr, timed_out=not done)
    finally:
        for capture in (stdout, stderr):
            capture.close_writer()
            sandbox.adopt(capture)


def _result(code: int, stdout: Capture, stderr: Capture, *, timed_out: bool) -> ShellResult:
    output, errors = stdout.text(), stderr.text()
    if timed_out:
        errors += "\n" if errors and not errors.endswith("\n") else ""
        errors += "Command execution timeout"
        code = TIMED_OUT
    elif code < 0:
        code = 128 - code  # as shells report it
    discarded = {name: capture.discarded for name, capture in (("stdout", stdout), ("stderr", stderr))}
    return ShellResult(
        output,
        errors,
        code,
        secrets.token_hex(16) if code else "",
        timed_out,
        {name: size for name, size in discarded.items() if size},
    )
