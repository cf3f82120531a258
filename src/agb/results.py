"""Results: what the methods return.

Every result has ``success``, ``request_id``, ``error_message`` and ``error``. A refusal of the service is a result
with ``success=False``; so is a failure, except for the methods that are documented to raise. Results are frozen;
they can be compared, copied and pickled, and their ``repr`` shows no secret.

Source: control-plane.md 3.14; the names, their order and their defaults are those of 0.12.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from os import PathLike
from pathlib import Path
from typing import Any, Generic, NoReturn, Self, TypeVar

from attrs import Attribute, define, field, frozen
from attrs.validators import instance_of, optional

from ._wire.secrets import masked_repr
from .exceptions import AGBError, CommandError, ErrorKind, ExecutionError, FileError, Sent, SessionError

SessionT = TypeVar("SessionT")


def _error() -> Any:
    return field(default=None, kw_only=True, eq=False, repr=False)


def _strings(value: list[str] | None) -> list[str]:
    return list(value or [])


def _entries(value: list[Any] | None) -> list[Any]:
    return list(value or [])


def _mapping(value: dict[str, Any] | None) -> dict[str, Any]:
    return dict(value or {})


@frozen
class ApiResponse:
    """Base of all results."""

    request_id: str = ""

    def get_request_id(self) -> str:
        """Return the service's id of the request, ``""`` if there is none."""
        return self.request_id


def raise_error(result: Any) -> NoReturn:
    """Raise the error of a result that is no success; one made by hand may have nothing but a message."""
    if result.error is not None:
        raise result.error
    raise SessionError(result.error_message or "the operation failed", request_id=result.request_id)


@frozen
class Result(ApiResponse):
    """Base of the results that tell success from failure."""

    success: bool = False

    @classmethod
    def of(cls, value: Any, request_id: str) -> Self:
        """Return the result of a call that succeeded with ``value``."""
        return cls(request_id=request_id, success=True, **cls._fields(value))

    @classmethod
    def failed(cls, error: AGBError) -> Self:
        """Return the result of a call that ended in ``error``."""
        return cls(request_id=error.request_id, success=False, error_message=str(error), error=error)  # type: ignore[call-arg]

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"data": value}

    def raise_for_error(self) -> Self:
        """Return this very result if it is a success, else raise its ``error``.

        Raises:
            AGBError: as in ``error``, usually one of its subclasses.
        """
        if self.success:
            return self
        raise_error(self)


@frozen
class OperationResult(Result):
    """The result of an operation; what ``data`` holds is said by the method."""

    data: Any = field(default=None, repr=masked_repr)
    error_message: str = ""
    error: AGBError | None = _error()


@frozen
class DeleteResult(Result):
    """The result of a deletion."""

    error_message: str = ""
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        del value
        return {}


@frozen
class BoolResult(Result):
    """The result of an operation that answers yes or no."""

    data: bool | None = None
    error_message: str = ""
    error: AGBError | None = _error()


@frozen
class SessionResult(Result, Generic[SessionT]):
    """A session, created or found.

    ``context_status`` tells how the data of its contexts was brought into a session that was created. If some of it is
    not there, the session is there all the same: ``success`` is true, and ``error_message`` and ``error`` say what is
    missing.
    """

    error_message: str = ""
    session: SessionT | None = None
    error: AGBError | None = _error()
    context_status: list[ContextStatusData] = field(default=None, converter=_entries, kw_only=True)


@frozen
class SessionListResult(Result):
    """One page of session ids; ``total_count`` counts the matches on all pages."""

    error_message: str = ""
    session_ids: list[str] = field(default=None, converter=_strings)
    next_token: str = ""
    max_results: int = 0
    total_count: int = 0
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {
            "session_ids": value.session_ids,
            "next_token": value.next_token,
            "max_results": value.max_results,
            "total_count": value.total_count,
        }


@frozen
class GetSessionData:
    """Connection data of a session; token and addresses are not shown by ``repr``."""

    app_instance_id: str = ""
    resource_id: str = ""
    session_id: str = ""
    success: bool = False
    resource_url: str = field(default="", repr=masked_repr)
    status: str = ""
    link_url: str = field(default="", repr=masked_repr)
    ws_url: str = field(default="", repr=masked_repr)
    token: str = field(default="", repr=False)
    tool_list: Any = field(default="", repr=False)
    image_id: str = field(default="", kw_only=True)


