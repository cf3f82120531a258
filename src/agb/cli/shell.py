"""``agb shell``: an interactive shell in a session, on a terminal of the session.

The protocol has no terminals, so one is made inside: a process of the session opens a pseudo-terminal and runs the
shell on it. Keys are written to the process as they are typed, and its output is read as it comes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import click

from .execute import attached, only_error, read_input
from .output import DONE, Output
from .parser import LABEL, Shared, command
from .sessions import session_argument
from .settings import async_client

if TYPE_CHECKING:
    from .. import AsyncSession
    from .._async.modules.process import AsyncProcess

# `pty.spawn` copies between the process and the terminal. The name of the terminal is left where a change of the
# window's size finds it. `script` does the same where there is no Python. Lists of processes show the first line.
_INSIDE: Final = """\
# agb shell
d=$(mktemp -d) && echo "$d" >&2
inner='tty >"$AGB_SHELL_DIR/tty"; stty rows "$AGB_ROWS" cols "$AGB_COLUMNS"
unset AGB_ROWS AGB_COLUMNS AGB_SHELL_DIR; shell=$(command -v bash || command -v sh); exec "$shell" -i'
export AGB_SHELL_DIR=$d
if command -v python3 >/dev/null; then
  python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(["sh", "-c", sys.argv[1]])))' "$inner"
else
  script -qefc "$inner" /dev/null
fi
code=$?
rm -rf -- "$d"
exit $code
"""


@command("agb shell SESSION", "agb shell SESSION --cwd /tmp", "echo 'ls -l' | agb shell SESSION")
@session_argument()
@click.option("--cwd", metavar="PATH", help="The directory to start in; default: the session's home.")
@click.option("--env", "envs", type=LABEL, multiple=True, metavar="NAME=VALUE", help="A variable of its environment.")
@click.pass_obj
def shell(shared: Shared, session_id: str, cwd: str | None, envs: tuple[tuple[str, str], ...]) -> int:
    """Open an interactive shell in a session; its exit code is passed on. Ctrl-D or 'exit' ends it.

    Without a terminal, the shell runs what this program reads.
    """
    return anyio.run(partial(_shell, shared, session_id, cwd, dict(envs)))


async def _shell(shared: Shared, session_id: str, cwd: str | None, envs: dict[str, str]) -> int:
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    async with async_client(shared) as agb:
        session = agb.attach(session_id)
        if not has_terminal:
            async with await session.command.start(["bash"], cwd=cwd, envs=envs, stdin=True) as process:
                return await attached(process)
        size = os.get_terminal_size()
        kind = os.environ.get("TERM", "xterm-256color")
        terminal = {"TERM": kind, "AGB_ROWS": str(size.lines), "AGB_COLUMNS": str(size.columns)}
        async with await session.command.start(_INSIDE, cwd=cwd, envs=terminal | envs, stdin=True) as process:
            Output(shared).note(f"agb: a shell in {session_id}; Ctrl-D or 'exit' ends it")
            with _raw_terminal():
                return await _interact(session, process, size)


async def _interact(session: AsyncSession, process: AsyncProcess, size: os.terminal_size) -> int:
    """Pass keys and output on until the shell ends, and return its exit code; its terminal begins with this size."""
    directory = ""
    with only_error():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_type, process)
            async with process.stream() as output:
                while (pieces := await output.read_bytes()) is not None:
                    stdout, stderr = pieces
                    if stderr and not directory:
                        directory = stderr.decode("utf-8", "replace").splitlines()[0]
                        tasks.start_soon(_follow_size, session, directory, size)
                    sys.stdout.buffer.write(stdout)
                    sys.stdout.buffer.flush()
            tasks.cancel_scope.cancel()
    code = await process.poll()
    return DONE if code is None else code


async def _type(process: AsyncProcess) -> None:
    async for piece in read_input():
        if not (await process.write(piece)).success:
            return
    await process.close_stdin()


async def _follow_size(session: AsyncSession, directory: str, size: os.terminal_size) -> None:
    """Give the session's terminal, which has this size, the size of this one whenever that changes."""
    with anyio.open_signal_receiver(signal.SIGWINCH) as signals:
        size = await _resized(session, directory, size)  # it may have changed before
        async for _ in signals:
            size = await _resized(session, directory, size)


async def _resized(session: AsyncSession, directory: str, size: os.terminal_size) -> os.terminal_size:
    """Give the session's terminal the size of this one, and return its size.

    After three errors in a row it keeps its size until the next change: there may be no `stty`.
    """
    errors = 0
    while errors < 3 and (new := os.get_terminal_size()) != size:
        result = await session.command.execute(
            f'read -r t <"$AGB_SHELL_DIR/tty" && stty -F "$t" rows {new.lines} cols {new.columns}',
            timeout_ms=10_000,
            envs={"AGB_SHELL_DIR": directory},
        )
        if result.success:
            size, errors = new, 0
        else:
            errors += 1
            await anyio.sleep(1)
    return size


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Let every key through as it is, also Ctrl-C; the terminal is as before when the block is left."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    except Exception:
        sys.stdout.write("\r\n")  # the error is printed below the line of the shell
        raise
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
