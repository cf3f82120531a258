"""The frames of streams: the samples of the protocol, and anything at all."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb import (
    EnhancedCodeExecutionResult,
    Error,
    ErrorKind,
    ExecutionError,
    ExecutionResult,
    Finished,
    Result,
    Truncated,
)
from agb._ops.tools.code_stream import CodeRun, stream_request
from agb._wire.frames import split_frames
from agb._wire.stream import FrameError, Phase, error_text, frame_text, new_id, phase_of, read_data, read_frame
from agb.events import CodeEvent, Stderr, Stdout

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("phase", "eventType", "chunk", "result", "error", "status", "executionError", "executionCount", "executionTime")
WORDS: tuple[Any, ...] = (
    "event",
    "end",
    "error",
    "stdout",
    "stderr",
    "result",
    "failed",
    "\ud83d",
    "\ude00",
    "",
    7,
    -1.5,
    None,
    [],
    {},
)
SIZES = st.integers(0, 300) | st.sampled_from([125, 126, 65535, 65536])
ANY_DATA = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(WORDS) | ANY_JSON, max_size=6)


def _read(message: bytes, loads: Any) -> object:
    try:
        return read_data(message, loads)
    except FrameError as error:
        return str(error), error.invocation_id


@given(
    st.binary(max_size=200)
    | st.builds(lambda value: json.dumps(value).encode(), ANY_JSON)
    | st.builds(lambda data: json.dumps({"invocationId": "a", "data": data}).encode(), ANY_DATA | ANY_JSON)
)
def test_the_fast_reader_reads_the_same(message: bytes) -> None:
    """Input that msgspec refuses is read by the standard library; repr distinguishes 1 from 1.0, and works for NaN."""
    assert repr(_read(message, msgspec.json.decode)) == repr(_read(message, None))


def test_request() -> None:
    data = stream_request("print('hi')", "py", 60)
    text = frame_text("9f1c", data)
    assert text == (
        '{"invocationId":"9f1c","source":"SDK","target":"wuying_codespace",'
        '"data":{"method":"run_code","mode":"stream",'
        '"params":{"language":"python","timeoutS":60,"code":"print(\'hi\')"}}}'
    )
    frame = read_frame(text)
    assert (frame.invocation_id, frame.source, frame.target, frame.data) == ("9f1c", "SDK", "wuying_codespace", data)
    assert read_frame(text.encode()) == frame
    assert "größe" in frame_text("1", {"code": "größe"})
    one = new_id()
    assert len(one) == 32
    assert int(one, 16) >= 0
    assert one != new_id()


@pytest.mark.parametrize(
    ("message", "invocation_id", "why"),
    [
        ("nonsense", "", "not JSON"),
        (b"\xff\xfe", "", "not JSON"),
        ("[" * 100_000, "", "not JSON"),
        ("9" * 10_000, "", "not JSON"),
        ("[]", "", "not an object"),
        ('{"data":{}}', "", "no invocationId"),
        ('{"invocationId":7,"data":{}}', "", "no invocationId"),
        ('{"type":"ping"}', "", "no invocationId"),
        ('{"invocationId":"a"}', "a", "not an object"),
        ('{"invocationId":"a","data":"{"}', "a", "not JSON"),
        ('{"invocationId":"a","data":"[]"}', "a", "not an object"),
    ],
)
def test_what_is_no_frame(message: str | bytes, invocation_id: str, why: str) -> None:
    with pytest.raises(FrameError, match=why) as caught:
        read_frame(message)
    assert caught.value.invocation_id == invocation_id


def test_other_spellings() -> None:
    assert read_frame('{"requestId":"a","data":"{\\"phase\\":\\"end\\"}"}').data == {"phase": "end"}


@pytest.mark.parametrize(
    ("data", "phase"),
    [
        ({"phase": "event"}, "event"),
        ({"phase": "event", "error": {"code": "x"}}, "event"),
        ({"phase": "event", "error": ""}, "event"),
        ({"phase": "event", "error": "bad request"}, "error"),
        ({"error": "bad request"}, "error"),
        ({"phase": "end"}, "end"),
        ({"phase": "error", "message": "execution failed"}, "error"),
    ],
)
def test_phases(data: dict[str, Any], phase: Phase) -> None:
    assert phase_of(data) is phase


@pytest.mark.parametrize("data", [{}, {"phase": "start"}, {"phase": 7}, {"phase": []}, {"phase": None}])
def test_unknown_phases(data: dict[str, Any]) -> None:
    with pytest.raises(FrameError, match="phase"):
        phase_of(data)


def test_fields_of_an_error() -> None:
    assert error_text({"error": "bad request"}) == "bad request"
    assert error_text({"phase": "error", "message": "execution failed"}) == "execution failed"
    assert error_text({"phase": "error", "error": {"a": 1}}) == '{"error": {"a": 1}}'
    assert error_text({"phase": "error"}) == "the service gave no reason"


def parsed(*events: dict[str, Any]) -> tuple[list[CodeEvent | None], EnhancedCodeExecutionResult]:
    """Return the events of the protocol's samples, and the result."""
    run = CodeRun("id-1", "s-1")
    return [run.end(data) if phase_of(data) == "end" else run.event(data) for data in events], run.result()


