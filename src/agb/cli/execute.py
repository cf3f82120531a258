"""``agb exec``: a command in a session, with its input and output; ``agb logs``: the output of one that runs detached.

The command is a process of the session (`session.command.start`), so its time is not limited by a call, and its outputs
arrive apart, byte by byte as they are.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import click

from ..exceptions import ErrorKind
from .output import NOT_FOUND, CommandFailed, Output
from .parser import DURATION, LABEL, Command, Shared, command
from .sessions import session_argument
from .settings import async_client

if TYPE_CHECKING:
    from .. import AsyncSession
    from .._async.modules.process import AsyncProcess

_PIECE = 48 * 1024
_SIGNALS = ("INT", "TERM", "KILL")
"""What the first Ctrl-C sends to the command, and the second, and the third."""


class _WithCommand(Command):
    """A command whose last words are a command with options of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; an option that is not known is most likely one of the command in the session."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            text = f"{ctx.command_path} has no option {error.option_name}; write '--' before the command of the session"
            raise click.UsageError(text, ctx) from None


@command(
    "agb exec SESSION -- uname -a",
    "agb exec SESSION -- sh -c 'cd /tmp && ls | wc -l'",
    "tar c src | agb exec SESSION -- tar x -C /tmp",
    "agb exec SESSION --detach -- python3 server.py",
    cls=_WithCommand,
)
@session_argument()
@click.argument("words", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--cwd", metavar="PATH", help="The directory to run it in; default: the session's home.")
@click.option("--env", "envs", type=LABEL, multiple=True, metavar="NAME=VALUE", help="A variable of its environment.")
@click.option("--limit", type=DURATION, metavar="TIME", help="End it after this time.")
@click.option("--detach", "-d", is_flag=True, help="Print the process's id and leave it running: 'agb logs' reads it.")
@click.pass_obj
def execute(
    shared: Shared,
    session_id: str,
    words: tuple[str, ...],
    cwd: str | None,
    envs: tuple[tuple[str, str], ...],
    limit: float | None,
    detach: bool,
) -> int:
    """Run a command in a session. Its input, output, Ctrl-C and exit code are passed on.

    The words are the command and its arguments; no shell interprets them.
    """
    running = partial(_execute, shared, session_id, words, cwd, dict(envs), limit, detach)
    return anyio.run(running)


async def _execute(
    shared: Shared,
    session_id: str,
    words: Sequence[str],
    cwd: str | None,
    envs: dict[str, str],
    limit: float | None,
    detach: bool,
) -> int:
    out = Output(shared)
    async with async_client(shared) as agb:
        session = agb.attach(session_id)
        process = await session.command.start(list(words), cwd=cwd, envs=envs, stdin=not detach, timeout=limit)
        if detach:
            out.value({"process": process.process_id, "pid": process.pid}, "process")
            return 0
        async with process:
            collected: tuple[bytearray, bytearray] | None = (bytearray(), bytearray()) if out.is_json else None
            code = await attached(process, collected)
            has_expired = limit is not None and await _has_expired(process)
    if collected is not None:
        stdout, stderr = (piece.decode("utf-8", "replace") for piece in collected)
        out.data({"exit_code": code, "timed_out": has_expired, "stdout": stdout, "stderr": stderr})
    elif has_expired:
        click.echo(f"agb: the command was ended after {limit:g} s (--limit)", err=True)
    return code


async def _has_expired(process: AsyncProcess) -> bool:
    """Return whether an ended process was ended by its time limit; its exit code alone does not say so."""
    error = (await process.wait(output=False, keep=True)).error
    return error is not None and error.kind is ErrorKind.TIMED_OUT


async def attached(process: AsyncProcess, collected: tuple[bytearray, bytearray] | None = None) -> int:
    """Pass input, output and signals on until a process ends, and return its exit code."""
    with only_error():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_feed, process)
            tasks.start_soon(_forward_signals, process)
            async with process.stream() as output:
                while (pieces := await output.read_bytes()) is not None:
                    _write(pieces, collected)
            tasks.cancel_scope.cancel()
    code = await process.poll()
    assert code is not None  # the output has ended
    return code


