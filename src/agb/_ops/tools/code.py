"""The tool `run_code`: code in a language, with everything it printed, displayed and returned.

Source: data-plane.md 2.1 and 5.3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import ErrorKind, ExecutionError, Sent
from ...results.code import EnhancedCodeExecutionResult, ExecutionLogs, ExecutionResult
from . import tool_failure

LANGUAGE_ALIASES = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "nodejs": "javascript",
}
"""Accepted spellings of languages."""
SUPPORTED_LANGUAGES = {"python", "javascript", "java", "r"}
"""The names of the languages on the wire."""


def language_refused(language: object) -> str:
    """Return why code of this language cannot be run, ``""`` if it can."""
    if canonical_language(language) in SUPPORTED_LANGUAGES:
        return ""
    return f"Unsupported language: {language}. Supported languages are {', '.join(sorted(SUPPORTED_LANGUAGES))}"


def canonical_language(language: object) -> str:
    """Return the name of a language as the wire has it."""
    name = "" if language is None else str(language).strip().lower()
    return LANGUAGE_ALIASES.get(name, name)


def run_code(
    code: str, language: str, timeout_s: float = 60, *, session_id: str
) -> ToolCall[EnhancedCodeExecutionResult]:
    """Return the call that runs ``code``; wrong arguments raise ``ValueError`` or ``TypeError``."""
    if not isinstance(code, str):
        raise TypeError(f"code is a string, not {type(code).__name__}")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)):
        raise TypeError(f"timeout_s is a number of seconds, not {timeout_s!r}")
    if not 0 < timeout_s < float("inf"):
        raise ValueError(f"timeout_s is a number of seconds above zero, not {timeout_s!r}")
    args = {"code": code, "language": canonical_language(language), "timeout_s": timeout_s}
    return ToolCall("run_code", args, lambda said: _read(said, session_id), seconds=float(timeout_s))


def _read(said: ToolReply, session_id: str) -> EnhancedCodeExecutionResult:
    """Read every format that the service is known to use, in the documented order (2.1)."""
    if said.is_error:
        return EnhancedCodeExecutionResult.failed(tool_failure("run_code", said, session_id))
    if not said.text:
        return _invalid("No data returned", said, session_id)
    try:
        value = json.loads(said.text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return _plain(said.text, said.request_id)
    value = _unwrapped(value)
    if value.get("isError") is True and not isinstance(value.get("result"), list):
        why = "; ".join(_content_texts(value)) or "Unknown error"
        return EnhancedCodeExecutionResult.failed(
            tool_failure("run_code", ToolReply(f"Error in response: {why}", True, said.request_id), session_id)
        )
    if isinstance(value.get("result"), list):
        return _new_format(value, said.request_id)
    if "logs" in value or "results" in value:
        return _rich_format(value, said.request_id)
    if "content" in value:
        texts = _content_texts(value)
        return (
            _plain(texts[0], said.request_id) if texts else _invalid("No content found in response", said, session_id)
        )
    return _plain(said.text, said.request_id)


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    """Return the result inside ``content[0].text`` if there is one."""
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
    """Return what the code raised: the object with name, value and traceback if it is there, else the text."""
    told = value.get("error")
    text = _text(value.get("executionError"))
    timed_out = False
    if isinstance(told, dict):
        name, what = _text(told.get("name")) or "ExecutionError", _text(told.get("value")) or text
        trace = told.get("traceback")
        traceback = "\n".join(_pieces(trace)) if isinstance(trace, list) else _text(trace)
        timed_out = what.startswith(TIMED_OUT)
    elif text or value.get("isError") is True:
        name, what, traceback = "ExecutionError", text or "the code failed", ""
        timed_out = text.startswith((TIMED_OUT, "TimeoutError"))
    else:
        return None
    kind = ErrorKind.TIMED_OUT if timed_out else ErrorKind.REFUSED
    return ExecutionError(name, what, traceback, kind=kind, request_id=request_id, sent=Sent.YES)


TIMED_OUT = "Execution timeout"
"""How the service says that a run was ended by its time limit; code that raises a TimeoutError is another thing."""

_ENDLESS = 1e9
"""No execution takes so many seconds; what says so is damaged."""

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
    """Read one result: an object, or a string that holds one, even encoded twice, or any other text."""
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


def _invalid(why: str, said: ToolReply, session_id: str) -> EnhancedCodeExecutionResult:
    error = ExecutionError(
        "InvalidAnswer",
        why,
        kind=ErrorKind.INVALID_ANSWER,
        request_id=said.request_id,
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
