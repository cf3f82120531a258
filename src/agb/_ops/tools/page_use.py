"""The tools ``page_use_*``: the agent of a session's browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import frozen

from ..._wire.call import json_text
from ..._wire.deadline import check_timeout
from ..._wire.secrets import remember
from ..._wire.shape import FLAG, NAME, TEXT, Anything, Array, Object, Shape, ShapeError, maybe, needed
from ..._wire.toolcall import ToolCall, ToolReply
from ...browser_agent import ActOptions, ActResult, ExtractOptions, ObserveOptions, ObserveResult
from ...exceptions import AGBError, BrowserError
from . import invalid, reason_of, tool_failure

T = TypeVar("T")

NAVIGATION = 30.0
"""Seconds that opening a page may take in addition to the call."""
LOOKING = 55.0
"""Seconds that looking at a page may take in addition to the call."""


@frozen
class PageIds:
    """Which page of the browser a call is for; ``page_id`` is ``""`` for the agent's current one."""

    context_id: int = 0
    page_id: str = ""


@frozen
class Progress:
    """The state of a task: not done, done, or failed; ``value`` is its result."""

    is_done: bool
    value: Any = None
    error: AGBError | None = None


TASK = Object({"task_id": needed(NAME)})


class _Steps(Shape):
    """What was done: a text, or a list of texts or objects."""

    def read(self, value: Any, place: str) -> Any:
        """Return the text or the list."""
        if isinstance(value, (str, list)):
            return value
        raise ShapeError(f"{place} is neither a text nor a list")


ACTED = Object({"is_done": needed(FLAG), "success": maybe(FLAG), "steps": maybe(_Steps())})
OBSERVED = Array(
    Object({**dict.fromkeys(("selector", "description", "method"), maybe(TEXT)), "arguments": maybe(Anything())})
)


# --- what is sent --------------------------------------------------------------------------------------------------


def navigate(url: str, *, session_id: str) -> ToolCall[str]:
    """Return the call that opens a page."""
    if not isinstance(url, str):
        raise TypeError(f"url must be a string, not {type(url).__name__}")
    if not url.strip():
        raise ValueError("url must not be empty")
    return _text("page_use_navigate", {"url": url}, session_id, "open the page", seconds=NAVIGATION)


def screenshot(
    ids: PageIds,
    full_page: bool,
    quality: int,
    clip: Mapping[str, float] | None,
    timeout_ms: float | None,
    *,
    session_id: str,
) -> ToolCall[str]:
    """Return the call that takes a picture of a page."""
    if isinstance(quality, bool) or not isinstance(quality, int):
        raise TypeError(f"quality must be a whole number, not {quality!r}")
    if not 0 <= quality <= 100:
        raise ValueError(f"quality must be a number from 0 to 100, not {quality}")
    if clip is not None and set(clip) != {"x", "y", "width", "height"}:
        raise ValueError("clip must have x, y, width and height")
    check_timeout(timeout_ms, "timeout", "milliseconds")
    args = {
        **_of_page(ids),
        "full_page": bool(full_page),
        "quality": quality,
        "clip": None if clip is None else dict(clip),
        "timeout": timeout_ms,
    }
    seconds = LOOKING if timeout_ms is None else timeout_ms / 1000
    return _text("page_use_screenshot", args, session_id, "take a screenshot", seconds=seconds, repeatable=True)


def close(*, session_id: str) -> ToolCall[str]:
    """Return the call that ends the agent's own session with the browser."""
    return _text("page_use_close_session", {}, session_id, "close the browser agent", repeatable=True)


def start_act(given: ActOptions | ObserveResult, ids: PageIds, timeout_ms: int, *, session_id: str) -> ToolCall[str]:
    """Return the call that begins an action; its value is the id of the task."""
    args = {**_of_page(ids), "timeout_ms": timeout_ms}
    if isinstance(given, ObserveResult):
        replayed = {"method": given.method, "arguments": given.arguments}
        # 0.12 drops these two, so a service may not know them.
        replayed |= {"selector": given.selector, "description": given.description}
        args["action"] = json_text(replayed)
    else:
        _check_text("action", given.action)
        _check_variables(given.variables)
        args |= {
            "action": given.action,
            "variables": given.variables,
            "iframes": given.iframes,
            "dom_settle_timeout_ms": _milliseconds("dom_settle_timeout_ms", given.dom_settle_timeout_ms),
            "use_vision": given.use_vision,
        }
    return _started("page_use_act_async", args, session_id, "start the action")


def action_of(given: ActOptions | ObserveResult) -> str:
    """Return the text of an action."""
    return given.action if isinstance(given, ActOptions) else f"{given.method} {given.description or given.selector}"


def observe(options: ObserveOptions, ids: PageIds, *, session_id: str) -> ToolCall[list[ObserveResult]]:
    """Return the call that finds elements."""
    if not isinstance(options, ObserveOptions):
        raise TypeError(f"options must be ObserveOptions, not {type(options).__name__}")
    _check_text("instruction", options.instruction)
    args = {
        **_of_page(ids),
        "instruction": options.instruction,
        "iframes": options.iframes,
        "dom_settle_timeout_ms": _milliseconds("dom_settle_timeout_ms", options.dom_settle_timeout_ms),
        "use_vision": options.use_vision,
    }
    return _tool("page_use_observe", args, _observed, session_id, "observe the page", seconds=LOOKING, repeatable=True)


