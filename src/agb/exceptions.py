"""Errors: what can go wrong, as classes (where it happened) and kinds (why).

The tree; everything the package raises on purpose is an ``AGBError``, except wrong arguments
(``ValueError``, ``TypeError``)::

    AGBError
    ├── SessionError             an operation on a session, or creating, finding and listing sessions
    ├── CommandError             a command was run and failed, or could not be run
    ├── ExecutionError           code was run and raised, or could not be run
    ├── FileError                a file operation
    ├── BrowserError             a browser operation
    ├── ScreenError              a screenshot
    ├── ApplicationError         an application in the session's desktop
    ├── ClearanceTimeoutError    clearing a context did not end in time
    ├── WorkerLostError          a worker of an executor was lost, or the executor
    ├── ItemTimeoutError         the function that works on an item of a batch did not return in time
    ├── JournalError             the journal of a batch cannot be read or written
    ├── AuthenticationError      reserved for programs that raise it themselves
    └── APIError                 an API call outside the groups above

The class names the part of the API that was used, ``error.kind`` the reason of the failure, so that a program can
decide without parsing text::

    try:
        link = session.get_link(port=30100).raise_for_error().data
    except agb.SessionError as error:
        if error.kind is agb.ErrorKind.NOT_FOUND:
            ...
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from ._wire.secrets import SHORT_LIMIT, shown, without_secrets


class ErrorKind(StrEnum):
    """Why an operation went wrong."""

    PROGRAM_FAILED = "program failed"
    """The program that was run failed: the code raised an exception, or the command ended with an exit code other
    than 0. The service did what it was asked to do."""
    REFUSED = "refused"
    """The service answered with a refusal."""
    NOT_FOUND = "not found"
    """The service answered that the session, context or file does not exist (any more)."""
    PERMISSION_DENIED = "permission denied"
    """The session's user may not do this with the file, as with `PermissionError`."""
    IS_A_DIRECTORY = "is a directory"
    """The path is that of a directory, as with `IsADirectoryError`."""
    NOT_A_DIRECTORY = "not a directory"
    """The path, or a part of it, is not a directory, as with `NotADirectoryError`."""
    EXISTS = "exists"
    """There is something at the path already, as with `FileExistsError`."""
    BAD_CREDENTIALS = "bad credentials"
    """The service does not accept the API key or token."""
    RATE_LIMITED = "rate limited"
    """The service requests fewer calls; ``retry_after`` has the seconds to wait, if the service named them."""
    TIMED_OUT = "timed out"
    """No answer within the deadline."""
    UNREACHABLE = "unreachable"
    """No connection, or the connection broke before the answer was complete."""
    UNAVAILABLE = "unavailable"
    """The service, or a proxy in front of it, failed without a word: HTTP 500 to 599 and an empty body."""
    INVALID_ANSWER = "invalid answer"
    """The answer does not follow the API: HTML, incomplete JSON, the error page of a proxy."""
    TOO_LARGE = "too large"
    """The answer is larger than ``Limits.answer_bytes``; the rest of it was not received."""

    @property
    def is_refusal(self) -> bool:
        """Whether the service answered that it does not do what was requested."""
        return self in _REFUSALS

    @property
    def is_failure(self) -> bool:
        """Whether there was no valid answer in time."""
        return self in _FAILURES


_REFUSALS = frozenset(
    {
        ErrorKind.REFUSED,
        ErrorKind.NOT_FOUND,
        ErrorKind.PERMISSION_DENIED,
        ErrorKind.IS_A_DIRECTORY,
        ErrorKind.NOT_A_DIRECTORY,
        ErrorKind.EXISTS,
        ErrorKind.BAD_CREDENTIALS,
        ErrorKind.RATE_LIMITED,
    }
)
_FAILURES = frozenset(
    {ErrorKind.TIMED_OUT, ErrorKind.UNREACHABLE, ErrorKind.UNAVAILABLE, ErrorKind.INVALID_ANSWER, ErrorKind.TOO_LARGE}
)


class Sent(StrEnum):
    """Whether the request reached the service."""

    NO = "no"
    """No: the connection failed before anything was written."""
    MAYBE = "maybe"
    """Data was written, and there was no answer."""
    YES = "yes"
    """The service answered."""


class AGBError(Exception):
    """Base of all errors of this package.

    ``message`` defaults to the name of the class. Keyword arguments that are not attributes below are kept in
    ``extra``, as in agbcloud-sdk 0.12. Errors can be pickled and copied. Neither their text nor their ``repr`` contains
    a secret, also where it quotes the service; after 2,000 characters the text is cut, and the rest counted.

    Attributes:
        kind: why, as an `ErrorKind`.
        request_id: the service's id of the request, ``""`` if there is none.
        code: the service's error code such as ``InvalidMcpSession.NotFound``, ``""`` if there is none.
        http_status: the HTTP status of the answer, ``None`` without an answer.
        session_id: the session that was addressed, ``""`` if none.
        retry_after: seconds the service asked to wait, ``None`` if it did not.
        sent: whether the request reached the service, as a `Sent`.
        retryable: whether trying the same call again later is safe and may help.
        extra: all other keyword arguments.
    """

    def __init__(
        self,
        message: str | None = None,
        *args: object,
        kind: ErrorKind = ErrorKind.REFUSED,
        request_id: str = "",
        code: str = "",
        http_status: int | None = None,
        session_id: str = "",
        retry_after: float | None = None,
        sent: Sent = Sent.NO,
        retryable: bool = False,
        **extra: Any,
    ) -> None:
        self.message = type(self).__name__ if message is None else shown(_text(message))
        super().__init__(self.message, *args)
        self.kind = kind
        self.request_id = shown(request_id, SHORT_LIMIT)
        self.code = shown(code, SHORT_LIMIT)
        self.http_status = http_status
        self.session_id = session_id
        self.retry_after = retry_after
        self.sent = sent
        self.retryable = retryable
        self.extra = extra

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        from ._wire.display import short  # not needed before

        parts = [short(self.message), f"kind={self.kind.value!r}"]
        parts += [
            f"{name}={(shown(value, SHORT_LIMIT) if isinstance(value, str) else value)!r}"
            for name in ("code", "http_status", "request_id", "session_id", "retry_after")
            if (value := getattr(self, name)) not in ("", None)
        ]
        return f"{type(self).__name__}({', '.join(parts)})"


