"""Tools: one module per group of in-session tools. No I/O."""

from __future__ import annotations

from ..._wire.toolcall import ToolReply
from ...exceptions import AGBError, ErrorKind, Sent, SessionError


def tool_failure(name: str, said: ToolReply, session_id: str, error: type[AGBError] = SessionError) -> AGBError:
    """Return the error for a tool that answered that it failed; its text is the tool's own."""
    return error(
        said.text or f"the tool {name!r} failed and gave no reason",
        kind=ErrorKind.REFUSED,
        request_id=said.request_id,
        session_id=session_id,
        sent=Sent.YES,
        tool=name,
    )
