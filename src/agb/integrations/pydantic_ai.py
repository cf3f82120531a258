"""Pydantic AI: the tools of an agent run in a session; the extra is ``agb[pydantic-ai]``.

`AGBToolset` has the tools. `AGBWorkspace` is a capability: the workspace of a run, for tools of others that use one.
"""

# Where the framework is not installed, pyright takes this module for it.
# pyright: reportIndexIssue=false, reportCallIssue=false
from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any, Self

import anyio

try:
    from pydantic_ai import BinaryContent, FunctionToolset, ModelRetry, RunContext
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.exceptions import ToolFailed
    from pydantic_ai.tools import AgentDepsT
    from pydantic_ai.toolsets.function import FunctionToolsetTool
    from pydantic_ai.workspaces import (
        CommandResult,
        WorkspaceCommand,
        WorkspaceOutputLimitError,
        WorkspaceRef,
        WorkspaceTimeoutError,
        WorkspaceUnavailableError,
    )
except ImportError as error:
    why = f"the adapter for Pydantic AI needs the extra 'pydantic-ai': pip install 'agb[pydantic-ai]' ({error})"
    raise ImportError(why) from error

from .._ops.ownership import nameless
from .._ops.tool_texts import TEXT_LIMIT
from ..exceptions import AGBError, ErrorKind
from ..owned import Owner
from ..session_params import CreateSessionParams
from .agent_session import IMAGE, AgentSession
from .sandbox import Sandbox, SandboxTools, ToolAnswer, is_for_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_ai.toolsets import ToolsetTool

    from .._async.client import AsyncAGB
    from .._async.session import AsyncSession

__all__ = ["AGBToolset", "AGBWorkspace", "AGBWorkspaceBackend"]

KIND = "pydantic-ai"
"""The kind of owner of all sessions that are created here."""
OUTPUT_LIMIT = 64 << 20
"""Bytes of each output of a command of a workspace; one that exceeds them is an error there."""
_START = 'mkdir -p -- "$1" && cd -- "$1" && pwd -P'
"""Creates the working directory, and prints its absolute path."""