END = {"method": "run_code", "mode": "stream", "phase": "end", "seq": 5, "executionCount": 1, "executionTime": 0.8}


def test_samples() -> None:
    events, result = parsed(
        {"phase": "event", "seq": 1, "eventType": "stdout", "chunk": "hello\n"},
        {"phase": "event", "seq": 2, "eventType": "stderr", "chunk": "warning\n"},
        {
            "phase": "event",
            "eventType": "result",
            "result": {"isMainResult": True, "mime": {"text/plain": "42", "text/html": "<b>42</b>"}},
        },
        {"phase": "event", "eventType": "result", "result": "plain"},
        {"phase": "event", "eventType": "something new"},
        END | {"status": "finished"},
    )
    item = ExecutionResult(text="42", html="<b>42</b>", is_main_result=True)
    assert events == [
        Stdout("hello\n"),
        Stderr("warning\n"),
        Result(item),
        Result(ExecutionResult(text="plain")),
        None,
        Finished(1, 0.8),
    ]
    assert (result.success, result.request_id, result.error, result.error_message) == (True, "id-1", None, "")
    assert (result.execution_count, result.execution_time, result.result) == (1, 0.8, "42")


def test_sample_of_an_error() -> None:
    payload = {"code": "NameError", "message": "name 'x' is not defined", "traceId": "abc"}
    error_event = {"phase": "event", "seq": 4, "eventType": "error", "error": payload}
    (event, end), result = parsed(error_event, END | {"status": "failed", "executionError": "NameError: …"})
    error = ExecutionError("NameError", "name 'x' is not defined", "traceId=abc")
    assert event == Error(error)
    assert isinstance(event, Error)
    assert event.payload == payload
    assert end == Finished(1, 0.8, False, error)
    assert (result.success, result.error, result.error_message) == (False, error, "NameError: …")
    assert result.error is not None
    assert result.error.kind is ErrorKind.PROGRAM_FAILED


@pytest.mark.parametrize(
    ("end", "message", "kind"),
    [
        ({"status": "failed"}, "the code failed", ErrorKind.PROGRAM_FAILED),
        ({"executionError": "SyntaxError: no"}, "SyntaxError: no", ErrorKind.PROGRAM_FAILED),
        ({"executionError": "Execution timeout"}, "Execution timeout", ErrorKind.TIMED_OUT),
    ],
)
def test_ends_that_are_no_success(end: dict[str, Any], message: str, kind: ErrorKind) -> None:
    _, result = parsed(END | end)
    assert (result.success, result.error_message) == (False, message)
    assert result.error is not None
    assert result.error.kind is kind


@pytest.mark.parametrize(
    ("reason", "text", "kind"),
    [
        ("exception", "Execution timeout: of its own", ErrorKind.PROGRAM_FAILED),
        ("timeout", "Execution timeout: the code ran longer than 3 s", ErrorKind.TIMED_OUT),
        ("not started", "the r kernel did not start", ErrorKind.REFUSED),
        ("kernel died", "the r kernel was ended by SIGKILL", ErrorKind.PROGRAM_FAILED),
        (None, "E: Execution timeout", ErrorKind.PROGRAM_FAILED),
        (None, "Execution timeout", ErrorKind.TIMED_OUT),
    ],
)
def test_reasons_of_an_error(reason: str | None, text: str, kind: ErrorKind) -> None:
    """The text of the end decides only where nothing else says why the code has ended."""
    payload = {"code": "E", "message": text, "reason": reason}
    _, result = parsed(
        {"phase": "event", "eventType": "error", "error": payload}, END | {"status": "failed", "executionError": text}
    )
    assert result.error is not None
    assert result.error.kind is kind


