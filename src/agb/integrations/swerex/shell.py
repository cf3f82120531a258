"""A bash on a terminal in a session, which is typed to and read from.

The shell is a process of the session. What is typed is written to it, and its output is read as it comes. Its prompt
has a random mark and the exit code of the last command, so the prompt says both that a command has ended and how. A
program cannot write such a prompt: the mark is in a variable of the shell that is not exported.

A command is put into a file and evaluated by one short line, because a terminal cuts long lines and bash would show a
prompt for each line of several. Before it the line writes a mark of its own. So output of an earlier command that was
still running, after its time was over, is not taken for that of this one.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import re
import secrets
import shlex
from codecs import getincrementaldecoder
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio import get_cancelled_exc_class
from swerex.exceptions import (
    BashIncorrectSyntaxError,
    CommandTimeoutError,
    NonZeroExitCodeError,
    SessionNotInitializedError,
)
from swerex.runtime.abstract import Action, BashAction, BashInterruptAction, BashObservation

from ..._async._compat.cancellation import shielded
from ...exceptions import CommandError, ErrorKind
from ..sandbox import Sandbox

if TYPE_CHECKING:
    from ..._async.modules.process import AsyncProcess

SHORTEST_START = 60.0
"""Seconds that a shell has to start; the second that is SWE-ReX's default is for shells on the same machine."""
PROMPT = "PS1"
"""What observations call the prompt as the text that was expected."""
LATENCY = 2.0
"""Seconds beside its time limit that a command has to begin, for the calls that start it."""
SHORTEST_INTERRUPT = 1.0
"""Seconds to wait after each attempt to interrupt; the default of SWE-ReX is shorter than a call may take."""
_TERMINAL: Final = """\
inner='stty -echo; exec bash --noediting'
if command -v python3 >/dev/null; then
  exec python3 -c 'import pty, sys; pty.spawn(["sh", "-c", sys.argv[1]])' "$inner"
fi
exec script -qefc "$inner" /dev/null
"""
_ESCAPES: Final = re.compile(r"\x1b[@-_][0-?]*[ -/]*[@-~]")


