"""Results of commands."""

from __future__ import annotations

from typing import Self

from attrs import frozen

from ..exceptions import AGBError, CommandError, ErrorKind, Sent
from .base import Result, error_field


@frozen(slots=False, repr=False)
class CommandResult(Result):
    """The output of a command, and how it ended.

    ``output`` is ``stdout`` and ``stderr``, one after the other. ``exit_code`` is None if the command was not run.
    """

    output: str = ""
    error_message: str = ""
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    trace_id: str = ""
    error: AGBError | None = error_field()

    def __repr__(self) -> str:
        from .._wire.display import shown

        return shown(self, hidden=("output",) if self.output == self.stdout + self.stderr else ())

    @classmethod
    def of_exit(
        cls,
        stdout: str,
        stderr: str,
        exit_code: int | None,
        *,
        request_id: str,
        session_id: str = "",
        trace_id: str = "",
        why: str = "",
        is_timeout: bool = False,
    ) -> Self:
        """Return the result of a command that ran; it is a success if its exit code is 0 and ``why`` is empty."""
        if exit_code == 0 and not why:
            return cls(request_id, True, stdout + stderr, "", exit_code, stdout, stderr, trace_id)
        message = why or stderr or f"the command ended with exit code {exit_code}"
        error = CommandError(
            f"the command failed with exit code {exit_code}: {message.strip()}",
            request_id=request_id,
            kind=ErrorKind.TIMED_OUT if is_timeout else ErrorKind.REFUSED,
            session_id=session_id,
            sent=Sent.YES,
            exit_code=exit_code,
            stdout=stdout,
            stderr=stderr,
        )
        return cls(request_id, False, stdout + stderr, message, exit_code, stdout, stderr, trace_id, error=error)