@frozen
class GetSessionResult(ApiResponse):
    """Connection data of a session, or why there is none."""

    http_status_code: int = 0
    code: str = ""
    success: bool = False
    data: GetSessionData | None = None
    error_message: str = ""
    error: AGBError | None = _error()

    @classmethod
    def of(cls, value: GetSessionData, request_id: str) -> Self:
        """Return the result of a call that succeeded."""
        return cls(request_id=request_id, http_status_code=200, code="ok", success=True, data=value)

    @classmethod
    def failed(cls, error: AGBError) -> Self:
        """Return the result of a call that ended in ``error``."""
        status = error.http_status or 0
        return cls(error.request_id, status, error.code, success=False, error_message=str(error), error=error)

    def raise_for_error(self) -> Self:
        """Return this very result if it is a success, else raise its ``error``."""
        if self.success:
            return self
        raise_error(self)


@frozen
class SessionStatusResult(ApiResponse):
    """The state of a session, such as ``RUNNING``, ``DELETING`` or ``FINISH``."""

    http_status_code: int = 0
    code: str = ""
    success: bool = False
    status: str = ""
    error_message: str = ""
    error: AGBError | None = _error()

    @classmethod
    def of(cls, value: str, request_id: str) -> Self:
        """Return the result of a call that succeeded."""
        return cls(request_id=request_id, http_status_code=200, code="ok", success=True, status=value)

    @classmethod
    def failed(cls, error: AGBError) -> Self:
        """Return the result of a call that ended in ``error``."""
        status = error.http_status or 0
        return cls(error.request_id, status, error.code, success=False, error_message=str(error), error=error)

    def raise_for_error(self) -> Self:
        """Return this very result if it is a success, else raise its ``error``."""
        if self.success:
            return self
        raise_error(self)


# --- tools -------------------------------------------------------------------------------------------------------


@frozen
class McpTool:
    """A tool that an image offers, with the JSON Schema of its arguments."""

    name: str = ""
    description: str = ""
    input_schema: dict[str, Any] = field(default=None, converter=_mapping)
    server: str = ""
    tool: str = ""


@frozen
class McpToolResult(Result):
    """The text that a tool gave."""

    data: str | None = None
    error_message: str = ""
    error: AGBError | None = _error()


@frozen
class McpToolsResult(Result):
    """The tools that an image offers."""

    tools: list[McpTool] = field(default=None, converter=_entries)
    error_message: str = ""
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"tools": value}


# --- metrics -----------------------------------------------------------------------------------------------------


@frozen(init=False)
class SessionMetrics:
    """What a session uses: memory and disk in bytes, rates in kilobytes a second, totals in kilobytes."""

    cpu_count: int
    cpu_used_pct: float
    disk_total: int
    disk_used: int
    mem_total: int
    mem_used: int
    rx_rate_kbyte_per_s: float
    tx_rate_kbyte_per_s: float
    rx_used_kbyte: float
    tx_used_kbyte: float
    timestamp: str

    def __init__(
        self,
        cpu_count: int = 0,
        cpu_used_pct: float = 0.0,
        disk_total: int = 0,
        disk_used: int = 0,
        mem_total: int = 0,
        mem_used: int = 0,
        rx_rate_kbyte_per_s: float = 0.0,
        tx_rate_kbyte_per_s: float = 0.0,
        rx_used_kbyte: float = 0.0,
        tx_used_kbyte: float = 0.0,
        timestamp: str = "",
        rx_rate_kbps: float | None = None,
        tx_rate_kbps: float | None = None,
        rx_used_kb: float | None = None,
        tx_used_kb: float | None = None,
    ) -> None:
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue] - attrs makes it
            cpu_count,
            cpu_used_pct,
            disk_total,
            disk_used,
            mem_total,
            mem_used,
            rx_rate_kbyte_per_s or rx_rate_kbps or 0.0,
            tx_rate_kbyte_per_s or tx_rate_kbps or 0.0,
            rx_used_kbyte or rx_used_kb or 0.0,
            tx_used_kbyte or tx_used_kb or 0.0,
            timestamp,
        )

    @property
    def rx_rate_kbps(self) -> float:
        """Deprecated name of ``rx_rate_kbyte_per_s``."""
        return self.rx_rate_kbyte_per_s

    @property
    def tx_rate_kbps(self) -> float:
        """Deprecated name of ``tx_rate_kbyte_per_s``."""
        return self.tx_rate_kbyte_per_s

    @property
    def rx_used_kb(self) -> float:
        """Deprecated name of ``rx_used_kbyte``."""
        return self.rx_used_kbyte

    @property
    def tx_used_kb(self) -> float:
        """Deprecated name of ``tx_used_kbyte``."""
        return self.tx_used_kbyte


