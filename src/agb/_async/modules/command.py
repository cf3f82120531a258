"""Commands in a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..._ops.tools import process as processes
from ..._ops.tools.shell import shell
from ..._wire.deadline import check_timeout
from ...exceptions import AGBError
from ...results.commands import CommandResult, ProcessInfo
from .._compat.cancellation import run_to_completion
from .process import AsyncProcess
from .tools import run_tool

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess


class AsyncCommand:
    """Runs shell commands in a session; available as ``session.command``."""

    def __init__(self, session: AsyncSessionAccess) -> None:
        self.session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    async def execute(
        self,
        command: str,
        timeout_ms: int = 1000,
        cwd: str | None = None,
        envs: dict[str, str] | None = None,
        *,
        timeout: float | None = None,
        check: bool = False,
    ) -> CommandResult:
        """Run a command in a new shell and return its output and its exit code.

        If the caller is cancelled, or the deadline passes, the connection is closed; the local runtime ends the command
        then. A service that does not notice runs it to its time limit.

        Args:
            command: the command line for the shell; pipes, ``&&`` and here-documents work.
            timeout_ms: milliseconds after which the command is ended; a second unless given, at most a day.
            cwd: the working directory; without it, a fixed directory of the session.
            envs: environment variables, added to the session's; values are never interpreted.
            timeout: seconds for the whole call; without it, the client's time-out on top of ``timeout_ms``.
            check: raise the failure instead of returning it.

        Returns:
            A success if the exit code is 0. ``stdout``, ``stderr`` and ``exit_code`` are set in either case;
            ``exit_code`` is None if the command was not run. ``truncated`` is how much output exceeded the limit of the
            service (in the local runtime 16 MiB each of stdout and stderr); a process of `start` has no such limit.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
            CommandError: with ``check`` only: the command failed, or was not run; ``exit_code``, ``stdout`` and
                ``stderr`` are the error's attributes too.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = await session.command.execute("echo $NAME", envs={"NAME": "world"})
            ...     print(result.stdout, end="")
            world

        API: the tool ``shell``.
        """
        call = shell(command, timeout_ms, cwd, envs, session_id=self.session.session_id)
        try:
            result = await run_tool(self.session, call, timeout=timeout)
        except AGBError as error:
            result = CommandResult.failed(error)
        return result.raise_for_error() if check else result

    async def start(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        envs: Mapping[str, str] | None = None,
        stdin: bool = False,
        timeout: float | None = None,
    ) -> AsyncProcess:
        """Start a program that runs for as long as it needs, and return once it runs.

        No time limit of a tool ends it. Its output goes to files of the session, so it can be read from the beginning
        at any time, also by another program (`attach`). If the caller is cancelled meanwhile, the start is completed
        and the process cleaned up: a process whose id is lost could not be ended.

        Args:
            command: a string for the session's shell, or a list of arguments that no shell interprets.
            cwd: the working directory; without it, a fixed directory of the session.
            envs: environment variables, added to the session's; values are never interpreted.
            stdin: whether the program reads the input that `AsyncProcess.write` sends; otherwise its input is empty.
            timeout: seconds after which the session itself ends the program: SIGTERM, and SIGKILL 5 seconds later.

        Returns:
            The process, which runs. A program that does not exist is no error here: it ends with exit code 127.

        Raises:
            CommandError: the process could not be started: no such directory, no such session, no answer.
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     async with await session.command.start(["printf", "%s|", "a b", "$HOME;"]) as process:
            ...         print((await process.wait()).stdout)
            a b|$HOME;|

        API: the tool ``shell``.
        """
        check_timeout(timeout)
        session = self.session
        call = processes.start(command, cwd=cwd, envs=envs, stdin=stdin, timeout=timeout, session_id=session.session_id)

        async def start() -> AsyncProcess:
            started = await run_tool(session, call)
            return AsyncProcess(session, started.process_id, started.pid)

        async def clean_up(process: AsyncProcess) -> None:
            (await process.cleanup()).raise_for_error()

        return await run_to_completion(start, clean_up)

    async def processes(self, *, timeout: float | None = None) -> list[ProcessInfo]:
        """Return the processes of this session that `start` started, here or elsewhere, and that were not cleaned up.

        Args:
            timeout: seconds for the call.

        Raises:
            CommandError: they could not be listed: no such session, no answer.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     process = await session.command.start(["sleep", "60"])
            ...     print([(one.command, one.is_running) for one in await session.command.processes()])
            [('sleep 60', True)]

        API: the tool ``shell``.
        """
        check_timeout(timeout)
        call = processes.list_processes(session_id=self.session.session_id)
        return await run_tool(self.session, call, timeout=timeout)

    async def attach(self, process_id: str) -> AsyncProcess:
        """Return a process that `start` started, here or in another program.

        Raises:
            CommandError: there is no such process; its ``kind`` is not found if it was cleaned up, or never existed.
            ValueError, TypeError: the process id is invalid.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     process_id = (await session.command.start("echo still here")).process_id
            ...     again = await session.command.attach(process_id)
            ...     print((await again.wait()).stdout, end="")
            still here
        """
        call = processes.observe(process_id, chunk=0, session_id=self.session.session_id)
        return AsyncProcess(self.session, process_id, (await run_tool(self.session, call)).pid)
