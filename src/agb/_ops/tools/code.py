"""The tool `run_code`: code in a language, with its output, its displays and its value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import ErrorKind, ExecutionError, Sent
from ...results.code import EnhancedCodeExecutionResult, ExecutionLogs, ExecutionResult
from . import check_time_limit, reason_of, tool_failure

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
        "run_code", args, lambda reply: _read(reply, session_id), seconds=float(timeout_s), description="run the code"
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
    if isinstance(value.get("result"), list):
        return _new_format(value, reply.request_id)
    if "logs" in value or "results" in value:
        return _rich_format(value, reply.request_id)
    if "content" in value:
        texts = _content_texts(value)
        return (
            _plain(texts[0], reply.request_id) if texts else _invalid("No content found in response", reply, session_id)
        )
    return _plain(reply.text, reply.request_id)


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


def _new_format(value: Mapping[str, Any], request_id: str) -> EnhancedCodeExecutionResult:
    error = _error(value, request_id)
    return EnhancedCodeExecutionResult(
        request_id,
        _count(value),
        _seconds(value),
        ExecutionLogs(_pieces(value.get("stdout")), _pieces(value.get("stderr"))),
        [read_item(item) for item in value["result"]],
        error,
        (_text(value.get("executionError")) or error.value) if error else "",
        error is None,
    )


def _rich_format(value: Mapping[str, Any], request_id: str) -> EnhancedCodeExecutionResult:
    logs = value.get("logs") if isinstance(value.get("logs"), dict) else {}
    results = value.get("results")
    error = _error(value, request_id)
    return EnhancedCodeExecutionResult(
        request_id,
        _count(value),
        _seconds(value),
        ExecutionLogs(_pieces(logs.get("stdout")), _pieces(logs.get("stderr"))),  # type: ignore[union-attr]
        [read_item(item) for item in results] if isinstance(results, list) else [],
        error,
        error.value or error.name if error else "",
        error is None,
    )


def _error(value: Mapping[str, Any], request_id: str) -> ExecutionError | None:
    """Return the exception of the code, from the object with name, value and traceback or else from the text."""
    fields = value.get("error")
    text = _text(value.get("executionError"))
    timed_out = False
    if isinstance(fields, dict):
        name, message = _text(fields.get("name")) or "ExecutionError", _text(fields.get("value")) or text
        trace = fields.get("traceback")
        traceback = "\n".join(_pieces(trace)) if isinstance(trace, list) else _text(trace)
        timed_out = message.startswith(TIMED_OUT)
    elif text or value.get("isError") is True:
        name, message, traceback = "ExecutionError", text or "the code failed", ""
        timed_out = text.startswith((TIMED_OUT, "TimeoutError"))
    else:
        return None
    kind = ErrorKind.TIMED_OUT if timed_out else ErrorKind.REFUSED
    return ExecutionError(name, message, traceback, kind=kind, request_id=request_id, sent=Sent.YES)


TIMED_OUT = "Execution timeout"
"""The service's text for a run that was ended by its time limit; code that raises a TimeoutError is not meant."""

_ENDLESS = 1e9
"""No execution takes so many seconds; an answer with such a number is damaged."""

_FORMATS = {
    "text": ("text/plain", "text"),
    "html": ("text/html", "html"),
    "markdown": ("text/markdown", "markdown"),
    "png": ("image/png", "png"),
    "jpeg": ("image/jpeg", "jpeg"),
    "svg": ("image/svg+xml", "svg"),
    "json": ("application/json", "json"),
    "latex": ("text/latex", "latex"),
    "chart": ("application/vnd.vegalite.v4+json", "application/vnd.vegalite.v5+json", "chart"),
}
"""The keys of a result's formats, the one preferred first."""


def read_item(item: Any) -> ExecutionResult:
    """Read one result: an object, a string that holds one (possibly encoded twice), or any other text."""
    value = item
    for _ in range(2):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                break
    if not isinstance(value, dict):
        return ExecutionResult(text=item if isinstance(item, str) else json.dumps(item))
    formats = {
        name: next((value[key] for key in keys if value.get(key) is not None), None) for name, keys in _FORMATS.items()
    }
    main = value.get("isMainResult", value.get("is_main_result", False))
    return ExecutionResult(**formats, is_main_result=main is True)


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


def _pieces(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [piece for piece in value if isinstance(piece, str)] if isinstance(value, list) else []


def _count(value: Mapping[str, Any]) -> int | None:
    count = value.get("execution_count")
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _seconds(value: Mapping[str, Any]) -> float:
    seconds = value.get("execution_time")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < _ENDLESS:
        return 0.0
    return float(seconds)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