@frozen
class SessionMetricsResult(Result):
    """The metrics of a session, and the object they were read from as ``raw``."""

    metrics: SessionMetrics | None = None
    error_message: str = ""
    raw: dict[str, Any] = field(default=None, converter=_mapping)
    error: AGBError | None = _error()


# --- commands ----------------------------------------------------------------------------------------------------


@frozen
class CommandResult(Result):
    """What a command printed, and how it ended.

    ``output`` is ``stdout`` and ``stderr``, one after the other. ``exit_code`` is None if the command was not run.
    """

    output: str = ""
    error_message: str = ""
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    trace_id: str = ""
    error: AGBError | None = _error()

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


# --- files -------------------------------------------------------------------------------------------------------


@frozen
class FileInfoResult(Result):
    """What is known of a file or directory: at least ``size`` (bytes) and ``isDirectory``, if it is there."""

    file_info: dict[str, Any] = field(default=None, converter=_mapping)
    error_message: str = ""
    error: AGBError | None = _error()


@frozen
class DirectoryListResult(Result):
    """What a directory holds: a dict with ``name`` and ``isDirectory`` for each entry."""

    entries: list[dict[str, Any]] = field(default=None, converter=_entries)
    error_message: str = ""
    error: AGBError | None = _error()


@frozen
class FileContentResult(Result):
    """The text of a file."""

    content: str = field(default="", repr=False)
    error_message: str = ""
    error: AGBError | None = _error()


@frozen
class BinaryFileContentResult(Result):
    """The bytes of a file; ``size`` is how many there are."""

    content: bytes = field(default=b"", repr=False)
    error_message: str = ""
    size: int | None = None
    error: AGBError | None = _error()


@frozen
class MultipleFileContentResult(Result):
    """The texts of several files by their paths; ``errors`` tells why those that are not there could not be read."""

    contents: dict[str, str] = field(default=None, converter=_mapping, repr=False)
    error_message: str = ""
    errors: dict[str, AGBError] = field(default=None, converter=_mapping, kw_only=True, eq=False)
    error: AGBError | None = _error()


@frozen
class FileSearchResult(Result):
    """The paths that match."""

    matches: list[str] = field(default=None, converter=_strings)
    error_message: str = ""
    error: AGBError | None = _error()


