"""Shell commands: a new shell for each, its output captured, and all it has started killed on timeout."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence

from attrs import frozen

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox

TIMED_OUT = 124
"""Exit code of a command that timed out, the same as that of the program timeout."""
LONGEST = (1 << 17) - 1
"""Bytes the kernel allows in one argument of a program; a longer command is read by the shell from a descriptor."""
MARK = "AGB_COMMAND_ID"
"""A variable of all programs that a command starts, by which those that have detached themselves are found."""

_READ_IT = 'eval "$(cat <&3)" 3<&-'


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
    sandbox: Sandbox,
    shell: str,
    command: str,
    *,
    timeout: float,
    cwd: str | None = None,
    envs: dict[str, str] | None = None,
    argv: Sequence[str] = (),
    stdin: bytes = b"",
    output_limit: int | None = None,
    is_binary: bool = False,
) -> ShellResult:
    """Run a command and return its output up to the end of its shell; programs in the background live on.

    Args:
        sandbox: where.
        shell: the program that runs the command.
        command: the command line.
        timeout: seconds after which it is killed, with everything it has started.
        cwd: the directory; relative to the session's home.
        envs: variables added to the session's.
        argv: a program with its arguments, to be run in place of the command.
        stdin: the input.
        output_limit: bytes of each output that are kept; the sandbox's own limit is the highest.
        is_binary: whether the outputs are returned in base64.

    Later output of background programs to the inherited pipes is read and discarded.
    Raises ``OSError`` when the shell cannot be started and ``SandboxGone`` when the session ends.
    """
    limit = min(sandbox.limits.output, sandbox.limits.output if output_limit is None else output_limit)
    stdout, stderr = (Capture(limit, owner=sandbox.user) for _ in range(2))
    mark = secrets.token_hex(8)
    script = command.encode()
    is_long = not argv and len(script) > LONGEST
    words = [*argv] if argv else [shell, "-c", "--", _READ_IT if is_long else command]
    try:
        with _in_memory(stdin) as given, _in_memory(script if is_long else b"") as long:
            process = await sandbox.spawn(
                words,
                cwd=cwd,
                env={**(envs or {}), MARK: mark},
                stdin=given,
                stdout=stdout,
                stderr=stderr,
                extra_fd=long,
            )
        done = await _ended(process, timeout, f"{MARK}={mark}")
        stdout.drain()
        stderr.drain()
        return _result(process.exited.result(), stdout, stderr, timed_out=not done, is_binary=is_binary)
    finally:
        for capture in (stdout, stderr):
            capture.close_writer()
            sandbox.adopt(capture)


async def _ended(process: Process, timeout: float, mark: str) -> bool:
    """Wait for the end of a command; return whether it ended by itself."""
    try:
        done, _ = await asyncio.wait({process.exited}, timeout=timeout)
    except asyncio.CancelledError:
        await process.end_tree(mark)
        raise
    if not done:
        await process.end_tree(mark)
        await process.wait()
    return bool(done)


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[int | None]:
    """Return a descriptor that reads the data, None if there are none."""
    if not data:
        yield None
        return
    file = os.memfd_create("agb-input")
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


def in_base64(data: bytes | bytearray) -> str:
    """Return bytes as text."""
    return base64.b64encode(data).decode("ascii")


def _result(code: int, stdout: Capture, stderr: Capture, *, timed_out: bool, is_binary: bool) -> ShellResult:
    output, errors = (in_base64(one.data) if is_binary else one.text() for one in (stdout, stderr))
    if timed_out:
        code = TIMED_OUT
        if not is_binary:
            errors += "\n" if errors and not errors.endswith("\n") else ""
            errors += "Command execution timeout"
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
