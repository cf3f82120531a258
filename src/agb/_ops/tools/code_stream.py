"""Code with live output: the request, the event of each frame, and the result of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..._wire.stream import error_text
from ...events import CodeEvent, Error, Finished, Result, Stderr, Stdout
from ...exceptions import AGBError, ErrorKind, ExecutionError, Sent
from ...results.code import EnhancedCodeExecutionResult, ExecutionLogs, ExecutionResult
from .code import TIMED_OUT, read_item, run_code


def stream_request(code: str, language: str, timeout_s: float) -> dict[str, Any]:
    """Return the data of the first frame; wrong arguments raise ``ValueError`` or ``TypeError``."""
    args = run_code(code, language, timeout_s, session_id="").args
    return {
        "method": "run_code",
        "mode": "stream",
        "params": {"language": args["language"], "timeoutS": args["timeout_s"], "code": args["code"]},
    }


class CodeRun:
    """One execution, as far as its frames have arrived.

    The result can be read at any time. It is a success only if the last frame (`end`) arrived and neither it nor
    an event before it reported an error; a stream that breaks off, or that the service ends by an error of its own, is
    never a success.
    """

    def __init__(self, invocation_id: str, session_id: str) -> None:
        self._ids = {"request_id": invocation_id, "session_id": session_id}
        self._stdout, self._stderr = _Output(), _Output()
        self._results: list[ExecutionResult] = []
        self._error: ExecutionError | None = None
        self._finished: Finished | None = None
        self._message = ""

    def event(self, data: Mapping[str, Any]) -> CodeEvent | None:
        """Add the data of an event frame; return its event, None for an unknown kind or half a character."""
        kind = data.get("eventType")
        if kind == "stdout":
            text = self._stdout.add(data.get("chunk"))
            return Stdout(text) if text else None
        if kind == "stderr":
            text = self._stderr.add(data.get("chunk"))
            return Stderr(text) if text else None
        if kind == "result":
            item = _result(data.get("result"))
            self._results.append(item)
            return Result(item)
        if kind == "error":
            payload = data.get("error")
            fields: Mapping[str, Any] = payload if isinstance(payload, dict) else data
            self._error = self._raised(fields)
            return Error(self._error, payload=fields)
        return None

    def end(self, data: Mapping[str, Any]) -> Finished:
        """Add the last frame; it is a success unless it, or an event before it, reports an error."""
        text = _text(data.get("executionError"))
        error = self._error
        if text and (error is None or text.startswith(TIMED_OUT)):
            timed_out = text.startswith((TIMED_OUT, "TimeoutError"))
            error = self._made("ExecutionError", text, is_timeout=timed_out)
        elif error is None and data.get("status") == "failed":
            error = self._made("ExecutionError", "the code failed")
        self._error = error
        self._message = text or (error.value or error.name if error else "")
        self._finished = Finished(_count(data.get("executionCount")), _seconds(data), error is None, error)
        return self._finished

    def refused(self, data: Mapping[str, Any]) -> ExecutionError:
        """Add the frame by which the service ends the stream with an error of its own."""
        error = self._made("ExecutionError", error_text(data))
        self.fail(error)
        return error

    def fail(self, error: AGBError) -> None:
        """Note the error that ended the stream early."""
        failed = EnhancedCodeExecutionResult.failed(error)
        self._error, self._message = failed.error, failed.error_message

    @property
    def failure(self) -> ExecutionError:
        """The error that ended the stream early."""
        return self._error or self._made("ExecutionError", "the code failed")

    def result(self) -> EnhancedCodeExecutionResult:
        """Return the result of all frames so far, in the form that `run` returns."""
        finished = self._finished or Finished(success=False)
        message = self._message or ("" if self._finished else "the execution has not ended yet")
        return EnhancedCodeExecutionResult(
            self._ids["request_id"],
            finished.execution_count,
            finished.execution_time,
            ExecutionLogs(self._stdout.pieces, self._stderr.pieces),
            self._results,
            self._error,
            message,
            finished.success and self._error is None,
        )

    def rest(self) -> list[CodeEvent]:
        """Return the events of incomplete characters, whose other half will not arrive any more."""
        stdout, stderr = self._stdout.rest(), self._stderr.rest()
        return [*([Stdout(stdout)] if stdout else []), *([Stderr(stderr)] if stderr else [])]

    def _raised(self, fields: Mapping[str, Any]) -> ExecutionError:
        name = _text(fields.get("code")) or "ExecutionError"
        value = _text(fields.get("message")) or _text(fields.get("error"))
        trace = fields.get("traceback")
        traceback = "\n".join(line for line in trace if isinstance(line, str)) if isinstance(trace, list) else trace
        trace_id = _text(fields.get("traceId"))
        traceback = _text(traceback) or (f"traceId={trace_id}" if trace_id else "")
        return self._made(name, value, traceback, is_timeout=value.startswith(TIMED_OUT))

    def _made(self, name: str, value: str, traceback: str = "", *, is_timeout: bool = False) -> ExecutionError:
        kind = ErrorKind.TIMED_OUT if is_timeout else ErrorKind.REFUSED
        return ExecutionError(name, value, traceback, kind=kind, sent=Sent.YES, **self._ids)


class _Output:
    """Pieces of text; a character that was cut into two pieces is joined.

    Services that work in UTF-16 may cut a character between its two surrogates. A first half at the end of a chunk is
    held back and put before the next chunk; a half that stays alone becomes U+FFFD.
    """

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._half = ""

    def add(self, chunk: object) -> str:
        if not isinstance(chunk, str) or not chunk:
            return ""
        if self._half or not chunk.isascii():
            text, self._half = _whole(self._half + chunk)
        else:
            text = chunk
        if text:
            self.pieces.append(text)
        return text

    def rest(self) -> str:
        half, self._half = self._half, ""
        if not half:
            return ""
        self.pieces.append("\ufffd")
        return "\ufffd"


def _whole(text: str) -> tuple[str, str]:
    """Return text with its surrogates joined (a lone one is replaced), and the first half at its end, if any."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        text = text.removesuffix(half).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text, half
    return text, ""


def _result(payload: Any) -> ExecutionResult:
    """Read a result: its formats are under ``mime``; anything but an object is text."""
    if not isinstance(payload, dict):
        return ExecutionResult(text=payload if isinstance(payload, str) else json.dumps(payload))
    mime = payload.get("mime")
    main = payload.get("isMainResult", payload.get("is_main_result", False))
    return read_item({**(mime if isinstance(mime, dict) else payload), "isMainResult": main})


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(data: Mapping[str, Any]) -> float:
    seconds = data.get("executionTime")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
        return 0.0
    return float(seconds)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