@frozen
class FileChangeEvent:
    """One change below a watched directory.

    ``event_type`` is the service's word: ``create``, ``modify`` or ``delete``; ``path_type`` is ``file`` or
    ``directory``.
    """

    event_type: str = ""
    path: str = ""
    path_type: str = ""

    @property
    def is_deletion(self) -> bool:
        """Whether something was removed; services have several words for it."""
        return self.event_type.lower() in ("delete", "destroy", "remove")

    def to_dict(self) -> dict[str, str]:
        """Return the event as the wire has it."""
        return {"eventType": self.event_type, "path": self.path, "pathType": self.path_type}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the event in an object of the wire; what is missing is ``""``."""

        def text(key: str) -> str:
            value = data.get(key, data.get(key[0].upper() + key[1:]))
            return value if isinstance(value, str) else ""

        return cls(text("eventType"), text("path"), text("pathType"))


@frozen
class FileChangeResult(Result):
    """What changed since one asked last, and the text it was read from as ``raw_data``."""

    events: list[FileChangeEvent] = field(default=None, converter=_entries)
    raw_data: str = field(default="", repr=False)
    error_message: str = ""
    error: AGBError | None = _error()

    def has_changes(self) -> bool:
        """Return whether anything changed."""
        return bool(self.events)

    def get_modified_files(self) -> list[str]:
        """Return the paths of the files that were modified."""
        return self._files("modify")

    def get_created_files(self) -> list[str]:
        """Return the paths of the files that were created."""
        return self._files("create")

    def get_deleted_files(self) -> list[str]:
        """Return the paths of the files that were removed."""
        return [event.path for event in self.events if event.is_deletion and event.path_type == "file"]

    def _files(self, word: str) -> list[str]:
        return [event.path for event in self.events if event.event_type == word and event.path_type == "file"]


# --- code --------------------------------------------------------------------------------------------------------


@frozen
class ExecutionResult:
    """One thing that code displayed or returned, in every format it came in; ``png`` and ``jpeg`` are base64.

    A notebook shows it as what it is: a figure as a picture, a table as a table.
    """

    text: str | None = None
    html: str | None = None
    markdown: str | None = None
    png: str | None = None
    jpeg: str | None = None
    svg: str | None = None
    json: Any = None
    latex: str | None = None
    chart: Any = None
    is_main_result: bool = False

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture of this result to a file of this machine, and return its path.

        The suffix says which: ``.png``, ``.jpg``, ``.jpeg`` or ``.svg``; without a suffix it is the only one there.

        Raises:
            ValueError: there is no such picture; nothing was written.
            OSError: the file cannot be written.

        Example:
            >>> ExecutionResult(svg="<svg xmlns='http://www.w3.org/2000/svg'/>").save("figure.svg").name
            'figure.svg'
        """
        from ._wire.display import picture_bytes

        target = Path(path)
        target.write_bytes(picture_bytes(self, target))
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Return all formats by MIME type; a notebook takes the best that it can show."""
        del include, exclude  # a caller may do without them
        from ._wire.display import mime_bundle

        return mime_bundle(self)

    def _repr_html_(self) -> str | None:
        from ._wire.display import html_of

        return html_of(self) or None


@frozen
class ExecutionLogs:
    """What code printed, in the pieces in which it arrived."""

    stdout: list[str] = field(default=None, converter=_strings)
    stderr: list[str] = field(default=None, converter=_strings)


def _logs(value: ExecutionLogs | None) -> ExecutionLogs:
    return ExecutionLogs() if value is None else value


@frozen
class EnhancedCodeExecutionResult(ApiResponse):
    """What running code gave.

    ``error`` tells why a run failed: an `ExecutionError` with name, value and traceback of the exception that the
    code raised, or with the kind of failure if the code could not be run. ``execution_time`` is in seconds.
    """

    execution_count: int | None = None
    execution_time: float = 0.0
    logs: ExecutionLogs = field(default=None, converter=_logs)
    results: list[ExecutionResult] = field(default=None, converter=_entries)
    error: ExecutionError | None = None
    error_message: str = ""
    success: bool = True

    @property
    def result(self) -> str:
        """The text of the main result, else of the first result, else what was printed, else ``""``."""
        mains = [item for item in self.results if item.is_main_result and item.text]
        for item in mains or self.results[:1]:
            if item.text:
                return item.text
        return "".join(piece for piece in self.logs.stdout if piece)

    @classmethod
    def failed(cls, error: AGBError) -> Self:
        """Return the result of a run that could not be made."""
        if not isinstance(error, ExecutionError):
            name = error.kind.name.title().replace("_", "")
            error = ExecutionError(
                name,
                str(error),
                kind=error.kind,
                request_id=error.request_id,
                code=error.code,
                http_status=error.http_status,
                session_id=error.session_id,
                retry_after=error.retry_after,
                sent=error.sent,
                retryable=error.retryable,
            )
        return cls(error.request_id, error=error, error_message=error.value or str(error), success=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Return what a notebook shows: a run that gave one thing and printed nothing is shown as that thing."""
        if self.success and len(self.results) == 1 and not self.logs.stdout and not self.logs.stderr:
            return self.results[0]._repr_mimebundle_(include, exclude)
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _repr_html_(self) -> str:
        from ._wire.display import html_of_run

        return html_of_run(self)

    def raise_for_error(self) -> Self:
        """Return this very result if the run succeeded, else raise its ``error``.

        Raises:
            ExecutionError: the code raised, or could not be run.
        """
        if self.success:
            return self
        raise self.error or ExecutionError("ExecutionError", self.error_message, request_id=self.request_id)


# --- contexts ----------------------------------------------------------------------------------------------------