@contextmanager
def only_error() -> Iterator[None]:
    """Raise the first error of a task group as it is, since a person sees one line of it."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def _write(pieces: tuple[bytes, bytes], collected: tuple[bytearray, bytearray] | None) -> None:
    for number, (piece, stream) in enumerate(zip(pieces, (sys.stdout, sys.stderr), strict=True)):
        if collected is not None:
            collected[number].extend(piece)
        elif piece:
            stream.buffer.write(piece)
            stream.buffer.flush()


async def _feed(process: AsyncProcess) -> None:
    """Pass on what this program reads, and its end; a process that does not read is no error."""
    async for piece in read_input():
        if not (await process.write(piece)).success:
            return
    await process.close_stdin()


async def read_input() -> AsyncIterator[bytes]:
    """Iterate over what this program reads, until its end; waiting for it can be cancelled."""
    try:
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor) and os.tcgetpgrp(descriptor) != os.getpgrp():
            return  # a job in the background, which would be stopped if it read from the terminal
    except (OSError, ValueError, AttributeError):  # there is no input, or it was replaced
        return
    while True:
        with suppress(OSError, ValueError):  # a file: the event loop cannot wait for it, and it never blocks
            await anyio.wait_readable(descriptor)
        piece = await anyio.to_thread.run_sync(os.read, descriptor, _PIECE)
        if not piece:
            return
        yield piece


async def _forward_signals(process: AsyncProcess) -> None:
    count = 0
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for received in signals:
            name = _SIGNALS[min(count, len(_SIGNALS) - 1)] if received == signal.SIGINT else "TERM"
            count += received == signal.SIGINT
            await process.signal(name)


# --- logs -------------------------------------------------------------------------------------------------------------


@command("agb logs SESSION", "agb logs SESSION PROCESS", "agb logs SESSION PROCESS --follow")
@session_argument()
@click.argument("process_id", metavar="[PROCESS]", required=False)
@click.option("--follow", "-f", is_flag=True, help="Print what is written from now on too, until the process ends.")
@click.pass_obj
def logs(shared: Shared, session_id: str, process_id: str | None, follow: bool) -> int:
    """List the processes that 'agb exec --detach' or a program started in a session, or print the output of one."""
    return anyio.run(partial(_logs, shared, session_id, process_id, follow))


async def _logs(shared: Shared, session_id: str, process_id: str | None, follow: bool) -> int:
    out = Output(shared)
    async with async_client(shared) as agb:
        session = agb.attach(session_id)
        if process_id is None:
            await _list(session, out)
            return 0
        try:
            process = await session.command.attach(process_id)
        except ValueError:  # it cannot be the id of a process
            raise CommandFailed(
                f"there is no process {process_id!r} in this session: 'agb logs {session_id}' lists them", NOT_FOUND
            ) from None
        collected: tuple[bytearray, bytearray] | None = (bytearray(), bytearray()) if out.is_json else None
        code = await process.poll()
        async with process.stream() as output:
            while (follow or code is not None) and (pieces := await output.read_bytes()) is not None:
                _write(pieces, collected)
            if not follow and code is None:
                await _what_is_there(process, collected)
        code = await process.poll()
    if collected is not None:
        stdout, stderr = (piece.decode("utf-8", "replace") for piece in collected)
        out.data({"process": process_id, "exit_code": code, "stdout": stdout, "stderr": stderr})
    elif code is not None:
        out.note(f"agb: the process has ended with exit code {code}")
    return 0


async def _what_is_there(process: AsyncProcess, collected: tuple[bytearray, bytearray] | None) -> None:
    """Write the output of a process that runs as far as it is there now."""
    from .._async.modules.process_output import observe

    read = [0, 0]
    while True:
        state = await observe(process, *read)
        _write((state.stdout, state.stderr), collected)
        read = [read[0] + len(state.stdout), read[1] + len(state.stderr)]
        if state.is_complete:
            return


async def _list(session: AsyncSession, out: Output) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": one.process_id,
            "pid": one.pid,
            "state": "running" if one.is_running else "ended" if one.exit_code is not None else "lost",
            "exit_code": one.exit_code,
            "command": one.command,
        }
        for one in await session.command.processes()
    ]
    if not out.is_json:
        for row in rows:
            first, _, more = row["command"].strip().partition("\n")
            row["command"] = f"{first} …" if more else first
    out.values(rows, ("id", "pid", "state", "exit_code", "command"), "no processes")
