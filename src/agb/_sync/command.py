# Generated from src/agb/_async/command.py by tools/unasync.py. Do not edit.
"""Commands in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._ops.tools.shell import shell
from ..exceptions import AGBError
from ..results import CommandResult

if TYPE_CHECKING:
    from .session import Session


class Command:
    """Runs shell commands in a session; available as ``session.command``."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def execute(
        self,
        command: str,
        timeout_ms: int = 1000,
        cwd: str | None = None,
        envs: dict[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run a command in a new shell and return what it printed and its exit code.

        Args:
            command: what the shell runs; pipes, ``&&`` and here-documents work.
            timeout_ms: milliseconds after which the command is ended.
            cwd: the working directory; without it, a fixed directory of the session.
            envs: environment variables, added to the session's; values are never interpreted.
            timeout: seconds for the whole call; without it, the client's time-out on top of ``timeout_ms``.

        Returns:
            A success if the exit code is 0. ``stdout``, ``stderr`` and ``exit_code`` are there in either case;
            ``exit_code`` is None if the command was not run.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.command.execute("echo $NAME", envs={"NAME": "world"})
            ...     print(result.stdout, end="")
            world

        Source: data-plane.md 2.2.
        """
        call = shell(command, timeout_ms, cwd, envs, session_id=self.session.session_id)
        try:
            return self.session._tool(call, timeout=timeout)
        except AGBError as error:
            return CommandResult.failed(error)
