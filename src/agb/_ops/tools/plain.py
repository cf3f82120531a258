"""Any tool: called by name, its text returned as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..._wire.toolcall import ToolCall, ToolReply
from ...results.sessions import McpToolResult
from . import tool_failure

if TYPE_CHECKING:
    from ...results.narrowed import McpToolFailure, McpToolSuccess


def any_tool(name: str, args: Mapping[str, Any], session_id: str) -> ToolCall[McpToolSuccess | McpToolFailure]:
    """Return the call of any tool; ``args`` must be an object that JSON can represent."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"the name of a tool must be a string that is not empty, not {name!r}")
    if not isinstance(args, Mapping):
        raise TypeError(f"the arguments of the tool {name!r} must be a dict, not {type(args).__name__}")

    def read(reply: ToolReply) -> McpToolSuccess | McpToolFailure:
        if reply.is_error:
            return McpToolResult.failed(tool_failure(name, reply, session_id))
        return McpToolResult.of(reply.text, reply.request_id)

    return ToolCall(name, args, read)