class AGBToolset(FunctionToolset[AgentDepsT]):
    """Tools that run code and commands, and read, write and search files, in a session.

    Each run of an agent has a session of its own, which is created at the first call of a tool and deleted at the end
    of the run, also if it is cancelled. Runs within ``async with agent`` or ``async with toolset`` share one. With
    ``session`` all runs use that one, and it stays the caller's. Further functions can be added as to a
    `FunctionToolset`.

    An error that a model can do something about, such as that of a missing file, is a failed call, which the model
    sees; invalid arguments are retried. All others, such as a service that does not answer, end the run.

    Args:
        session: the session, if there is one already.
        params: what a session is created from; without it, the image ``agb-code-space-1``.
        agb: the client, whose limits hold for creations; without it, one for the settings of the environment.
        cwd: the directory of programs, and the one relative paths start at; without it, that of the session.
        user: the user of programs, where the image has several.
        timeout: seconds of a command or of code, where the model does not choose others.
        text_limit: characters of the result of a tool, and bytes of a file that are read at once.
        id: the name of the toolset.
        max_retries: how often a call with invalid arguments is retried; without it, as the agent says.

    Raises:
        TypeError: ``session`` comes with ``params`` or ``agb``, which are for creating one.

    Example:
        >>> from pydantic_ai import Agent
        >>> from pydantic_ai.models.test import TestModel
        >>> from agb.integrations.pydantic_ai import AGBToolset
        >>> agent = Agent(TestModel(call_tools=["find_files"]), toolsets=[AGBToolset()])
        >>> (await agent.run("Which files are there?")).output
        '{"find_files":"[no paths]"}'
    """

    def __init__(
        self,
        session: AsyncSession | None = None,
        *,
        params: CreateSessionParams | None = None,
        agb: AsyncAGB | None = None,
        cwd: str | None = None,
        user: str | None = None,
        timeout: float = 120.0,
        text_limit: int = TEXT_LIMIT,
        id: str = "agb",
        max_retries: int | None = None,
    ) -> None:
        self._options: dict[str, Any] = {"session": session, "params": params, "agb": agb, "cwd": cwd, "user": user}
        self._tool_options: dict[str, Any] = {"timeout": timeout, "text_limit": text_limit}
        self._entered = 0
        self._use(nameless())
        super().__init__(self._functions.functions, max_retries=max_retries, id=id)
        self._own = frozenset(self.tools)

    def _use(self, name: str) -> None:
        """Use a session of its own, with the owner ``pydantic-ai:<name>``."""
        self._session = AgentSession(Owner.from_ids(KIND, name), **self._options)
        self._functions = SandboxTools(self._session.sandbox, **self._tool_options)

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> Self:
        """Return the toolset for a run: with a session of its own, unless the session is one for several runs."""
        if self._entered or self._options["session"] is not None:
            return self
        toolset = copy.copy(self)
        toolset._use(ctx.run_id or nameless())
        return toolset

    async def __aenter__(self) -> Self:
        self._entered += 1
        return self

    async def __aexit__(self, *args: Any) -> None:
        self._entered -= 1
        if not self._entered:
            await self._session.aclose()

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool; see `AGBToolset` for what becomes of errors."""
        if not isinstance(tool, FunctionToolsetTool) or (tool.original_name or name) not in self._own:
            return await super().call_tool(name, tool_args, ctx, tool)
        function = getattr(self._functions, tool.original_name or name)

        async def call(arguments: dict[str, Any], _: RunContext[AgentDepsT]) -> Any:
            return await function(**arguments)

        try:
            answer = await super().call_tool(name, tool_args, ctx, dataclasses.replace(tool, call_func=call))
        except (AGBError, ValueError) as error:
            if not is_for_model(error):
                raise
            raise (ToolFailed if isinstance(error, AGBError) else ModelRetry)(str(error)) from error
        if not isinstance(answer, ToolAnswer):
            return answer
        pictures = [BinaryContent(picture.data, media_type=picture.mime_type) for picture in answer.pictures]
        return [answer.text, *pictures] if pictures else answer.text


class AGBWorkspaceBackend:
    """A session as the workspace of runs: commands run in it, and Pydantic AI makes the operations of files of them.

    The session is created by the first operation, or found by ``ref``. As with all workspaces it stays when a run ends,
    until its idle time has passed or it is deleted, as by ``await agb.attach(ref.id).delete()``.

    Args:
        agb: the client; it stays the caller's.
        ref: the session to continue in, of the provider ``"agb"``.
        params: what a session is created from; without it, the image ``agb-code-space-1``.
        cwd: the working directory, which is created if it is missing; without it, that of the session.
        owner: what a created session belongs to.

    Raises:
        ValueError: ``ref`` is that of another provider.
    """

    def __init__(
        self,
        agb: AsyncAGB,
        *,
        ref: WorkspaceRef | None = None,
        params: CreateSessionParams | None = None,
        cwd: str | None = None,
        owner: Owner | None = None,
    ) -> None:
        if ref is not None and ref.provider != "agb":
            raise ValueError(f"{ref} is not a workspace of 'agb'")
        self._agb = agb
        self._ref = ref
        self._params = params or CreateSessionParams(image_id=IMAGE)
        self._cwd = cwd or "."
        self._owner = owner or Owner(KIND, nameless())
        self._session: AsyncSession | None = None
        self._sandbox: Sandbox | None = None
        self._lock = anyio.Lock()

    @property
    def ref(self) -> WorkspaceRef | None:
        """The session: None until it is created."""
        return self._ref

    async def working_dir(self) -> str:
        """Return the working directory.

        Raises:
            WorkspaceUnavailableError: the session is gone.
            AGBError: the session could not be created, or there was no answer.
        """
        cwd = (await self._started()).cwd
        assert cwd is not None  # it is the absolute one from the start
        return cwd

    async def run(
        self,
        command: WorkspaceCommand,
        *,
        shell: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run a command to its end; one that is cancelled is ended, with the processes it has started.

        Raises:
            TypeError: a string without ``shell``, or a list with it.
            WorkspaceTimeoutError: the time limit has ended it.
            WorkspaceOutputLimitError: its output has more than 64 MiB.
            WorkspaceUnavailableError: the session is gone.
            AGBError: there was no answer.
        """
        if isinstance(command, str) != shell:
            raise TypeError("a string is run with shell=True, and a list of arguments without")
        sandbox = await self._started()
        try:
            outcome = await sandbox.exec(command, env=env, timeout=timeout, output_limit=OUTPUT_LIMIT)
        except AGBError as error:
            await self._raise_if_gone(error)
            raise
        stdout, stderr = (data.decode("utf-8", "replace") for data in (outcome.stdout, outcome.stderr))
        if outcome.timed_out:
            raise WorkspaceTimeoutError(f"the command has exceeded {timeout:g} seconds", stdout=stdout, stderr=stderr)
        if outcome.truncated:
            why = f"the output of the command has more than {OUTPUT_LIMIT} bytes"
            raise WorkspaceOutputLimitError(why, limit=OUTPUT_LIMIT, stdout=stdout, stderr=stderr)
        return CommandResult(exit_code=outcome.exit_code, stdout=stdout, stderr=stderr)

    async def _started(self) -> Sandbox:
        """Return the facade of the session, with an absolute directory; the first call creates or finds the session."""
        async with self._lock:
            if self._sandbox is None:
                session = await self._found_or_created()
                try:
                    start = await Sandbox(session).exec(["sh", "-c", _START, "sh", self._cwd])
                except AGBError as error:
                    await self._raise_if_gone(error)
                    raise
                if start.exit_code:
                    why = start.stderr.decode("utf-8", "replace").strip()
                    raise RuntimeError(f"the working directory {self._cwd} cannot be used: {why}")
                cwd = start.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")
                self._sandbox = Sandbox(session, cwd=cwd)
            return self._sandbox

    async def _found_or_created(self) -> AsyncSession:
        if self._session is None and self._ref is not None:
            found = await self._agb.get(self._ref.id)
            if found.error is not None and found.error.kind is ErrorKind.NOT_FOUND:
                raise WorkspaceUnavailableError(str(found.error)) from found.error
            self._session = found.raise_for_error().session
        elif self._session is None:
            created = (await self._agb.create(self._params, owner=self._owner)).raise_for_error()
            assert created.session is not None  # a success has one
            self._session, self._ref = created.session, WorkspaceRef(provider="agb", id=created.session.session_id)
            if created.error is not None:  # data of a context is missing
                raise created.error
        assert self._session is not None  # a success has one
        return self._session

    async def _raise_if_gone(self, error: AGBError) -> None:
        """Raise `WorkspaceUnavailableError` if the session does not exist (any more)."""
        assert self._session is not None  # it has failed
        found = await self._agb.get(self._session.session_id)
        if found.error is not None and found.error.kind is ErrorKind.NOT_FOUND:
            raise WorkspaceUnavailableError(str(error)) from error


