"""Tools of agents in a session: functions, the shell tool, and the editor of the patch tool."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from agents import (
    ApplyPatchTool,
    FunctionTool,
    RunContextWrapper,
    ShellCallOutcome,
    ShellCommandOutput,
    ShellCommandRequest,
    ShellResult,
    ShellTool,
    ToolOutputImage,
    ToolOutputText,
    apply_diff,
    default_tool_error_function,
    function_tool,
)
from agents.editor import ApplyPatchOperation, ApplyPatchResult

from ..._async.client import AsyncAGB
from ..._async.session import AsyncSession
from ..._ops.ownership import nameless
from ..._ops.tool_texts import TEXT_LIMIT, shortened
from ...exceptions import AGBError
from ...owned import Owner
from ...session_params import CreateSessionParams
from ..agent_session import AgentSession
from ..sandbox import Sandbox, SandboxTools, ToolAnswer, is_for_model

KIND = "openai-agents"
"""The kind of owner of all sessions that are created here."""
TIMEOUT = 120.0
"""Seconds of a command or of code, where the model does not choose others."""


def function_tools(
    session: AsyncSession,
    *,
    cwd: str | None = None,
    user: str | None = None,
    timeout: float = TIMEOUT,
    text_limit: int = TEXT_LIMIT,
) -> list[FunctionTool]:
    """Return tools that run code and commands, and read, write and search files, in a session.

    An error that a model can do something about, such as that of a missing file, is the result of the call. All others,
    such as a service that does not answer, end the run.

    Args:
        session: the session; it stays the caller's.
        cwd: the directory of programs, and the one relative paths start at; without it, that of the session.
        user: the user of programs, where the image has several.
        timeout: seconds of a command or of code, where the model does not choose others.
        text_limit: characters of the result of a tool, and bytes of a file that are read at once.

    Example:
        >>> from agents import Agent
        >>> from agb.integrations.openai_agents import function_tools
        >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...     agent = Agent("coder", tools=[*function_tools(session)])
        ...     print(agent.tools[0].name)
        run_code
    """

    async def sandbox() -> Sandbox:
        return Sandbox(session, cwd=cwd, user=user)

    return _tools(SandboxTools(sandbox, timeout=timeout, text_limit=text_limit))


class AGBTools:
    """The tools of `function_tools` in a session that is created at their first call, and deleted with the block.

    Args:
        params: what the session is created from; without it, the image ``agb-code-space-1``.
        agb: the client, whose limits hold for creations; without it, one for the settings of the environment.
        cwd, user, timeout, text_limit: as for `function_tools`.
        owner: the session has the owner ``openai-agents:<owner>``, by which ``agb gc`` finds it; a random name without.

    Example:
        >>> from agents import Agent
        >>> from agb.integrations.openai_agents import AGBTools
        >>> async with AGBTools() as tools:
        ...     agent = Agent("coder", tools=[*tools])
        ...     print(agent.tools[0].name)
        run_code
    """

    def __init__(
        self,
        params: CreateSessionParams | None = None,
        *,
        agb: AsyncAGB | None = None,
        cwd: str | None = None,
        user: str | None = None,
        timeout: float = TIMEOUT,
        text_limit: int = TEXT_LIMIT,
        owner: str | None = None,
    ) -> None:
        owned_by = Owner.from_ids(KIND, nameless() if owner is None else owner)
        self._session = AgentSession(owned_by, params=params, agb=agb, cwd=cwd, user=user)
        self._tools = SandboxTools(self._session.sandbox, timeout=timeout, text_limit=text_limit)

    async def __aenter__(self) -> list[FunctionTool]:
        return _tools(self._tools)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.aclose()


def _tools(tools: SandboxTools) -> list[FunctionTool]:
    return [function_tool(_translated(one), failure_error_function=_failure) for one in tools.functions]


def _translated(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """Return a function with the same signature and docstring, whose pictures are those of the Agents SDK."""

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        answer = await function(*args, **kwargs)
        if not isinstance(answer, ToolAnswer) or not answer.pictures:
            return str(answer)
        return [ToolOutputText(text=answer.text), *(ToolOutputImage(image_url=one.url) for one in answer.pictures)]

    return call


def _failure(context: RunContextWrapper[Any], error: Exception) -> str:
    """Return what the model reads about an error; raise one that it can do nothing about."""
    if is_for_model(error):
        return f"Error: {error}"
    if isinstance(error, AGBError):
        raise error
    message: str = default_tool_error_function(context, error)
    return message


def shell_tool(
    session: AsyncSession,
    *,
    cwd: str | None = None,
    user: str | None = None,
    timeout: float = TIMEOUT,
    text_limit: int = TEXT_LIMIT,
    **options: Any,
) -> ShellTool:
    """Return the shell tool, whose commands run in a session.

    Args:
        session, cwd, user, timeout, text_limit: as for `function_tools`.
        options: further arguments of `ShellTool`, such as ``needs_approval``.
    """
    sandbox = Sandbox(session, cwd=cwd, user=user)

    async def execute(request: ShellCommandRequest) -> ShellResult:
        action = request.data.action
        seconds = action.timeout_ms / 1000 if action.timeout_ms else timeout
        limit = min(action.max_output_length or text_limit, text_limit)
        outputs = []
        for command in action.commands:
            outcome = await sandbox.exec(command, timeout=seconds)
            ended = ShellCallOutcome("timeout") if outcome.timed_out else ShellCallOutcome("exit", outcome.exit_code)
            stdout, stderr = (
                shortened(data.decode("utf-8", "replace"), limit) for data in (outcome.stdout, outcome.stderr)
            )
            outputs.append(ShellCommandOutput(stdout, stderr, ended, command))
        return ShellResult(outputs, max_output_length=action.max_output_length)

    return ShellTool(executor=execute, **options)


def apply_patch_tool(session: AsyncSession, *, cwd: str | None = None, **options: Any) -> ApplyPatchTool:
    """Return the patch tool, which creates, changes and deletes files of a session.

    Args:
        session: the session; it stays the caller's.
        cwd: the directory that relative paths start at; without it, that of the session.
        options: further arguments of `ApplyPatchTool`, such as ``needs_approval``.
    """
    return ApplyPatchTool(editor=_Editor(Sandbox(session, cwd=cwd)), **options)


class _Editor:
    """Applies patches to files of a session."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def create_file(self, operation: ApplyPatchOperation) -> ApplyPatchResult:
        return await self._changed(operation, lambda: self._write(operation, ""))

    async def update_file(self, operation: ApplyPatchOperation) -> ApplyPatchResult:
        async def update() -> None:
            await self._write(operation, (await self._sandbox.read(operation.path)).decode("utf-8"))
            if operation.move_to:
                await self._remove(operation.path)

        return await self._changed(operation, update)

    async def delete_file(self, operation: ApplyPatchOperation) -> ApplyPatchResult:
        return await self._changed(operation, lambda: self._remove(operation.path))

    async def _write(self, operation: ApplyPatchOperation, before: str) -> None:
        after = apply_diff(
            before, operation.diff or "", mode="create" if operation.type == "create_file" else "default"
        )
        await self._sandbox.write(operation.move_to or operation.path, after)

    async def _remove(self, path: str) -> None:
        path = posixpath.join(self._sandbox.cwd or "", path)
        (await self._sandbox.session.file.remove(path)).raise_for_error()

    async def _changed(self, operation: ApplyPatchOperation, change: Callable[[], Awaitable[None]]) -> ApplyPatchResult:
        try:
            await change()
        except (AGBError, ValueError) as error:
            if not is_for_model(error):
                raise
            return ApplyPatchResult("failed", f"{operation.path}: {error}")
        return ApplyPatchResult("completed", f"{operation.type}: {operation.move_to or operation.path}")
