"""The tool `run_code`: code in a language, with its output, its displays and its value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..._wire.mime_types import MIME_TYPES, TEXT_FORMATS
from ..._wire.run_end import kind_of_end
from ..._wire.shape import FLAG, TEXT, WHOLE, Array, Object, Shape, ShapeError, kind_of_json, maybe, needed
from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import ErrorKind, ExecutionError, Sent
from ...results.base import Truncated
from ...results.code import EnhancedCodeExecutionResult, ExecutionLogs, ExecutionResult
from . import DISCARDED, check_time_limit, reason_of, tool_failure

LANGUAGE_ALIASES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "nodejs": "javascript",
}
"""Accepted spellings of languages."""
SUPPORTED_LANGUAGES = {"python", "javascript", "java", "r"}
"""The names of the languages in the protocol."""


# --- shapes ------------------------------------------------------------------------------------------------------


class _Pieces(Shape):
    """Pieces of text: a string, or an array of strings and nulls."""

    def read(self, value: Any, place: str) -> list[str]:
        """Return the pieces."""
        pieces = [value] if isinstance(value, str) else value
        if not isinstance(pieces, list):
            raise ShapeError(f"{place} is {kind_of_json(value)}, not an array")
        return [TEXT.read(piece, f"{place}[{number}]") for number, piece in enumerate(pieces) if piece is not None]


class _Seconds(Shape):
    """A duration."""

    def read(self, value: Any, place: str) -> float:
        """Return the seconds."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _ENDLESS:
            raise ShapeError(f"{place} is not a duration in seconds")
        return float(value)


class _Item(Shape):
    """One result: an object of formats by their MIME types or short names, a string that holds one, or other text."""

    def read(self, value: Any, place: str) -> ExecutionResult:
        """Return the result with all its formats."""
        bundle = _decoded(value) if isinstance(value, str) else value
        if bundle is None:
            return ExecutionResult(text=value)
        if not isinstance(bundle, dict):
            raise ShapeError(f"{place} is {kind_of_json(value)}, not an object of formats")
        data: dict[str, Any] = {}
        for name, item in bundle.items():
            mime = name if "/" in name else MIME_TYPES.get(name)
            if mime is None or item is None or (mime in data and mime != name):  # the MIME type is preferred
                continue
            data[mime] = TEXT.read(item, f"{place}[{name!r}]") if mime in TEXT_FORMATS else item
        main = bundle.get("isMainResult", bundle.get("is_main_result"))
        return ExecutionResult(data=data, is_main_result=main is not None and FLAG.read(main, f"{place}.isMainResult"))


def _decoded(text: str) -> dict[str, Any] | None:
    """Return the object of formats that a string holds, which may be encoded twice; None for any other text."""
    value: Any = text
    for _ in range(2):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return None
    is_bundle = isinstance(value, dict) and any("/" in name or name in MIME_TYPES for name in value)
    return value if is_bundle else None


_ENDLESS = 1e9
"""No execution takes so many seconds; an answer with such a number is damaged."""
ITEM = _Item()
PIECES = _Pieces()
SECONDS = _Seconds()
ERROR = Object({**dict.fromkeys(("name", "value", "reason"), maybe(TEXT)), "traceback": maybe(PIECES)})
_END = {
    "execution_count": maybe(WHOLE),
    "execution_time": maybe(SECONDS),
    "executionError": maybe(TEXT),
    "isError": maybe(FLAG),
    "error": maybe(ERROR),
    "discarded": maybe(DISCARDED),
}
_OUTPUT = {"stdout": maybe(PIECES), "stderr": maybe(PIECES)}
RUN = Object({"result": needed(Array(ITEM)), **_OUTPUT, **_END})
"""The text of the tool `run_code`."""
RICH_RUN = Object({"results": maybe(Array(ITEM)), "logs": maybe(Object(_OUTPUT)), **_END})
"""The text in an older format."""

# --- the call ----------------------------------------------------------------------------------------------------


def check_language(language: object) -> None:
    """Raise ``ValueError`` unless code of this language can be run."""
    if canonical_language(language) not in SUPPORTED_LANGUAGES:
        supported = ", ".join(sorted(SUPPORTED_LANGUAGES))
        raise ValueError(f"Unsupported language: {language}. Supported languages are {supported}")


def canonical_language(language: object) -> str:
    """Return the name of a language in the protocol."""
    name = "" if language is None else str(language).strip().lower()
    return LANGUAGE_ALIASES.get(name, name)


def run_code(
    code: str, language: str, timeout_s: float = 60, *, session_id: str
) -> ToolCall[EnhancedCodeExecutionResult]:
    """Return the call that runs ``code``; wrong arguments raise ``ValueError`` or ``TypeError``."""
    if not isinstance(code, str):
        raise TypeError(f"code must be a string, not {type(code).__name__}")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)):
        raise TypeError(f"timeout_s must be a number of seconds, not {timeout_s!r}")
    check_time_limit("timeout_s", timeout_s, "seconds", 1)
    args = {"code": code, "language": canonical_language(language), "timeout_s": timeout_s}
    return ToolCall(
        "run_code",
        args,
        lambda reply: _read(reply, session_id),
        seconds=float(timeout_s),
        description="run the code",
        shape=RUN,
    )