def _page_size(_: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{attribute.name} is a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{attribute.name} is a number >= 1, not {value}")


@define
class Context:
    """A named persistent store.

    It may be renamed by assigning ``name`` and calling ``agb.context.update``.

    Attributes:
        id: the service's id, such as ``SdkCtx-...``.
        name: unique for an API key and a region.
        created_at, last_used_at: when, as the service writes it; None if it did not say.
        state: ``available``, ``clearing`` or ``pre-available``; None if the service did not say.
    """

    id: str
    name: str
    created_at: str | None = None
    last_used_at: str | None = None
    state: str | None = field(default=None, kw_only=True)


@define
class ContextListParams:
    """Which page of the contexts is wanted; both are checked, when they are assigned too."""

    max_results: int | None = field(default=None, validator=_page_size)
    next_token: str | None = field(default=None, validator=optional(instance_of(str)))


@frozen
class ContextResult(Result):
    """A context, found or made, with its id as ``context_id``."""

    context_id: str = ""
    context: Context | None = None
    error_message: str | None = None
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"context_id": value.id, "context": value}


@frozen
class ContextListResult(Result):
    """One page of contexts; ``next_token`` is None on the last page, ``total_count`` counts all pages if it is told."""

    contexts: list[Context] = field(default=None, converter=_entries)
    next_token: str | None = None
    max_results: int | None = None
    total_count: int | None = None
    error_message: str | None = None
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {
            "contexts": value.items,
            "next_token": value.next_token or None,
            "max_results": value.max_results,
            "total_count": value.total_count,
        }


@frozen
class ContextFileEntry:
    """A file stored in a context; ``size`` is in bytes, ``file_path`` is the path it has inside a session."""

    file_id: str
    file_name: str
    file_path: str
    file_type: str | None = None
    gmt_create: str | None = None
    gmt_modified: str | None = None
    size: int | None = None
    status: str | None = None


@frozen
class ContextFileListResult(Result):
    """One page of the files of a context; ``count`` counts all pages, None if it is not told."""

    entries: list[ContextFileEntry] = field(default=None, converter=_entries)
    count: int | None = None
    error_message: str | None = None
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"entries": value.items, "count": value.total_count}


@frozen
class FileUrlResult(Result):
    """A pre-signed URL. Whoever has it may use it, so it is not shown by ``repr``.

    ``expire_time`` is given as the service gives it, which does not say its unit; the local runtime gives seconds
    since 1970.
    """

    url: str = field(default="", repr=False)
    expire_time: int | None = None
    error_message: str | None = None
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"url": value["url"], "expire_time": value["expire_time"], "error_message": ""}


@frozen
class ClearContextResult(OperationResult):
    """How far the clearing of a context is: ``status`` is ``clearing``, ``pre-available`` or ``available``."""

    data: Any = field(default=None, init=False, repr=False)
    error_message: str = ""
    status: str | None = None
    context_id: str | None = None
    error: AGBError | None = field(default=None, kw_only=True, eq=False, repr=False)

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        del value
        return {}


# --- contexts in sessions ----------------------------------------------------------------------------------------


