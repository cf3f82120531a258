"""Tools: one module per group of in-session tools. No I/O."""

from __future__ import annotations

from ..._wire.toolcall import LONGEST_RUN, ToolReply
from ...exceptions import AGBError, ErrorKind, Sent, SessionError


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


def check_time_limit(name: str, value: float, unit: str, per_second: int) -> None:
    """Raise ``ValueError`` unless a time limit of code or of a command is above zero and at most a day."""
    if not 0 < value <= LONGEST_RUN * per_second:
        text = repr(value)
        text = text if len(text) <= 30 else f"{text[:20]}..."
        raise ValueError(f"{name} must be above zero and at most {LONGEST_RUN * per_second} {unit} (a day), not {text}")
