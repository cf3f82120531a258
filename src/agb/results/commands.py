"""Results of commands."""

from __future__ import annotations

from typing import Self

from attrs import field, frozen

from ..exceptions import AGBError, CommandError, ErrorKind, Sent
from .base import COMPLETE, Result, Truncated, error_field, message_field

_QUOTED = 2000
"""Characters of the end of stderr that an error's text quotes."""


@frozen(slots=False, repr=False)
class CommandResult(Result):
    """The output of a command, and how it ended.

    ``output`` is ``stdout`` and ``stderr``, one after the other. ``exit_code`` is None if the command was not run.
    ``truncated`` is how much output exceeded the limit of the service and is missing.
    """

    output: str = ""
    error_message: str = message_field()
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    trace_id: str = ""
    error: AGBError | None = error_field()
    truncated: Truncated = field(default=COMPLETE, kw_only=True)

    def __repr__(self) -> str:
        from .._wire.display import bounded_repr

        return bounded_repr(self, hidden=("output",) if self.output == self.stdout + self.stderr else ())

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
        truncated: Truncated = COMPLETE,
    ) -> Self:
        """Return the result of a command that ran; it is a success if its exit code is 0 and ``why`` is empty.

        ``why`` is a sentence that says how else the command ended.
        """
        if exit_code == 0 and not why:
            return cls(request_id, True, stdout + stderr, "", exit_code, stdout, stderr, trace_id, truncated=truncated)
        message = why or f"the command ended with exit code {exit_code}"
        said = stderr.strip()
        if said and not is_timeout:
            message += f": {said if len(said) <= _QUOTED else f'...{said[-_QUOTED:]}'}"
        error = CommandError(
            message,
            request_id=request_id,
            kind=ErrorKind.TIMED_OUT if is_timeout else ErrorKind.PROGRAM_FAILED,
            session_id=session_id,
            sent=Sent.YES,
            exit_code=exit_code,
            stdout=stdout,
            stderr=stderr,
        )
        return cls(
            request_id,
            False,
            stdout + stderr,
            message,
            exit_code,
            stdout,
            stderr,
            trace_id,
            error=error,
            truncated=truncated,
        )


@frozen
class ProcessInfo:
    """A process that was started in a session and not cleaned up.

    Attributes:
        process_id: the id for ``session.command.attach``.
        pid: its process id in the session's operating system.
        is_running: whether it runs.
        exit_code: its exit code; None while it runs, and if it is lost.
        command: what runs, with its arguments (300 bytes at most); ``""`` when it has ended.
    """

    process_id: str
    pid: int
    is_running: bool
    exit_code: int | None
    command: str