class AGBWorkspace(AbstractCapability[AgentDepsT]):
    """The capability of a workspace in a session, for tools of others that use ``ctx.workspace``.

    Args:
        agb: the client; it stays the caller's.
        params: what sessions are created from; without it, the image ``agb-code-space-1``.
        cwd: the working directory, which is created if it is missing; without it, that of the session.
        id: the name of the capability.

    Example:
        >>> from pydantic_ai import Agent
        >>> from pydantic_ai.models.test import TestModel
        >>> from agb.integrations.pydantic_ai import AGBWorkspace
        >>> agent = Agent(TestModel(), capabilities=[AGBWorkspace(client)])
        >>> (await agent.run("Hello")).output
        'success (no tool calls)'
    """

    def __init__(
        self,
        agb: AsyncAGB,
        *,
        params: CreateSessionParams | None = None,
        cwd: str | None = None,
        id: str = "agb_workspace",
    ) -> None:
        super().__init__()
        self.id = id
        self.agb = agb
        self.params = params
        self.cwd = cwd

    def get_workspace(self, ctx: RunContext[AgentDepsT], *, ref: WorkspaceRef | None) -> AGBWorkspaceBackend | None:
        """Return the workspace of a run, None for a ``ref`` of another provider."""
        if ref is not None and ref.provider != "agb":
            return None
        owner = Owner.from_ids(KIND, ctx.run_id or nameless())
        return AGBWorkspaceBackend(self.agb, ref=ref, params=self.params, cwd=self.cwd, owner=owner)
