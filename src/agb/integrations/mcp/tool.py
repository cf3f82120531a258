"""A tool of the server: a function, with the schemas of its arguments and values made from its annotations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, TypeVar

import mcp_types
from attrs import Factory, field, frozen
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata, func_metadata
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field, ValidationError

from .conversations import Conversation, Conversations, HeldSession, Refused
from .options import Options

F = TypeVar("F", bound=Callable[..., Awaitable[CallToolResult]])

SessionId = Annotated[
    str | None,
    Field(description="The session, as create_session returned it; without it, the current one of the conversation."),
]


@frozen
class Call:
    """A call of a tool: by whom, and within which limits. Each tool has it as its first argument."""

    conversations: Conversations
    conversation: Conversation | None
    """None if the client has none, so that it must name its session."""

    @property
    def options(self) -> Options:
        """Images and limits."""
        return self.conversations.options

    def session(self, session_id: str | None) -> AbstractAsyncContextManager[HeldSession]:
        """Use a session for the time of a block: the one that is named, or else the current one."""
        return self.conversations.use(self.conversation, session_id)


@frozen
class Tool:
    """A tool, as the server lists and calls it."""

    function: Callable[..., Awaitable[CallToolResult]]
    title: str
    annotations: ToolAnnotations
    metadata: FuncMetadata = field(init=False, default=Factory(lambda self: _metadata(self), takes_self=True))
    schema: dict[str, Any] = field(init=False, default=Factory(lambda self: _schema(self), takes_self=True))
    """The JSON Schema of its arguments."""

    @property
    def name(self) -> str:
        """The name by which it is called."""
        return self.function.__name__

    def listed(self) -> mcp_types.Tool:
        """Return its description for clients."""
        return mcp_types.Tool(
            name=self.name,
            title=self.title,
            description=" ".join((self.function.__doc__ or "").split()),
            input_schema=self.schema,
            output_schema=self.metadata.output_schema,
            annotations=self.annotations,
        )

    async def run(self, call: Call, arguments: dict[str, Any]) -> CallToolResult:
        """Run it.

        Raises:
            Refused: the arguments do not fit the schema, or the call cannot be done.
            AGBError, ValueError, TypeError: of the SDK.
        """
        try:
            checked = self.metadata.validate_arguments(arguments)
        except ValidationError as error:
            faults = (f"{'.'.join(str(part) for part in e['loc']) or 'arguments'}: {e['msg']}" for e in error.errors())
            raise Refused(f"the arguments do not fit: {'; '.join(faults)}") from error
        result = self.metadata.convert_result(await self.function(call=call, **checked))
        assert isinstance(result, CallToolResult)  # no tool asks the client for input
        return result


def _metadata(tool: Tool) -> FuncMetadata:
    return func_metadata(tool.function, skip_names=["call"])


def _schema(tool: Tool) -> dict[str, Any]:
    schema: dict[str, Any] = tool.metadata.arg_model.model_json_schema(by_alias=True)
    return schema


def tool(
    title: str, *, reads: bool = False, destroys: bool = False, repeatable: bool = False, outside: bool = False
) -> Callable[[F], F]:
    """Return the decorator that marks a function as a tool; its docstring is what the model reads.

    Args:
        title: for people.
        reads: it changes nothing.
        destroys: it may destroy something that is of use.
        repeatable: calling it again with the same arguments changes nothing more.
        outside: it reaches more than the session, such as the internet.
    """

    def mark(function: F) -> F:
        hints = ToolAnnotations(
            title=title,
            read_only_hint=reads,
            destructive_hint=destroys and not reads,
            idempotent_hint=repeatable or reads,
            open_world_hint=outside,
        )
        function.__agb_tool__ = (title, hints)  # type: ignore[attr-defined]
        return function

    return mark


def tools_of(module: Any) -> list[Tool]:
    """Return the tools of a module, in the order of their definition."""
    return [Tool(value, *value.__agb_tool__) for value in vars(module).values() if hasattr(value, "__agb_tool__")]