class BashShell:
    """A shell of the runtime.

    Args:
        sandbox: the session.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._mark = secrets.token_hex(8)
        self._file = f"/tmp/.agb-swerex-{secrets.token_hex(8)}"
        self._prompt = rf"\x1e{self._mark}:(\d+)\x1e"
        self._process: AsyncProcess | None = None
        self._decoder = getincrementaldecoder("utf-8")("backslashreplace")
        self._unread = ""
        self._position = 0
        self._runs = 0
        self._is_idle = False

    async def start(self, sources: Sequence[str], timeout: float) -> str:
        """Start the shell, source files, and return the output of that."""
        self._process = await self._sandbox.session.command.start(_TERMINAL, cwd=self._sandbox.cwd, stdin=True)
        late, timeout = "the shell has not started", max(timeout, SHORTEST_START)
        commands = [self._begin(), *(f"source {shlex.quote(path)}" for path in sources), "export -n PS1 PS2 PS0"]
        await self._type("; ".join([*commands, f"PS2= PS0= PS1=$'\\x1e''{self._mark}:$?'$'\\x1e'"]) + "\n")
        await self._read([self._begun], timeout, late)
        output, _ = await self._read([self._prompt], timeout, late)
        return _plain(output)

    async def close(self) -> None:
        """End the shell and what runs in it."""
        process, self._process = self._process, None
        if process is not None:
            await shielded(process.cleanup)
            await shielded(partial(self._sandbox.exec, ["rm", "-f", "--", self._file]))

    async def run(self, action: Action) -> BashObservation:
        """Run an action; if the caller is cancelled, the program in the shell is interrupted."""
        try:
            if isinstance(action, BashInterruptAction):
                return await self._interrupt(action)
            if action.is_interactive_command or action.is_interactive_quit:
                return await self._run_interactive(action)
            return await self._run_command(action)
        except get_cancelled_exc_class():
            await shielded(partial(self._type, "\x03"))
            raise

    # --- actions -------------------------------------------------------------------------------------------------

    async def _run_command(self, action: BashAction) -> BashObservation:
        await self._check_syntax(action.command)
        await self._type(f'stty -echo; {self._begin()}; eval "$(<{self._file})"\n')
        late, timeout = _too_late(action), float("inf") if action.timeout is None else action.timeout
        was_idle = self._is_idle
        before, _ = await self._read([self._begun], timeout + LATENCY, late)
        *ended, notices = re.split(self._prompt.replace("(", "(?:"), before)
        output, match = await self._read([*action.expect, self._prompt], timeout, late)
        if was_idle or ended:  # what the shell itself has written since, such as the end of a job
            output = notices + output
        code = int(match[1]) if match.re.pattern == self._prompt else None
        text = _plain(output)
        if action.check == "raise" and code != 0:
            message = f"Command {action.command!r} failed with exit code {code}. Here is the output:\n{text!r}"
            raise NonZeroExitCodeError(f"{action.error_msg}: {message}" if action.error_msg else message)
        shown = None if action.check == "ignore" else code
        return BashObservation(output=text, exit_code=shown, expect_string=self._name_of(match))

    async def _run_interactive(self, action: BashAction) -> BashObservation:
        """Write a line to the program in the shell, and wait for what it is expected to answer, or for its end."""
        await self._type(action.command + "\n")
        timeout = float("inf") if action.timeout is None else action.timeout
        output, match = await self._read([*action.expect, self._prompt], timeout, _too_late(action))
        text = _plain(output)
        if action.is_interactive_command:  # such programs show what is typed
            text = text.lstrip().removeprefix(action.command).strip()
        return BashObservation(output=text, exit_code=0, expect_string=self._name_of(match))

    async def _interrupt(self, action: BashInterruptAction) -> BashObservation:
        """Press Ctrl-C several times; if that has no effect, stop the program with Ctrl-Z and kill it."""
        wanted = [*action.expect, self._prompt]
        wait = max(action.timeout, SHORTEST_INTERRUPT)
        for keys in [*["\x03"] * action.n_retry, "\x1a"]:
            await self._type(keys)
            try:
                output, match = await self._read(wanted, wait, "the program was not interrupted")
            except CommandTimeoutError:
                continue
            if keys == "\x1a":
                await self._type("kill -9 %%\n")
                killed, match = await self._read(wanted, SHORTEST_START, "the program was not killed")
                output += killed
            return BashObservation(output=_plain(output).strip(), exit_code=0, expect_string=self._name_of(match))
        raise CommandTimeoutError("Failed to interrupt session")

    async def _check_syntax(self, command: str) -> None:
        script = f"cat >{self._file} && bash -n {self._file}"
        outcome = await self._sandbox.exec(["sh", "-c", script], stdin=command)
        if outcome.exit_code:
            stdout, stderr = (data.decode(errors="backslashreplace") for data in (outcome.stdout, outcome.stderr))
            raise BashIncorrectSyntaxError(
                f"Error (exit code {outcome.exit_code}) while checking bash command \n{command!r}\n"
                f"---- Stderr ----\n{stderr}\n---- Stdout ----\n{stdout}",
                extra_info={"bash_stdout": stdout, "bash_stderr": stderr},
            )

    def _begin(self) -> str:
        """Return the command that writes a new mark, which `_begun` finds; the terminal may show it as it is typed."""
        self._runs += 1
        return rf"printf '\036{self._mark}-{self._runs}\036'"

    @property
    def _begun(self) -> str:
        return f"\x1e{self._mark}-{self._runs}\x1e"

    # --- the terminal --------------------------------------------------------------------------------------------

    async def _type(self, text: str) -> None:
        (await self._running.write(text)).raise_for_error()

    async def _read(self, patterns: Sequence[str], timeout: float, late: str) -> tuple[str, re.Match[str]]:
        """Read until one of the patterns is found, the first of them in the output; return what was before it.

        A found prompt means that no command runs; while another one is waited for, one may.

        What is behind it is returned by the next call. If the time is over, nothing of it is taken.
        """
        expressions = [re.compile(pattern, re.DOTALL) for pattern in patterns]
        limit = None if timeout == float("inf") else timeout
        async with self._running.stream(stdout=self._position, timeout=limit) as stream:
            while True:
                found = [match for expression in expressions if (match := expression.search(self._unread))]
                if found:
                    first = min(found, key=lambda match: match.start())
                    output, self._unread = self._unread[: first.start()], self._unread[first.end() :]
                    self._is_idle = first.re.pattern == self._prompt
                    return output, first
                try:
                    pieces = await stream.read_bytes()
                except CommandError as error:
                    if error.kind is not ErrorKind.TIMED_OUT:
                        raise
                    raise CommandTimeoutError(late) from error
                if pieces is None:
                    raise SessionNotInitializedError(f"the shell has ended: {_plain(self._unread)!r}")
                self._position = stream.stdout
                self._unread += self._decoder.decode(pieces[0])

    @property
    def _running(self) -> AsyncProcess:
        if self._process is None:
            raise SessionNotInitializedError("shell not initialized")
        return self._process

    def _name_of(self, match: re.Match[str]) -> str:
        return PROMPT if match.re.pattern == self._prompt else match.re.pattern


def _plain(output: str) -> str:
    return _ESCAPES.sub("", output).replace("\r\n", "\n")


def _too_late(action: BashAction) -> str:
    return f"timeout after {action.timeout} seconds while running command {action.command!r}"
