"""Tool calls of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..._wire.deadline import Deadline
from ..._wire.toolcall import ToolAccess, ToolCall
from ...exceptions import AGBError

if TYPE_CHECKING:
    from ...results.narrowed import ResultKind
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
