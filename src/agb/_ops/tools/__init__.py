"""Tools: one module per group of in-session tools. No I/O."""

from __future__ import annotations

from ..._wire.shape import WHOLE, Object, maybe
from ..._wire.toolcall import ToolReply
from ...exceptions import AGBError, ErrorKind, Sent, SessionError

DISCARDED = Object(dict.fromkeys(("stdout", "stderr", "results"), maybe(WHOLE)))
"""How much output exceeded the limit of the service and is missing, by its kind."""


def tool_failure(name: str, reply: ToolReply, session_id: str, error: type[AGBError] = SessionError) -> AGBError:
    """Return the error of a tool that reported a failure; its text is the tool's own."""
    return error(
        reply.text or f"the tool {name!r} failed without a reason",
        kind=ErrorKind.REFUSED,
        request_id=reply.request_id,
        session_id=session_id,
        sent=Sent.YES,
        tool=name,
    )


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