def test_code_of_a_refusal() -> None:
    run = CodeRun("id-1", "s-1")
    error = run.refused({"error": "Resource [Session] is not found", "code": "InvalidSession.NotFound"})
    assert (error.kind, error.code) == (ErrorKind.NOT_FOUND, "InvalidSession.NotFound")
    assert CodeRun("id-1", "s-1").refused({"error": "no"}).kind is ErrorKind.REFUSED


def test_output_that_was_cut() -> None:
    _, result = parsed(END | {"status": "finished", "discarded": {"stdout": 5, "results": 7}})
    assert result.success
    assert result.truncated == Truncated(stdout=5, results=7)


def test_a_traceback_of_lines() -> None:
    (event,), _ = parsed({"phase": "event", "eventType": "error", "error": {"code": "E", "traceback": ["a", "b"]}})
    assert isinstance(event, Error)
    assert event.error.traceback == "a\nb"


def test_a_character_in_two_halves() -> None:
    chunk = {"phase": "event", "eventType": "stdout"}
    run = CodeRun("id-1", "s-1")
    events = [run.event(json.loads(json.dumps(chunk | {"chunk": half}))) for half in ("a\ud83d", "\ude00b", "\ud83d")]
    assert events == [Stdout("a"), Stdout("😀b"), None]
    assert run.rest() == [Stdout("\ufffd")]
    assert run.rest() == []
    assert run.result().logs.stdout == ["a", "😀b", "\ufffd"]


@given(st.binary(max_size=200) | st.text(max_size=200) | ANY_JSON.map(json.dumps))
def test_any_message(message: str | bytes) -> None:
    with suppress(FrameError):
        read_frame(message)


@given(ANY_DATA | st.dictionaries(st.text(max_size=5), ANY_JSON, max_size=3))
def test_any_frame(data: dict[str, Any]) -> None:
    """Whatever a frame's data is, there is a `FrameError`, an invalid answer, or text that can be written down."""
    text = json.dumps({"invocationId": "a", "data": data})
    read = read_frame(text).data
    run = CodeRun("a", "s")
    invalid = None
    try:
        phase = phase_of(read)
    except FrameError:
        return
    try:
        event = run.event(read)
        if isinstance(event, Stdout | Stderr):
            event.text.encode()
        if phase == "end":
            run.end(read)
        elif phase == "error":
            run.refused(read)
    except ExecutionError as error:
        invalid = error
    assert invalid is None or invalid.kind is ErrorKind.INVALID_ANSWER
    run.rest()
    result = run.result()
    assert result.success is False or phase == "end"
    repr(result)


@given(
    st.lists(st.tuples(st.sampled_from([0x81, 0x01, 0x82, 0x89, 0xF7]), st.booleans(), SIZES), max_size=5),
    st.lists(st.integers(1, 400), min_size=1),
)
def test_frames_however_they_are_cut(frames: list[tuple[int, bool, int]], cuts: list[int]) -> None:
    wire, wanted = b"", []
    for first, masked, size in frames:
        payload = bytes([first]) * size
        length = (
            bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 65536 else b"\x7f" + size.to_bytes(8)
        )
        frame = bytes([first, length[0] | (0x80 if masked else 0)]) + length[1:] + b"mask" * masked + payload
        wire += frame
        is_plain = first == 0x81 and not masked
        wanted.append((is_plain, payload if is_plain else frame))
    buffer, got, at = bytearray(), [], 0
    while at < len(wire):
        cut = max(cuts[at % len(cuts)], len(wire) // 200)
        buffer += wire[at : at + cut]
        at += cut
        got += split_frames(buffer)
    assert [(is_plain, bytes(frame)) for is_plain, frame in got] == wanted
    assert not buffer


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    buffer = bytearray(data)
    frames = split_frames(buffer)
    assert sum(len(frame) for _, frame in frames) + len(buffer) <= len(data)


@given(st.lists(st.text(st.characters(), max_size=5), max_size=6))
def test_output_is_never_lost(chunks: list[str]) -> None:
    run = CodeRun("a", "s")
    for chunk in chunks:
        run.event({"eventType": "stdout", "chunk": chunk})
    run.rest()
    whole = "".join(chunks).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert "".join(run.result().logs.stdout) == whole