@frozen
class ContextStatusData:
    """One task that brings data from a context into a session (``download``) or back (``upload``).

    ``status`` is the service's word; ``Success`` and ``Failed`` are final. ``start_time`` and ``finish_time`` are
    seconds since 1970, 0 as long as they are not known. ``task_id`` tells tasks apart where the service names them.
    """

    context_id: str = ""
    path: str = ""
    error_message: str = ""
    status: str = ""
    start_time: int = 0
    finish_time: int = 0
    task_type: str = ""
    task_id: str = field(default="", kw_only=True)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the task in an object of the wire; what is missing is ``""`` or 0."""

        def text(key: str) -> str:
            value = data.get(key)
            return value if isinstance(value, str) else ""

        def number(key: str) -> int:
            value = data.get(key)
            return value if isinstance(value, int) and not isinstance(value, bool) else 0

        return cls(
            context_id=text("contextId"),
            path=text("path"),
            error_message=text("errorMessage"),
            status=text("status"),
            start_time=number("startTime"),
            finish_time=number("finishTime"),
            task_type=text("taskType"),
            task_id=text("taskId"),
        )


@frozen
class ContextInfoResult(Result):
    """The tasks between a session and its contexts."""

    context_status_data: list[ContextStatusData] = field(default=None, converter=_entries)
    error_message: str | None = None
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"context_status_data": value}


@frozen
class ContextSyncResult(Result):
    """How a sync ended; ``context_status_data`` holds the tasks it was made of, as they were seen last."""

    error_message: str = ""
    context_status_data: list[ContextStatusData] = field(default=None, converter=_entries, kw_only=True)
    error: AGBError | None = _error()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"context_status_data": value}


@frozen
class AwaitableContextSyncResult(ContextSyncResult, Coroutine[Any, Any, ContextSyncResult]):
    """What ``session.context.sync()`` gives in the synchronous flavour: a result that may be awaited as well.

    In agbcloud-sdk 0.12 ``sync`` was a coroutine function. ``asyncio.run(session.context.sync())`` and
    ``await session.context.sync()``, written for that, go on to work: the sync is over before, and both give this very
    result. ``asyncio.run`` takes nothing but coroutines, so it is one, which is at its end.
    """

    def __hash__(self) -> int:
        return hash((self.request_id, self.success, self.error_message))  # asyncio.gather puts it into a dict

    def __await__(self) -> Generator[Any, None, Self]:
        return self
        yield  # makes this a generator, as the language wants it

    def send(self, value: Any) -> NoReturn:
        """Be at the end, with this result."""
        del value
        raise StopIteration(self)

    def throw(self, error: Any, value: Any = None, traceback: Any = None, /) -> NoReturn:
        """Raise what is thrown in."""
        del traceback
        raise error if value is None else value

    def close(self) -> None:
        """Do nothing: nothing is open."""


# --- extensions --------------------------------------------------------------------------------------------------


@frozen
class Extension:
    """A browser extension stored in a context.

    ``name`` is the name of the file it was made from where that is known, else the same as ``id``.
    """

    id: str
    name: str
    created_at: str | None = None


# --- transfers ---------------------------------------------------------------------------------------------------


@frozen
class TransferredFile:
    """A file that was moved between this machine and a context; ``size`` is in bytes, ``etag`` is the store's."""

    local_path: str
    remote_path: str
    size: int
    etag: str = ""


@frozen
class FailedTransfer:
    """A file that was not moved, and why."""

    local_path: str
    remote_path: str
    error: AGBError = field(eq=False)


@frozen
class ContextTransferResult:
    """What became of the files of one upload or download: a success if all of them were moved."""

    success: bool = False
    files: list[TransferredFile] = field(default=None, converter=_entries)
    size: int = 0
    """Bytes that were moved, of all ``files``."""
    failures: list[FailedTransfer] = field(default=None, converter=_entries)
    error_message: str = ""
    error: AGBError | None = _error()

    def raise_for_error(self) -> Self:
        """Return this very result if it is a success, else raise the error of the first failure.

        Raises:
            AGBError: as in ``error``; ``failures`` has those of the other files.
        """
        return self if self.success else _raise_transfer(self)


@frozen
class UploadResult:
    """An upload into a session; the two request ids are those of getting the URL and of starting the sync."""

    success: bool = False
    request_id_upload_url: str | None = None
    request_id_sync: str | None = None
    http_status: int | None = None
    etag: str | None = None
    bytes_sent: int = 0
    path: str = ""
    error_message: str | None = None
    error: AGBError | None = _error()

    def raise_for_error(self) -> Self:
        """Return this very result if it is a success, else raise its ``error``.

        Raises:
            AGBError: as in ``error``.
        """
        return self if self.success else _raise_transfer(self)


@frozen
class DownloadResult:
    """A download out of a session; the two request ids are those of getting the URL and of starting the sync."""

    success: bool = False
    request_id_download_url: str | None = None
    request_id_sync: str | None = None
    http_status: int | None = None
    bytes_received: int = 0
    path: str = ""
    local_path: str = ""
    error_message: str | None = None
    error: AGBError | None = _error()

    def raise_for_error(self) -> Self:
        """Return this very result if it is a success, else raise its ``error``.

        Raises:
            AGBError: as in ``error``.
        """
        return self if self.success else _raise_transfer(self)


def _raise_transfer(result: Any) -> NoReturn:
    raise result.error or FileError(result.error_message or "the transfer failed")
