"""Commands in a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import join
from typing import TYPE_CHECKING

from ..._ops.tools import process as processes
from ..._ops.tools import run as runs
from ..._ops.tools.program import LONGEST, LONGEST_ARGUMENT, run_script
from ..._ops.tools.shell import shell
from ..._wire.deadline import check_timeout
from ...exceptions import AGBError
from ...results.commands import CommandResult, ProcessInfo
from .._compat.cancellation import run_to_completion
from .process import AsyncProcess
from .running import run_process, temporary_file
from .tools import offered_tools, run_tool

if TYPE_CHECKING:
    from ...results.sandbox import ExecOutcome
    from .protocols import AsyncSessionAccess


class AsyncCommand:
    """Runs shell commands in a session; available as ``session.command``."""

    def __init__(self, session: AsyncSessionAccess) -> None:
        self.session = session
        self._takes_programs: bool | None = None
        self._users: dict[str, tuple[str, ...]] = {}

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
        user: str | None = None,
    ) -> CommandResult:
        """Run a command in a new shell and return its output and its exit code.

        If the caller is cancelled, or the deadline passes, the connection is closed; the local runtime ends the command
        then. A service that does not notice runs it to its time limit.

        Args:
            command: the command line for the shell, of any length; pipes, ``&&`` and here-documents work.
            timeout_ms: milliseconds after which the command is ended; a second unless given, at most a day. The local
                runtime ends everything that it has started, also what has made a session of its own.
            cwd: the working directory; without it, a fixed directory of the session, at which a relative one starts.
            envs: environment variables, added to the session's; values are never interpreted.
            timeout: seconds for the whole call; without it, the client's time-out on top of ``timeout_ms``.
            check: raise the failure instead of returning it.
            user: the user it runs as, by name or number, where the session may change to that one; see `run`.

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
        shell(command, timeout_ms, cwd, envs, session_id=self.session.session_id)  # checks the arguments
        try:
            if user is not None:
                command = join([*await self._prefix(user), "sh", "-c", runs.SHELL, command])
            call = shell(command, timeout_ms, cwd, envs, session_id=self.session.session_id)
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
        user: str | None = None,
    ) -> AsyncProcess:
        """Start a program that runs for as long as it needs, and return once it runs.

        No time limit of a tool ends it. Its output goes to files of the session, so it can be read from the beginning
        at any time, also by another program (`attach`). If the caller is cancelled meanwhile, the start is completed
        and the process cleaned up: a process whose id is lost could not be ended.

        Args:
            command: a string for the session's shell, of any length, or a list of arguments that no shell interprets.
            cwd: the working directory; without it, a fixed directory of the session, at which a relative one starts.
            envs: environment variables, added to the session's; values are never interpreted.
            stdin: whether the program reads the input that `AsyncProcess.write` sends; otherwise its input is empty.
            timeout: seconds after which the session itself ends the program: SIGTERM for its process group, and SIGKILL
                for everything it has started when it has ended, or 5 seconds later.
            user: the user it runs as, by name or number, where the session may change to that one; see `run`.

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
        processes.check_start(cwd, stdin)
        script = run_script(command, envs)
        session = self.session
        if user is not None:
            words = ["sh", "-c", runs.SHELL, command] if isinstance(command, str) else [*command]
            command = [*await self._prefix(user), *words]
            script = run_script(command, envs)
        file = "" if len(script.encode()) <= LONGEST else await temporary_file(session, script.encode())
        call = processes.start(
            command, cwd=cwd, envs=envs, stdin=stdin, timeout=timeout, file=file, session_id=session.session_id
        )

        async def start() -> AsyncProcess:
            started = await run_tool(session, call)
            return AsyncProcess(session, started.process_id, started.pid)

        async def clean_up(process: AsyncProcess) -> None:
            (await process.cleanup()).raise_for_error()

        return await run_to_completion(start, clean_up)

    async def run(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        envs: Mapping[str, str] | None = None,
        stdin: bytes | str | None = None,
        user: str | None = None,
        timeout: float | None = None,
        output_limit: int = runs.OUTPUT_LIMIT,
    ) -> ExecOutcome:
        r"""Run a program to its end and return its output, byte for byte, and its exit code.

        If the caller is cancelled, the program is ended with everything it has started. What a program leaves in the
        background when it ends by itself runs on.

        Args:
            command: a string for the session's shell, of any length, or a list of arguments that no shell interprets.
            cwd: the working directory; without it, a fixed directory of the session, at which a relative one starts.
            envs: environment variables, added to the session's; values are never interpreted.
            stdin: the whole input, of any length; text is written as UTF-8. Empty without it.
            user: the user it runs as, by name or number, where the session may change to that one. The local runtime
                has one user, who may be ``root`` in a user namespace: with all rights over the session's files, and
                none beyond.
            timeout: seconds after which the program is ended with everything it has started; without it, a day. A
                program that has detached itself is found by its environment; one that has cleared it is not.
            output_limit: bytes of each output that are returned; a service may have a lower limit, as the local
                runtime's 16 MiB. The rest is discarded, and the program runs on.

        Returns:
            The outcome, also if the program failed, does not exist (exit code 127), or was ended by its time limit.

        Raises:
            CommandError: it could not be run: its ``kind`` is not found if there is no such directory, session or user,
                permission denied if the session may not change to the user; ``extra["user"]`` is that user.
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     outcome = await session.command.run(["tr", "a-z", "A-Z"], stdin=b"caf\xc3\xa9\n")
            ...     print(outcome.stdout)
            b'CAF\xc3\xa9\n'

        API: the tool ``shell``; ``write_file`` for long input.
        """
        check_timeout(timeout)
        data = runs.check_run(command, cwd, envs, stdin, output_limit)
        session = self.session
        if self._takes_programs is None:
            tools = session.tool_list or []
            takes = runs.takes_programs(tools)
            self._takes_programs = bool(runs.takes_programs(await offered_tools(session)) if takes is None else takes)
        if not self._takes_programs or user is not None or len(data) > runs.INLINE_INPUT:
            command = await self._words(command, data, user)
        if not self._takes_programs:
            return await run_process(self, command, cwd, envs, timeout, output_limit)
        call = runs.run(
            command,
            cwd=cwd,
            envs=envs,
            stdin=data if len(data) <= runs.INLINE_INPUT else b"",
            timeout=timeout,
            output_limit=output_limit,
            session_id=session.session_id,
        )
        return await run_tool(session, call)

    async def _words(self, command: str | Sequence[str], data: bytes, user: str | None) -> list[str]:
        """Return a list of arguments that runs a command as a user, with an input that the call does not carry."""
        prefix = await self._prefix(user) if user is not None else []
        if not isinstance(command, str):
            words = [*command]
        elif len(command.encode()) > LONGEST_ARGUMENT:
            words = ["sh", "-c", runs.SHELL_FILE, await temporary_file(self.session, command.encode())]
        else:
            words = ["sh", "-c", runs.SHELL, command]
        if data and (len(data) > runs.INLINE_INPUT or not self._takes_programs):
            words = ["sh", "-c", runs.WITH_INPUT, await temporary_file(self.session, data), *words]
        return [*prefix, *words]

    async def _prefix(self, user: str) -> Sequence[str]:
        if user not in self._users:
            call = runs.as_user(user, session_id=self.session.session_id)
            self._users[user] = (await run_tool(self.session, call)).prefix
        return self._users[user]

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
