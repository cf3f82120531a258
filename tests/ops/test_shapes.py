"""Shapes: every operation and tool accepts an answer of its declared shape, and none with one wrong value in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agb import AGBError, ErrorKind
from agb._ops import browser, contexts
from agb._ops.tools import code, code_stream, files, metrics, shell
from agb._ops.tools.code_stream import CodeRun
from agb._ops.tools.computer import apps, mouse, screen, windows
from agb._wire import toolcall
from agb._wire.call import Call
from agb._wire.reply import Reply
from agb._wire.shape import Anything, Array, JsonText, Object, Scalar, Shape, Table
from agb._wire.toolcall import ToolCall, ToolReply
from tests.ops.test_replies import OPERATIONS

VALUES: tuple[Any, ...] = ("x", "", 5, 1.5, True, [], [5], {}, {"a": 5})
"""One value of each kind; a shape takes some of them."""

# A sample of each shape that is written for one operation, and values that it does not take.
SPECIAL: dict[type[Shape], tuple[Any, tuple[Any, ...]]] = {
    browser._Port: (9222, ("x", "", "0", 0, 70_000, 1.5, True, [], {})),
    contexts._Listed: ([], ("x", 5, True, {}, {"nextToken": "t"})),
    toolcall._Content: ({"type": "text", "text": "x"}, (5, True, [], {"type": "text"}, {"type": "text", "text": 5})),
    code._Pieces: (["x", None], (5, True, {}, [5], [["x"]])),
    code._Seconds: (0.5, ("x", True, [], {}, -1, 1e12)),
    code._Item: (
        {"text/plain": "x", "image/gif": "R0lG", "isMainResult": False},
        (5, True, [], {"text/plain": 5}, {"html": ["x"]}, {"text/plain": "x", "isMainResult": 1}),
    ),
    code_stream._Result: (
        {"isMainResult": False, "mime": {"text/plain": "x"}},
        (5, True, [], {"mime": 5}, {"mime": {"image/png": 5}}, {"mime": {}, "isMainResult": "yes"}),
    ),
    windows._Children: ([{}], ("x", 5, True, {}, [5], [{"title": 3}], [{"child_windows": {}}])),
    metrics._Number: ("1.5", ("x", "", True, [], {}, "nan")),
}


def valid(shape: Shape) -> Any:
    """Return a value of the shape, with every field."""
    match shape:
        case Scalar(types=types):
            return {str: "x", int: 1, float: 1.5, bool: False}[types[0]]
        case Anything():
            return ["anything"]
        case Array(item=item):
            return [valid(item)]
        case Table(item=item):
            return {"a": valid(item)}
        case Object(fields=fields):
            return {name: valid(field.shape) for name, field in fields.items()}
        case JsonText(shape=inner):
            return json.dumps(valid(inner))
    return SPECIAL[type(shape)][0]


def broken(shape: Shape) -> Iterator[Any]:
    """Return values that have the shape but for one place."""
    match shape:
        case Scalar(types=types, is_filled=is_filled):
            for value in VALUES:
                fits = isinstance(value, types) and (type(value) is not bool or bool in types)
                if not fits or (is_filled and not value):
                    yield value
        case Anything():
            return
        case Array(item=item):
            yield from (value for value in VALUES if not isinstance(value, list))
            yield from ([valid(item), value] for value in broken(item))
        case Table(item=item):
            yield from (value for value in VALUES if not isinstance(value, dict))
            yield from ({"a": value} for value in broken(item))
        case Object(fields=fields):
            yield from (value for value in VALUES if not isinstance(value, dict))
            whole = valid(shape)
            for name, field in fields.items():
                yield from ({**whole, name: value} for value in broken(field.shape))
                if field.is_needed:
                    yield {other: value for other, value in whole.items() if other != name}
                    yield {**whole, name: None}
        case JsonText(shape=inner):
            yield "{"
            for value in broken(inner):
                if not isinstance(value, str):
                    yield from (value, json.dumps(value))
        case _:
            yield from SPECIAL[type(shape)][1]


def test_samples_of_special_shapes_are_right() -> None:
    for shape in (browser._Port(), code.ITEM, code.PIECES, code.SECONDS, code_stream.RESULT, metrics._Number()):
        shape.read(valid(shape), "")


# --- operations --------------------------------------------------------------------------------------------------

WITHOUT_CONTENT = {
    *("release_session_async", "release_session", "refresh_session_idle_time", "set_label"),
    *("modify_context", "delete_context", "clear_context", "delete_context_file"),
    "sync_context",  # the ids of tasks are a promise of the local runtime only, and are ignored in another shape
}


def read(call: Call[Any], fields: Any) -> Any:
    """Return what the operation reads from a successful answer with these fields, or the error."""
    body = {"requestId": "R-1", "success": True, "code": "ok", **fields}
    try:
        return call.read(Reply(call, 200, [], json.dumps(body).encode()))
    except AGBError as error:
        return error


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str) -> None:
    call = OPERATIONS[name]
    if call.shape is None:
        assert name in WITHOUT_CONTENT
        return
    assert not isinstance(read(call, valid(call.shape)), AGBError)
    answers = [fields for fields in broken(call.shape) if isinstance(fields, dict) and "success" not in fields]
    assert len(answers) > 5
    for fields in answers:
        if fields in ({}, {"a": 5}):
            continue  # no field of the shape is there
        error = read(call, fields)
        assert isinstance(error, AGBError), fields
        assert error.kind is ErrorKind.INVALID_ANSWER, fields
        assert "the answer is not valid" in str(error)


@pytest.mark.parametrize("data", ["x", "", [], ["a"], 0, 5, True, False])
@pytest.mark.parametrize("name", ["get_label", "get_session_info", "get_mcp_resource", "get_link", "get_session"])
def test_data_of_another_kind_is_never_an_empty_value(name: str, data: Any) -> None:
    error = read(OPERATIONS[name], {"data": data})
    assert isinstance(error, AGBError)
    assert error.kind is ErrorKind.INVALID_ANSWER


def test_empty_lists_may_be_null() -> None:
    for name in ("list_sessions", "list_contexts", "describe_context_files"):
        assert read(OPERATIONS[name], {"data": None}).items == []
    assert read(OPERATIONS["get_label"], {"data": None}) == {}
    assert isinstance(read(OPERATIONS["list_tools"], {"data": None}), AGBError)


# --- tools -------------------------------------------------------------------------------------------------------

TOOLS: dict[str, tuple[Shape, Callable[[], ToolCall[Any]]]] = {
    "shell": (shell.SHELL, lambda: shell.shell("true", session_id="s-1")),
    "run_code": (code.RUN, lambda: code.run_code("1", "python", session_id="s-1")),
    "run_code, rich": (code.RICH_RUN, lambda: code.run_code("1", "python", session_id="s-1")),
    "get_metrics": (metrics.METRICS, lambda: metrics.get_metrics("s-1")),
    "get_file_change": (files.CHANGES, lambda: files.get_file_change("/tmp", session_id="s-1")),
}


def error_of(tool: ToolCall[Any], value: Any) -> AGBError | None:
    """Return the error of a tool that answered with this value, None if it is a success."""
    try:
        result = tool.read(ToolReply(value if isinstance(value, str) else json.dumps(value), False, "R-1"))
    except AGBError as error:
        return error
    assert result.success == (result.error is None)
    return result.error  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", TOOLS)
def test_tool(name: str) -> None:
    shape, make = TOOLS[name]
    error = error_of(make(), valid(shape))
    assert error is None or error.kind is not ErrorKind.INVALID_ANSWER
    answers = [value for value in broken(shape) if isinstance(value, dict if "get" not in name else list)]
    for value in answers:
        if value in ({}, {"a": 5}, []):
            continue  # text in another format
        error = error_of(make(), value)
        assert error is not None, value
        assert error.kind is ErrorKind.INVALID_ANSWER, value


DESKTOP = [
    mouse.get_cursor_position(session_id="s-1"),
    windows.list_root_windows(3000, session_id="s-1"),
    windows.get_active_window(session_id="s-1"),
    apps.start_app("x", "", "", session_id="s-1"),
    apps.list_visible_apps(session_id="s-1"),
    apps.get_installed_apps(True, False, True, session_id="s-1"),
    screen.get_screen_size(session_id="s-1"),
]


@pytest.mark.parametrize("call", DESKTOP, ids=lambda call: call.name)
def test_tool_of_a_desktop(call: ToolCall[Any]) -> None:
    assert call.shape is not None
    assert error_of(call, valid(call.shape)) is None
    for value in broken(call.shape):
        if value in ({}, {"a": 5}, []) and call.name != "get_cursor_position":
            continue  # no window, or no application
        error = error_of(call, json.dumps(value))
        assert error is not None, value
        assert error.kind is ErrorKind.INVALID_ANSWER, value


@pytest.mark.parametrize(
    "text", [None, "", "{}", '{"a": 1}', '{"exit_code": "0"}', '{"stdout": 5}', '{"exit_code": true}']
)
def test_command_without_a_result(text: str | None) -> None:
    result = shell.shell("true", session_id="s-1").read(ToolReply(text, False, "R-1"))
    assert not result.success
    assert result.error is not None
    assert result.error.kind is ErrorKind.INVALID_ANSWER


@pytest.mark.parametrize("fields", [{}, {"a": 1}, 5, []])
def test_no_metrics_are_no_success(fields: Any) -> None:
    error = error_of(metrics.get_metrics("s-1"), fields)
    assert error is not None
    assert error.kind is ErrorKind.INVALID_ANSWER


def test_read_file_without_content() -> None:
    call = files.read_file("/a", 0, 10, session_id="s-1")
    assert call.read(ToolReply("", False, "R-1")).data == b""
    with pytest.raises(AGBError) as caught:
        call.read(ToolReply(None, False, "R-1"))
    assert caught.value.kind is ErrorKind.INVALID_ANSWER


# --- streams -----------------------------------------------------------------------------------------------------


def event(kind: str, name: str) -> Callable[[Any], Any]:
    return lambda value: CodeRun("i", "s-1").event({"eventType": kind, name: value})


FRAMES: dict[str, tuple[Shape, Callable[[Any], Any]]] = {
    "end": (code_stream.END, lambda value: CodeRun("i", "s-1").end(value)),
    "error": (code_stream.RAISED, event("error", "error")),
    "result": (code_stream.RESULT, event("result", "result")),
    "stdout": (Scalar("text", (str,)), event("stdout", "chunk")),
    "stderr": (Scalar("text", (str,)), event("stderr", "chunk")),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frame(name: str) -> None:
    shape, take = FRAMES[name]
    take(valid(shape))
    for value in broken(shape):
        if name == "end" and not isinstance(value, dict):
            continue  # the data of a frame is an object
        with pytest.raises(AGBError) as caught:
            take(value)
        assert caught.value.kind is ErrorKind.INVALID_ANSWER, value