def _read(reply: ToolReply, session_id: str) -> EnhancedCodeExecutionResult:
    """Read every format that the service is known to use.

    The order matters, since one answer may look like several formats: an error of the tool, text that is not JSON, a
    result nested in ``content[0].text``, then the formats with ``result``, with ``logs`` or ``results``, and with
    ``content`` alone.
    """
    if reply.is_error:
        return EnhancedCodeExecutionResult.failed(
            tool_failure("run_code", ToolReply(reason_of("run_code", reply), True, reply.request_id), session_id)
        )
    if not reply.text:
        return _invalid("No data returned", reply, session_id)
    try:
        value = json.loads(reply.text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return _plain(reply.text, reply.request_id)
    value = _unwrapped(value)
    if value.get("isError") is True and not isinstance(value.get("result"), list):
        reason = "; ".join(_content_texts(value)) or "Unknown error"
        return EnhancedCodeExecutionResult.failed(
            tool_failure("run_code", ToolReply(f"Error in response: {reason}", True, reply.request_id), session_id)
        )
    try:
        if value.keys() & _OF_A_RUN and not value.keys() & _OF_A_RICH_RUN:
            fields = RUN.read(value, "")
            return _result(fields, fields["result"], fields, reply.request_id)
        if value.keys() & _OF_A_RICH_RUN:
            fields = RICH_RUN.read(value, "")
            return _result(fields, fields.get("results", []), fields.get("logs", {}), reply.request_id)
    except ShapeError as error:
        return _invalid(f"the answer is not valid: {error}", reply, session_id)
    if "content" in value:
        texts = _content_texts(value)
        return (
            _plain(texts[0], reply.request_id) if texts else _invalid("No content found in response", reply, session_id)
        )
    return _plain(reply.text, reply.request_id)


_OF_A_RUN = frozenset({"result", "executionError", "stdout", "stderr", "execution_count"})
_OF_A_RICH_RUN = frozenset({"logs", "results"})
"""The fields by which the formats are recognised."""


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    """Return the result that is nested in ``content[0].text``, otherwise the value itself."""
    for text in _content_texts(value)[:1]:
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return value
        if isinstance(inner, dict) and inner.keys() & {"result", "executionError"}:
            return inner
    return value


def _content_texts(value: Mapping[str, Any]) -> list[str]:
    content = value.get("content")
    items = content if isinstance(content, list) else []
    return [item["text"] for item in items if isinstance(item, dict) and isinstance(item.get("text"), str)]


def _result(
    fields: Mapping[str, Any], items: list[ExecutionResult], output: Mapping[str, Any], request_id: str
) -> EnhancedCodeExecutionResult:
    error = _error(fields, request_id)
    return EnhancedCodeExecutionResult(
        request_id,
        fields.get("execution_count"),
        fields.get("execution_time", 0.0),
        ExecutionLogs(output.get("stdout"), output.get("stderr")),
        items,
        error,
        (fields.get("executionError") or error.value or error.name) if error else "",
        error is None,
        truncated=Truncated(**fields.get("discarded", {})),
    )


def _error(fields: Mapping[str, Any], request_id: str) -> ExecutionError | None:
    """Return the exception of the code, from the object with name, value and traceback or else from the text."""
    said = fields.get("error")
    text = fields.get("executionError", "")
    if said is not None:
        name, message = said.get("name") or "ExecutionError", said.get("value") or text
        traceback = "\n".join(said.get("traceback", []))
        kind = kind_of_end(said.get("reason"))
    elif text or fields.get("isError"):
        name, message, traceback = "ExecutionError", text or "the code failed", ""
        kind = kind_of_text(text)
    else:
        return None
    return ExecutionError(name, message, traceback, kind=kind, request_id=request_id, sent=Sent.YES)


TIMED_OUT = "Execution timeout"
"""The service's text for a run that was ended by its time limit, where nothing else says why the run has failed.

It begins the text; that of an exception begins with the exception's name, so code that raises a TimeoutError is not
meant.
"""


def kind_of_text(text: str) -> ErrorKind:
    """Return the kind of an error of which a service has sent nothing but ``executionError``."""
    return ErrorKind.TIMED_OUT if text.startswith(TIMED_OUT) else ErrorKind.PROGRAM_FAILED


def _plain(text: str, request_id: str) -> EnhancedCodeExecutionResult:
    return EnhancedCodeExecutionResult(
        request_id, logs=ExecutionLogs([text]), results=[ExecutionResult(text=text, is_main_result=True)]
    )


def _invalid(reason: str, reply: ToolReply, session_id: str) -> EnhancedCodeExecutionResult:
    error = ExecutionError(
        "InvalidAnswer",
        reason,
        kind=ErrorKind.INVALID_ANSWER,
        request_id=reply.request_id,
        session_id=session_id,
        sent=Sent.YES,
    )
    return EnhancedCodeExecutionResult.failed(error)