def start_extract(
    options: ExtractOptions[Any], schema: Mapping[str, Any], ids: PageIds, *, session_id: str
) -> ToolCall[str]:
    """Return the call that begins an extraction; its value is the id of the task."""
    _check_text("instruction", options.instruction)
    args = {
        **_of_page(ids),
        "instruction": options.instruction,
        "field_schema": f"schema: {json_text(dict(schema))}",
        "use_text_extract": options.use_text_extract,
        "use_vision": options.use_vision,
        "selector": options.selector,
        "iframe": options.iframe,
        "dom_settle_timeout_ms": _milliseconds("dom_settle_timeout_ms", options.dom_settle_timeout_ms),
    }
    return _started("page_use_extract_async", args, session_id, "start the extraction")


def act_result(task_id: str, *, session_id: str) -> ToolCall[Progress]:
    """Return the call that reports how far an action is."""
    return _tool(
        "page_use_get_act_result", {"task_id": task_id}, _acted, session_id, "follow the action", repeatable=True
    )


def extract_result(task_id: str, *, session_id: str) -> ToolCall[Progress]:
    """Return the call that reports how far an extraction is."""
    return ToolCall(
        "page_use_get_extract_result",
        {"task_id": task_id},
        lambda reply: _extracted(reply, session_id),
        repeatable=True,
        error=BrowserError,
        description="follow the extraction",
    )


def cancel_task(task_id: str, *, session_id: str) -> ToolCall[str]:
    """Return the call that ends a task; the local runtime has this tool, other services need not."""
    return _text("page_use_cancel_task", {"task_id": task_id}, session_id, "cancel the task", repeatable=True)


def _of_page(ids: PageIds) -> dict[str, Any]:
    return {"context_id": ids.context_id, "page_id": ids.page_id or None}


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{name} must not be empty")


def _check_variables(variables: Mapping[str, str] | None) -> None:
    for name, text in (variables or {}).items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError("variables must be a dict of strings to strings")
        remember(text)


def _milliseconds(name: str, value: float | None) -> float | None:
    if value is not None and not (value == 0 and not isinstance(value, bool)):
        check_timeout(value, name, "milliseconds")
    return value


# --- what is answered ----------------------------------------------------------------------------------------------


def _tool(
    name: str,
    args: Mapping[str, Any],
    read: Callable[[str, ToolReply], T],
    session_id: str,
    description: str,
    **more: Any,
) -> ToolCall[T]:
    """Return a call whose answer is read by ``read``; a tool that failed, and an unreadable answer, are errors."""

    def read_reply(reply: ToolReply) -> T:
        if reply.is_error:
            raise _failure(name, reply, session_id)
        try:
            return read(reply.text or "", reply)
        except (ValueError, RecursionError) as error:
            raise invalid(name, str(error), reply, session_id, BrowserError) from error

    sent = {key: value for key, value in args.items() if value is not None}
    return ToolCall(name, sent, read_reply, error=BrowserError, description=description, **more)


def _failure(name: str, reply: ToolReply, session_id: str) -> AGBError:
    """Return the error of a tool that failed; its text is the reason alone, since a caller knows what it has called."""
    return tool_failure(name, ToolReply(reason_of(name, reply), True, reply.request_id), session_id, BrowserError)


def _text(name: str, args: Mapping[str, Any], session_id: str, description: str, **more: Any) -> ToolCall[str]:
    return _tool(name, args, lambda text, _: text, session_id, description, **more)


def _started(name: str, args: Mapping[str, Any], session_id: str, description: str) -> ToolCall[str]:
    def read(text: str, _: ToolReply) -> str:
        task_id: str = TASK.read(json.loads(text), "")["task_id"]
        return task_id

    return _tool(name, args, read, session_id, description)


def _acted(text: str, reply: ToolReply) -> Progress:
    fields = ACTED.read(json.loads(text), "")
    if not fields["is_done"]:
        return Progress(False)
    steps = fields.get("steps") or []
    message = steps if isinstance(steps, str) else json.dumps(steps, ensure_ascii=False) if steps else _NOTHING_DONE
    lines = [steps] if isinstance(steps, str) else [one if isinstance(one, str) else json_text(one) for one in steps]
    if fields.get("success"):
        return Progress(True, ActResult(True, message, steps=lines))
    why = lines[-1] if lines else "the service gave no reason"
    error = BrowserError(f"Failed to act: {why}", request_id=reply.request_id)
    return Progress(True, ActResult(False, message, steps=lines, error=error))


_NOTHING_DONE = "No actions have been executed."


def _extracted(reply: ToolReply, session_id: str) -> Progress:
    """Read the state of an extraction.

    The protocol has no word for a failure: a tool that fails means "not yet", as an empty text does. The local runtime
    says in the text of the failure when nothing more is to be expected.
    """
    name = "page_use_get_extract_result"
    try:
        value = json.loads(reply.text or "null")
    except (ValueError, RecursionError) as error:
        if not reply.is_error:
            raise invalid(name, str(error), reply, session_id, BrowserError) from error
        value = None
    if not reply.is_error:
        return Progress(value is not None, value)
    if isinstance(value, dict) and value.get("is_done") is True:
        why = str(value.get("error") or "the service gave no reason")
        return Progress(True, error=BrowserError(why, request_id=reply.request_id, session_id=session_id))
    return Progress(False, error=_failure(name, reply, session_id))


def _observed(text: str, _: ToolReply) -> list[ObserveResult]:
    if not text.strip():
        raise ValueError("it is empty")
    return [
        ObserveResult(
            one.get("selector", ""), one.get("description", ""), one.get("method", ""), _arguments(one.get("arguments"))
        )
        for one in OBSERVED.read(json.loads(text), "the answer")
    ]


def _arguments(value: Any) -> Any:
    """Return the arguments of a method, which are JSON in a text or an object; a text that is no JSON stays one."""
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        return json.loads(value or "{}")
    except (ValueError, RecursionError):
        return value
