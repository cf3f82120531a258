"""Results of code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Self

from attrs import field, frozen

from .._wire.mime_types import MIME_TYPES
from ..exceptions import AGBError, ExecutionError, facts_of
from .base import COMPLETE, Answer, ApiResponse, Shown, Truncated, entries, message_field, strings

_CHART = re.compile(r"application/vnd\.vega(lite)?\.v\d+\+json")


def _picture(value: str | None) -> str:
    from .._wire.display import short

    return short(value, 40)  # more of its base64 is of no use to a reader


def _types(data: dict[str, Any]) -> str:
    return f"{{{', '.join(f'{mime!r}: ...' for mime in data)}}}"


@frozen(slots=False, init=False, repr=False)
class ExecutionResult(Shown):
    """A display or value of code, in all formats that the service returned.

    A notebook shows it in its best format: a figure as a picture, a table as a table.

    Attributes:
        data: the value of each format by its MIME type, as it came, such as ``application/vnd.plotly.v1+json``,
            ``image/gif`` or ``application/geo+json``. Pictures are base64.
        is_main_result: whether it is the value of the last expression.

    ``text``, ``html``, ``markdown``, ``png``, ``jpeg``, ``svg``, ``json``, ``latex`` and ``chart`` (of Vega and
    Vega-Lite) are those formats of ``data``, None if it does not have them.

    Example:
        >>> from agb import ExecutionResult
        >>> item = ExecutionResult("<table>", html="<table></table>", data={"application/geo+json": {"type": "Point"}})
        >>> item.html, item.png, sorted(item.data)
        ('<table></table>', None, ['application/geo+json', 'text/html', 'text/plain'])
    """

    text: str | None
    html: str | None
    markdown: str | None
    png: str | None = field(repr=_picture)
    jpeg: str | None = field(repr=_picture)
    svg: str | None
    json: Any = field(hash=False)
    latex: str | None
    chart: Any = field(hash=False)
    is_main_result: bool
    data: dict[str, Any] = field(hash=False, repr=_types)

    def __init__(
        self,
        text: str | None = None,
        html: str | None = None,
        markdown: str | None = None,
        png: str | None = None,
        jpeg: str | None = None,
        svg: str | None = None,
        json: Any = None,
        latex: str | None = None,
        chart: Any = None,
        is_main_result: bool = False,
        *,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        values = (text, html, markdown, png, jpeg, svg, json, latex, chart)
        named = zip(MIME_TYPES.values(), values, strict=True)
        formats = {**(data or {}), **{mime: value for mime, value in named if value is not None}}
        views = {name: formats.get(mime) for name, mime in MIME_TYPES.items()}
        views["chart"] = next((value for mime, value in formats.items() if _CHART.fullmatch(mime)), None)
        make: Any = self.__attrs_init__  # pyright: ignore[reportAttributeAccessIssue] - attrs makes it
        make(**views, is_main_result=is_main_result, data=formats)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture of this result to a file of this machine, and return its path.

        The suffix selects the format: ``.png``, ``.jpg``, ``.jpeg``, ``.svg``, ``.gif``, ``.webp`` or ``.pdf``; without
        a suffix, the only picture.

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
        return dict(self.data)

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
    ``truncated`` is how much output exceeded the limit of the service and is missing.
    """

    execution_count: int | None = None
    execution_time: float = 0.0
    logs: ExecutionLogs = field(default=None, converter=_logs)
    results: list[ExecutionResult] = field(default=None, converter=entries)
    error: ExecutionError | None = None
    error_message: str = message_field()
    success: bool = True
    truncated: Truncated = field(default=COMPLETE, kw_only=True)

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
            error = ExecutionError(name, str(error), **facts_of(error))
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
