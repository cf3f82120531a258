"""Tool calls of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..._wire.deadline import Deadline
from ..._wire.toolcall import ToolAccess, ToolCall
from ...exceptions import AGBError

if TYPE_CHECKING:
    from ...results.narrowed import ResultKind
    from ...results.sessions import McpTool
    from .protocols import AsyncSessionAccess

T = TypeVar("T")
FailureT = TypeVar("FailureT")


async def run_tool(
    session: AsyncSessionAccess,
    call: ToolCall[T],
    *,
    timeout: float | None = None,
    deadline: Deadline | None = None,
) -> T:
    """Call a tool of a session and return what its reader makes of the answer.

    The session's addresses are read at each call, not kept: a program may assign them, as with 0.12, and a session that
    was attached to learns them late. Where the tool list names a tool twice, the first entry counts.

    Raises:
        AGBError: the tool was not run, failed, or there was no valid answer.
    """
    servers: dict[str, str] = {}
    for tool in session.tool_list or []:  # 0.12 stored "" for no tools, and so may a program
        servers.setdefault(tool.name, tool.server)
    access = ToolAccess(session.session_id, session.link_url, session.token, servers)
    return await session.get_client().tool(call, access, timeout=timeout, deadline=deadline)


async def tool_result(
    session: AsyncSessionAccess, call: ToolCall[T], kind: ResultKind[T, FailureT], *, timeout: float | None = None
) -> T | FailureT:
    """Call a tool of a session and return its result, a failure included."""
    try:
        return await run_tool(session, call, timeout=timeout)
    except AGBError as error:
        return kind.failed(error)


async def offered_tools(session: AsyncSessionAccess, timeout: float | None = None) -> list[McpTool]:
    """Return the tools of the session's image, or of the session itself if it was attached to by its id.

    Raises:
        AGBError: the service was not asked, refused, or there was no valid answer.
    """
    from ..._ops.sessions import get_session  # not needed before
    from ..._wire.toolcall import parse_tool_list
    from ...results.sessions import GetSessionResult, McpTool

    if session.image_id:
        return (await session.list_mcp_tools(timeout=timeout)).tools
    result = await session.get_client().result(get_session(session.session_id), GetSessionResult, timeout=timeout)
    tools = parse_tool_list(result.data.tool_list if result.data else "")
    return [McpTool(tool["name"], input_schema=tool.get("inputSchema")) for tool in tools]
