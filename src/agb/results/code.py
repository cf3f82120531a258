"""Results of code."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, Self

from attrs import field, frozen

from ..exceptions import AGBError, ExecutionError
from .base import Answer, ApiResponse, Shown, entries, strings


def _picture(value: str | None) -> str:
    from .._wire.display import short_picture

    return short_picture(value)


@frozen(slots=False, repr=False)
class ExecutionResult(Shown):
    """A display or value of code, in all formats that the service returned; ``png`` and ``jpeg`` are base64.

    A notebook shows it in its best format: a figure as a picture, a table as a table.
    """

    text: str | None = None
    html: str | None = None
    markdown: str | None = None
    png: str | None = field(default=None, repr=_picture)
    jpeg: str | None = field(default=None, repr=_picture)
    svg: str | None = None
    json: Any = None
    latex: str | None = None
    chart: Any = None
    is_main_result: bool = False

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture of this result to a file of this machine, and return its path.

        The suffix selects the format: ``.png``, ``.jpg``, ``.jpeg`` or ``.svg``; without a suffix, the only picture.

        Raises:
            ValueError: there is no such picture; nothing was written.
            OSError: the file cannot be written.

        Example:
            >>> ExecutionResult(svg="<svg xmlns='http://www.w3.org/2000/svg'/>").save("figure.svg").name
            'figure.svg'
        """
        from .._wire.display import picture_bytes

        target = Path(path)
        target.write_bytes(picture_bytes(self, target))
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Return all formats by MIME type; a notebook shows the best that it can."""
        del include, exclude  # a caller may ignore them
        from .._wire.display import mime_bundle

        return mime_bundle(self)

    def _repr_html_(self) -> str | None:
        from .._wire.display import html_of

        return html_of(self) or None


@frozen(slots=False, repr=False)
class ExecutionLogs(Shown):
    """The output of code, in the pieces in which it arrived."""

    stdout: list[str] = field(default=None, converter=strings)
    stderr: list[str] = field(default=None, converter=strings)


def _logs(value: ExecutionLogs | None) -> ExecutionLogs:
    return ExecutionLogs() if value is None else value


@frozen(slots=False, repr=False)
class EnhancedCodeExecutionResult(Answer, ApiResponse):
    """The result of running code.

    ``error`` is the reason of a failed run: an `ExecutionError` with name, value and traceback of the exception that
    the code raised, or with the kind of failure if the code could not be run. ``execution_time`` is in seconds.
    """

    execution_count: int | None = None
    execution_time: float = 0.0
    logs: ExecutionLogs = field(default=None, converter=_logs)
    results: list[ExecutionResult] = field(default=None, converter=entries)
    error: ExecutionError | None = None
    error_message: str = ""
    success: bool = True

    @property
    def result(self) -> str:
        """The text of the main result, else of the first result, else the output, else ``""``."""
        mains = [item for item in self.results if item.is_main_result and item.text]
        for item in mains or self.results[:1]:
            if item.text:
                return item.text
        return "".join(piece for piece in self.logs.stdout if piece)

    @classmethod
    def failed(cls, error: AGBError) -> Self:
        """Return the result of a run that ended in ``error``."""
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
        """Return the formats for a notebook: a run with one result and no output is shown as that result."""
        if self.success and len(self.results) == 1 and not self.logs.stdout and not self.logs.stderr:
            return self.results[0]._repr_mimebundle_(include, exclude)
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _repr_html_(self) -> str:
        from .._wire.display import html_of_run

        return html_of_run(self)

    def raise_for_error(self) -> Self:
        """Return this result if the run succeeded, otherwise raise its ``error``.

        Raises:
            ExecutionError: the code raised, or could not be run.
        """
        if self.success:
            return self
        raise self.error or ExecutionError("ExecutionError", self.error_message, request_id=self.request_id)
