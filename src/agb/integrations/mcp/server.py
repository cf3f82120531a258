"""The MCP server itself: lists the tools and calls them, each for the conversation that the request belongs to."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias, TypeVar

import anyio
import mcp_types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, CallToolResult, ListToolsResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from ..._async.client import AsyncAGB
from ..._version import __version__
from ...exceptions import AGBError
from . import file_tools, run_tools, screen_tools, session_tools
from .answers import failure
from .conversations import Conversation, Conversations, Refused
from .options import Options
from .tool import Call, Tool, tools_of

T = TypeVar("T")
Context: TypeAlias = "ServerRequestContext[Conversations, Any]"

PROGRESS_SECONDS: Final = 5.0
"""Seconds between the reports of a call that takes longer; clients wait for a call that reports progress."""
SESSION_HEADER: Final = "mcp-session-id"
THIS_PROCESS: Final = "this process"
"""The key of the conversation of a server that has one client: over stdio, or in this process."""
INSTRUCTIONS: Final = (
    "Work in an AGB sandbox: an isolated Linux machine, the session, with files, commands and code. The first call "
    "creates it, and all calls of this conversation share it. create_session makes one with another image, such as one "
    "with a browser. A session without calls for {idle:g} seconds is released with its files."
)

_log = logging.getLogger("agb.mcp")


class AgbServer(Server[Conversations]):
    """An MCP server of the official package, and the conversations that it has.

    It is served by `serve_stdio`, `serve_http` or `http_app`, or connected to in this process.
    """

    def __init__(self, conversations: Conversations) -> None:
        self.conversations = conversations
        self._tools = {tool.name: tool for tool in _all_tools()}
        super().__init__(
            "agb",
            version=__version__,
            title="AGB sandboxes",
            instructions=INSTRUCTIONS.format(idle=conversations.options.idle_time),
            lifespan=self._running,
            get_tool_input_schema=self._schema,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    @asynccontextmanager
    async def _running(self, server: Server[Conversations]) -> AsyncIterator[Conversations]:
        del server
        async with self.conversations.running():
            yield self.conversations

    def _schema(self, name: str) -> dict[str, Any] | None:
        tool = self._tools.get(name)
        return None if tool is None else tool.schema

    async def _list(self, context: Context, params: mcp_types.PaginatedRequestParams | None) -> ListToolsResult:
        del context, params  # all fit on one page
        return ListToolsResult(tools=[tool.listed() for tool in self._tools.values()])

    async def _call(self, context: Context, params: mcp_types.CallToolRequestParams) -> CallToolResult:
        """Call a tool; each failure is an answer that the model reads, without a secret in it."""
        tool = self._tools.get(params.name)
        if tool is None:
            return failure(f"there is no tool {params.name!r}; there are {', '.join(self._tools)}")
        call = Call(self.conversations, self._conversation(context))
        try:
            return await _reporting(context, lambda: tool.run(call, params.arguments or {}))
        except (AGBError, Refused, ValueError, TypeError) as error:
            return failure(str(error))
        except MCPError:
            raise
        except Exception as error:
            # A fault of this program: its text is for the log of the server, and not for the client.
            _log.exception("the tool %s failed", tool.name)
            text = f"the tool {tool.name} failed by {type(error).__name__}; the log of the server says where"
            raise MCPError(INTERNAL_ERROR, text) from error

    def _conversation(self, context: Context) -> Conversation | None:
        """Return the conversation of a request, None if the client has none.

        The id of an MCP session is read from the request. That is safe for the protocols with a handshake only: for
        them the package has checked that there is such a session, and that this request may use it. A request of
        another protocol that has the header nevertheless could name any session.
        """
        if context.request is None:
            return self.conversations.conversation(THIS_PROCESS)
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return None
        key = context.request.headers.get(SESSION_HEADER)
        return None if key is None else self.conversations.conversation(key)


def _all_tools() -> list[Tool]:
    modules = (session_tools, run_tools, file_tools, screen_tools)
    return [tool for module in modules for tool in tools_of(module)]


async def _reporting(context: Context, function: Callable[[], Awaitable[T]]) -> T:
    """Call a function, and report to the client meanwhile that it is still in progress."""
    outcome: list[T] = []
    failed: list[Exception] = []
    begin = anyio.current_time()

    async def report() -> None:
        while True:
            await anyio.sleep(PROGRESS_SECONDS)
            seconds = round(anyio.current_time() - begin)
            await context.session.report_progress(seconds, message=f"in progress for {seconds} seconds")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(report)
        try:
            outcome.append(await function())
        except Exception as error:  # raised below: a task group would put it into a group
            failed.append(error)
        tasks.cancel_scope.cancel()
    if failed:
        raise failed[0]
    return outcome[0]


def create_server(connect: Callable[[], AsyncAGB], options: Options | None = None) -> AgbServer:
    """Return an MCP server, which is not served yet.

    Args:
        connect: makes the client of the service; it is called when the server starts, and closed when it ends.
        options: images and limits.

    Example:
        >>> from agb.integrations.mcp import Http, Options, create_server, http_app
        >>> server = create_server(AsyncAGB, Options(image="agb-code-space-1", idle_time=300))
        >>> app = http_app(server, Http(port=8000))
    """
    return AgbServer(Conversations(connect, options or Options()))
