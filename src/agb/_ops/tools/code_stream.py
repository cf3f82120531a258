"""Code with live output: the request, the event of each frame, and the result of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._wire.reply import kind_of_refusal
from ..._wire.run_end import kind_of_end
from ..._wire.shape import FLAG, TEXT, WHOLE, Object, Shape, ShapeError, maybe
from ..._wire.stream import error_text
from ...events import CodeEvent, Error, Finished, Result, Stderr, Stdout
from ...exceptions import AGBError, ErrorKind, ExecutionError, Sent
from ...results.base import COMPLETE, Truncated
from ...results.code import EnhancedCodeExecutionResult, ExecutionLogs, ExecutionResult
from . import DISCARDED
from .code import ITEM, PIECES, SECONDS, TIMED_OUT, kind_of_text, run_code


class _Result(Shape):
    """A result: its formats are under ``mime``; anything but an object is text."""

    def read(self, value: Any, place: str) -> ExecutionResult:
        """Return the result with all its formats."""
        if not isinstance(value, dict):
            return ExecutionResult(text=TEXT.read(value, place))
        main = value.get("isMainResult", value.get("is_main_result"))
        formats = value.get("mime", value)
        if isinstance(formats, dict):
            formats = {
                **formats,
                "isMainResult": FLAG.read(main, f"{place}.isMainResult") if main is not None else False,
            }
        item: ExecutionResult = ITEM.read(formats, f"{place}.mime")
        return item


RESULT = _Result()
RAISED = Object(
    {
        **dict.fromkeys(("code", "error", "message", "reason", "traceId"), maybe(TEXT)),
        "traceback": maybe(PIECES),
    }
)
END = Object(
    {
        "executionCount": maybe(WHOLE),
        "executionTime": maybe(SECONDS),
        **dict.fromkeys(("executionError", "status"), maybe(TEXT)),
        "discarded": maybe(DISCARDED),
    }
)
"""What the events of a stream and its end contain."""


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
        self._reason: str | None = None
        """Why the code ended, if the service reports it."""
        self._finished: Finished | None = None
        self._message = ""
        self._truncated = COMPLETE

    def event(self, data: Mapping[str, Any]) -> CodeEvent | None:
        """Add the data of an event frame; return its event, None for an unknown kind or half a character.

        Raises:
            ExecutionError: the frame does not have the shape of its kind.
        """
        kind = data.get("eventType")
        try:
            return self._event(kind, data)
        except ShapeError as error:
            raise self._invalid(error) from error

    def _event(self, kind: Any, data: Mapping[str, Any]) -> CodeEvent | None:
        if kind == "stdout":
            text = self._stdout.add(_chunk(data))
            return Stdout(text) if text else None
        if kind == "stderr":
            text = self._stderr.add(_chunk(data))
            return Stderr(text) if text else None
        if kind == "result":
            item = RESULT.read(data.get("result"), "result")
            self._results.append(item)
            return Result(item)
        if kind == "error":
            payload = data.get("error")
            fields: Mapping[str, Any] = data if payload is None else payload
            self._error = self._raised(fields)
            return Error(self._error, payload=fields)
        return None

    def end(self, data: Mapping[str, Any]) -> Finished:
        """Add the last frame; it is a success unless it, or an event before it, reports an error.

        Raises:
            ExecutionError: the frame does not have the shape of an end.
        """
        try:
            end = END.read(data, "")
        except ShapeError as shape_error:
            raise self._invalid(shape_error) from shape_error
        text = end.get("executionError", "")
        error = self._error
        if text and (error is None or (self._reason is None and text.startswith(TIMED_OUT))):
            error = self._made("ExecutionError", text, kind=kind_of_text(text))
        elif error is None and end.get("status") == "failed":
            error = self._made("ExecutionError", "the code failed")
        self._error = error
        self._message = text or (error.value or error.name if error else "")
        self._truncated = Truncated(**end.get("discarded", {}))
        self._finished = Finished(end.get("executionCount"), end.get("executionTime", 0.0), error is None, error)
        return self._finished

    def refused(self, data: Mapping[str, Any]) -> ExecutionError:
        """Add the frame by which the service ends the stream with an error of its own."""
        code = data.get("code")
        code = code if isinstance(code, str) else ""
        kind = kind_of_refusal(200, code, "") if code else ErrorKind.REFUSED
        error = self._made("ExecutionError", error_text(data), kind=kind, code=code)
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
            truncated=self._truncated,
        )

    def rest(self) -> list[CodeEvent]:
        """Return the events of incomplete characters, whose other half will not arrive any more."""
        stdout, stderr = self._stdout.rest(), self._stderr.rest()
        return [*([Stdout(stdout)] if stdout else []), *([Stderr(stderr)] if stderr else [])]

    def _raised(self, fields: Mapping[str, Any]) -> ExecutionError:
        said = RAISED.read(fields, "error")
        trace_id = said.get("traceId")
        traceback = "\n".join(said.get("traceback", [])) or (f"traceId={trace_id}" if trace_id else "")
        self._reason = said.get("reason")
        kind = kind_of_end(self._reason)
        return self._made(
            said.get("code") or "ExecutionError", said.get("message") or said.get("error", ""), traceback, kind=kind
        )

    def _invalid(self, error: ShapeError) -> ExecutionError:
        return self._made(
            "InvalidAnswer", f"a frame of the stream is not valid: {error}", kind=ErrorKind.INVALID_ANSWER
        )

    def _made(
        self,
        name: str,
        value: str,
        traceback: str = "",
        *,
        kind: ErrorKind = ErrorKind.PROGRAM_FAILED,
        code: str = "",
    ) -> ExecutionError:
        return ExecutionError(name, value, traceback, kind=kind, code=code, sent=Sent.YES, **self._ids)


def _chunk(data: Mapping[str, Any]) -> str:
    chunk = data.get("chunk")
    return chunk if isinstance(chunk, str) else "" if chunk is None else TEXT.read(chunk, "chunk")


class _Output:
    """Pieces of text; a character that was cut into two pieces is joined.

    Services that work in UTF-16 may cut a character between its two surrogates. A first half at the end of a chunk is
    held back and put before the next chunk; a half that stays alone becomes U+FFFD.
    """

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._half = ""

    def add(self, chunk: str) -> str:
        if not chunk:
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
