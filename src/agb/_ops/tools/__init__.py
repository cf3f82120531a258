"""Tools: one module per group of in-session tools. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..._wire.shape import WHOLE, Object, maybe
from ..._wire.toolcall import LONGEST_RUN, ToolReply
from ...exceptions import AGBError, ErrorKind, Sent, SessionError

if TYPE_CHECKING:
    from ...results.sessions import McpTool


DISCARDED = Object(dict.fromkeys(("stdout", "stderr", "results"), maybe(WHOLE)))
"""How much output exceeded the limit of the service and is missing, by its kind."""


def reason_of(name: str, reply: ToolReply) -> str:
    """Return why a tool failed, in its own words; a caller who has not called it by name does not read its name."""
    text = (reply.text or "").removeprefix(f"{name}: ")
    return text or "the session gave no reason"


_KINDS = {
    "ENOENT": ErrorKind.NOT_FOUND,
    "EACCES": ErrorKind.PERMISSION_DENIED,
    "EPERM": ErrorKind.PERMISSION_DENIED,
    "EISDIR": ErrorKind.IS_A_DIRECTORY,
    "ENOTDIR": ErrorKind.NOT_A_DIRECTORY,
    "EEXIST": ErrorKind.EXISTS,
}


def kind_of_errno(reply: ToolReply) -> ErrorKind:
    """Return the kind of a tool's failure as far as the service reports the operating system's error."""
    return _KINDS.get(reply.errno, ErrorKind.REFUSED)


def tool_failure(
    name: str, reply: ToolReply, session_id: str, error: type[AGBError] = SessionError, description: str = ""
) -> AGBError:
    """Return the error of a tool that reported a failure; without a description its text is the tool's own."""
    text = reply.text or f"the tool {name!r} failed without a reason"
    return error(
        f"Could not {description}: {reason_of(name, reply)}" if description else text,
        kind=kind_of_errno(reply),
        request_id=reply.request_id,
        session_id=session_id,
        sent=Sent.YES,
        tool=name,
    )


def has_argument(tools: Iterable[McpTool], name: str, argument: str) -> bool | None:
    """Return whether a tool of a list has an argument, None if the list does not say."""
    for tool in tools:
        properties = tool.input_schema.get("properties")
        if tool.name == name and isinstance(properties, Mapping):
            return argument in properties
    return None


def check_time_limit(name: str, value: float, unit: str, per_second: int) -> None:
    """Raise ``ValueError`` unless a time limit of code or of a command is above zero and at most a day."""
    if not 0 < value <= LONGEST_RUN * per_second:
        text = repr(value)
        text = text if len(text) <= 30 else f"{text[:20]}..."
        raise ValueError(f"{name} must be above zero and at most {LONGEST_RUN * per_second} {unit} (a day), not {text}")


def invalid(name: str, why: str, reply: ToolReply, session_id: str, error: type[AGBError] = SessionError) -> AGBError:
    """Return the error of a tool whose answer does not have the shape that it promises."""
    return error(
        f"the answer of the tool {name!r} is not valid: {why}",
        kind=ErrorKind.INVALID_ANSWER,
        request_id=reply.request_id,
        session_id=session_id,
        sent=Sent.YES,
        tool=name,
    )