def facts_of(error: AGBError) -> dict[str, Any]:
    """Return the arguments by which another error reports the cause of this one."""
    return {
        "kind": error.kind,
        "request_id": error.request_id,
        "code": error.code,
        "http_status": error.http_status,
        "session_id": error.session_id,
        "retry_after": error.retry_after,
        "sent": error.sent,
        "retryable": error.retryable,
    }


def _text(message: object) -> str:
    """Return the text of a message; one that is a `str` keeps its class, by which a text shown already is known."""
    return message if isinstance(message, str) else str(message)


class AuthenticationError(AGBError):
    """Kept from 0.12 for programs that raise it; the package reports bad credentials by `ErrorKind.BAD_CREDENTIALS`."""

    def __init__(self, message: str = "Authentication failed", *args: object, **kwargs: Any) -> None:
        kwargs.setdefault("kind", ErrorKind.BAD_CREDENTIALS)
        super().__init__(message, *args, **kwargs)


class APIError(AGBError):
    """An API call outside the groups that have an error of their own."""

    def __init__(
        self, message: str = "API error", status_code: int | None = None, *args: object, **kwargs: Any
    ) -> None:
        kwargs.setdefault("http_status", status_code)
        super().__init__(message, *args, **kwargs)

    @property
    def status_code(self) -> int | None:
        """The HTTP status, by its 0.12 name."""
        return self.http_status


class FileError(AGBError):
    """A file operation went wrong."""

    def __init__(self, message: str = "File operation error", *args: object, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)


class CommandError(AGBError):
    """A command could not be run, or failed.

    Attributes:
        exit_code: its exit code, 128 plus the signal's number after a signal; None if it was not run, or still runs.
        stdout: its standard output.
        stderr: its standard error.
    """

    def __init__(
        self,
        message: str = "Command execution error",
        *args: object,
        exit_code: int | None = None,
        stdout: str = "",
        stderr: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(message, *args, **kwargs)
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr


class SessionError(AGBError):
    """An operation on a session, or on the set of sessions, went wrong."""

    def __init__(self, message: str = "Session error", *args: object, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)


class ApplicationError(AGBError):
    """An operation on an application in the session's desktop went wrong."""

    def __init__(self, message: str = "Application operation error", *args: object, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)


class BrowserError(AGBError):
    """A browser operation went wrong."""

    def __init__(self, message: str = "Browser operation error", *args: object, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)


class ClearanceTimeoutError(AGBError):
    """Clearing a context did not end in time."""

    def __init__(self, message: str = "Clearance task timed out", *args: object, **kwargs: Any) -> None:
        kwargs.setdefault("kind", ErrorKind.TIMED_OUT)
        super().__init__(message, *args, **kwargs)


class ItemTimeoutError(AGBError):
    """A function that works on an item of ``client.map`` did not return in time.

    Attributes:
        abandoned: whether it still runs: a thread cannot be stopped, and this one did not end when its session was
            deleted.
    """

    def __init__(self, message: str = "Item timed out", *args: object, abandoned: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("kind", ErrorKind.TIMED_OUT)
        super().__init__(message, *args, **kwargs)
        self.abandoned = abandoned


class JournalError(AGBError):
    """The journal of a batch cannot be read or written, belongs to another batch, or cannot hold a value.

    Attributes:
        unrecorded: outcomes of finished items that could not be written to the journal, and are nowhere else.
    """

    def __init__(
        self, message: str = "Journal error", *args: object, unrecorded: list[Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(message, *args, **kwargs)
        self.unrecorded = [] if unrecorded is None else unrecorded


class ScreenError(AGBError):
    """A screen operation went wrong."""

    def __init__(self, message: str = "Screen operation error", *args: object, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)


class ExecutionError(AGBError):
    """Code was run and raised, or could not be run to its end.

    Attributes:
        name: the name of the exception that the code raised, such as ``"ValueError"``.
        value: its text.
        traceback: its traceback, ``""`` if it is not known.
    """

    def __init__(self, name: str = "", value: str = "", traceback: str = "", **kwargs: Any) -> None:
        super().__init__(f"{name}: {value}" if name and value else name or value or "the code failed", **kwargs)
        self.name = without_secrets(name)
        self.value = without_secrets(value)
        self.traceback = without_secrets(traceback)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.value, self.traceback), self.__dict__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExecutionError):
            return NotImplemented
        return (self.name, self.value, self.traceback) == (other.name, other.value, other.traceback)

    def __hash__(self) -> int:
        return hash((self.name, self.value, self.traceback))


class WorkerLostError(AGBError):
    """A worker of an executor was lost with the items it worked on, or the executor itself cannot be used any more."""

    def __init__(self, message: str = "Worker lost", *args: object, **kwargs: Any) -> None:
        kwargs.setdefault("kind", ErrorKind.UNREACHABLE)
        super().__init__(message, *args, **kwargs)


class RemoteTraceback(Exception):
    """The traceback of an exception where it was raised, a session or a worker, as the cause of it here."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'
