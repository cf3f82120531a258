"""A session: labels, information, links, status, tools, deletion."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from attrs import evolve

from .._ops import ownership
from .._ops import sessions as ops
from .._ops.arguments import check_labels
from .._ops.tools.plain import any_tool
from .._wire.deadline import Deadline, check_timeout
from .._wire.toolcall import ToolAccess, ToolCall, parse_tool_list
from ..exceptions import AGBError, ErrorKind, SessionError
from ..refs import SessionRef
from ..results.base import DeleteResult, OperationResult
from ..results.sessions import GetSessionData, McpTool, McpToolResult, McpToolsResult, SessionStatusResult
from ._compat.loop import sleep

if TYPE_CHECKING:
    from ..results.metrics import SessionMetricsResult
    from .api import AsyncAPI
    from .client import AsyncAGB
    from .modules.code import AsyncCode
    from .modules.command import AsyncCommand
    from .modules.context_manager import AsyncContextManager
    from .modules.files import AsyncFileSystem

T = TypeVar("T")

DELETION_LIMIT = 300.0
"""Seconds that `delete` waits for the session to be gone."""
SYNC_SHARE = 0.75
"""Which part of its time `delete` gives to the sync before; of 300 seconds that is 225, as in 0.12."""


class AsyncSession:
    """One remote session.

    Sessions come from ``agb.create()``, ``agb.get()``, ``agb.session()`` and ``agb.attach()``. They borrow their
    client's connections; there is nothing to close, but a session runs, and costs, until it is deleted.

    Attributes:
        agb: the client.
        session_id: the id.
        image_id: the image it was made from, ``""`` if not known.
        resource_url: where the session is shown; it holds an auth code.
        app_instance_id, resource_id: the service's own ids.
        link_url, ws_url, token: the addresses of the session's own host, and the token for it.
        tool_list: the tools of the session that are reached straight at its host.
        code, command: what runs in the session.
        file: its files.
        context: its persistent contexts.
    """

    def __init__(self, agb: AsyncAGB, session_id: str) -> None:
        self.agb = agb
        self.session_id = session_id
        self.resource_url = ""
        self.image_id = ""
        self.app_instance_id = ""
        self.resource_id = ""
        self.link_url = ""
        self.ws_url = ""
        self.token = ""
        self.tool_list: list[McpTool] = []
        self._state = ""
        self._is_bare = False
        self._hidden_labels: dict[str, str] | None = None
        """Labels of the SDK's own, which are kept when others are set; None if not known yet."""

    @classmethod
    def _from_data(cls, agb: AsyncAGB, data: GetSessionData) -> AsyncSession:
        session = cls(agb, data.session_id)
        session.resource_url = data.resource_url
        session.image_id = data.image_id
        session.app_instance_id = data.app_instance_id
        session.resource_id = data.resource_id
        session.link_url = data.link_url
        session.ws_url = data.ws_url
        session.token = data.token
        session.tool_list = [
            McpTool(name=tool["name"], server=tool["server"], input_schema=tool.get("inputSchema"))
            for tool in parse_tool_list(data.tool_list)
        ]
        session._state = data.status
        return session

    def __repr__(self) -> str:
        parts = [repr(self.session_id)]
        parts += [f"image={self.image_id!r}"] if self.image_id else []
        parts += [f"state={self._state!r}"] if self._state else []
        return f"<{type(self).__name__} {', '.join(parts)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds a client with its API key and is not pickled or copied; "
            "pickle session.ref, and use agb.attach(ref) on the other side"
        )

    @property
    def ref(self) -> SessionRef:
        """The session's address, to be stored or sent elsewhere; it holds no secret."""
        return SessionRef(self.session_id, str(self._transport.endpoint))

    @property
    def _transport(self) -> AsyncAPI:
        return self.agb.client

    # --- what is in it: each is loaded when first used, since a call that needs none need not wait for them ---------

    @cached_property
    def code(self) -> AsyncCode:
        """Runs code."""
        from .modules.code import AsyncCode

        return AsyncCode(self)

    @cached_property
    def command(self) -> AsyncCommand:
        """Runs commands and processes."""
        from .modules.command import AsyncCommand

        return AsyncCommand(self)

    @cached_property
    def file(self) -> AsyncFileSystem:
        """The files of the session."""
        from .modules.files import AsyncFileSystem

        return AsyncFileSystem(self)

    @cached_property
    def context(self) -> AsyncContextManager:
        """The persistent contexts of the session."""
        from .modules.context_manager import AsyncContextManager

        return AsyncContextManager(self)

    # --- accessors of 0.12 ---------------------------------------------------------------------------------------

    def get_session_id(self) -> str:
        """Return the id of the session."""
        return self.session_id

    def get_api_key(self) -> str:
        """Return the API key of the client."""
        return self.agb.api_key

    def get_client(self) -> AsyncAPI:
        """Return what the client sends its calls through."""
        return self._transport

    def get_link_url(self) -> str:
        """Return the address of the session's own host, ``""`` if it is not known."""
        return self.link_url

    def get_token(self) -> str:
        """Return the token for the session's own host, ``""`` if it is not known."""
        return self.token

    # --- labels --------------------------------------------------------------------------------------------------

    async def set_labels(self, labels: Mapping[str, str], *, timeout: float | None = None) -> OperationResult:
        """Replace all labels of the session by these.

        The session's hidden labels, by which the SDK finds it again when its creator is gone, are kept. An object
        that was not made by ``create`` learns them first, by one more request, the first time.

        Args:
            labels: at least one; keys and values are strings that are not blank, and no key begins with ``agb.sdk/``.
            timeout: seconds for the whole call.

        Returns:
            Success or failure; labels that cannot be set are a failure, and nothing is sent.

        Raises:
            SessionError: there was no valid answer.

        Example:
            >>> async with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = await session.set_labels({"project": "demo"})
            ...     print(result.success)
            True

        Source: control-plane.md 2.8 and 3.7.
        """
        try:
            check_labels(labels)
        except ValueError as error:
            return OperationResult.failed(SessionError(str(error), session_id=self.session_id))
        deadline = self._transport.deadline(timeout)
        if self._hidden_labels is None:
            present = await self.get_labels(timeout=timeout)
            if not present.success:
                return present
        call = ops.set_label(self.session_id, {**labels, **(self._hidden_labels or {})})
        return await self._transport.result(call, OperationResult, deadline=deadline)

    async def get_labels(self, *, timeout: float | None = None) -> OperationResult:
        """Return the labels of the session as ``data``, a dict, without those of the SDK's own.

        Raises:
            SessionError: there was no valid answer.

        Example:
            >>> params = CreateSessionParams(image_id="agb-code-space-1", labels={"project": "demo"})
            >>> async with agb.session(params) as session:
            ...     result = await session.get_labels()
            ...     print(result.data)
            {'project': 'demo'}

        Source: control-plane.md 2.9.
        """
        result = await self._transport.result(ops.get_label(self.session_id), OperationResult, timeout=timeout)
        if not result.success:
            return result
        self._hidden_labels = ownership.hidden(result.data)
        return evolve(result, data=ownership.shown(result.data))

    # --- what it is ----------------------------------------------------------------------------------------------

    async def info(self, *, timeout: float | None = None) -> OperationResult:
        """Return what is known about the session's desktop as ``data``, a dict.

        Its keys are ``session_id``, ``resource_url`` and, where there is a desktop, ``app_id``, ``auth_code``,
        ``connection_properties``, ``resource_id``, ``resource_type`` and ``ticket``. Never raises for a failed call.

        Source: control-plane.md 2.12.
        """
        return await self._transport.result(ops.get_mcp_resource(self.session_id), OperationResult, timeout=timeout)

    async def get_link(
        self, protocol_type: str | None = None, port: int | None = None, *, timeout: float | None = None
    ) -> OperationResult:
        """Return a URL as ``data``, by which a port of the session is reached from outside.

        Args:
            protocol_type: such as ``"https"`` or ``"wss"``; None leaves the choice to the service.
            port: the port that something in the session listens on, 30100 to 30199 on the service.
            timeout: seconds for the whole call.

        Raises:
            SessionError: there was no valid answer.
            ValueError, TypeError: the port is no port number.

        Example:
            >>> async with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     link = await session.get_link(port=30100)
            ...     print(link.data.partition("://")[0])
            http

        Source: control-plane.md 2.10.
        """
        if port is not None and (isinstance(port, bool) or not isinstance(port, int)):
            raise TypeError(f"port is a whole number, not {port!r}")
        if port is not None and not 0 <= port <= 65535:
            raise ValueError(f"port is a number from 1 to 65535, not {port}")
        call = ops.get_link(self.session_id, protocol_type, port)
        return await self._transport.result(call, OperationResult, timeout=timeout)

    async def get_status(self, *, timeout: float | None = None) -> SessionStatusResult:
        """Return the session's state; asking does not count as activity. Never raises for a failed call.

        Source: control-plane.md 2.3.
        """
        call = ops.get_session_info(self.session_id)
        result = await self._transport.result(call, SessionStatusResult, timeout=timeout)
        if result.success:
            self._state = result.status
        if ops.is_gone(result.status, result.error):
            self.agb._limiter.gone(self.session_id)
        return result

    async def keep_alive(self, *, timeout: float | None = None) -> OperationResult:
        """Start the session's idle time anew. Never raises for a failed call.

        Source: control-plane.md 2.7.
        """
        call = ops.refresh_session_idle_time(self.session_id)
        return await self._transport.result(call, OperationResult, timeout=timeout)

    # --- tools ---------------------------------------------------------------------------------------------------

    async def call_mcp_tool(
        self,
        tool_name: str,
        args: Mapping[str, Any],
        read_timeout: int | None = None,
        connect_timeout: int | None = None,
        *,
        timeout: float | None = None,
    ) -> McpToolResult:
        """Call any tool of the session by name; its text is the ``data`` of the result.

        Args:
            tool_name: such as ``"shell"``; `list_mcp_tools` tells what there is.
            args: the tool's arguments.
            read_timeout: milliseconds to wait for the answer; heard on both routes, alone or with the other.
            connect_timeout: milliseconds that connecting may take on top.
            timeout: seconds for the whole call; goes before the two.

        Raises:
            ValueError, TypeError: the arguments cannot be written as JSON; nothing was sent.

        Example:
            >>> async with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = await session.call_mcp_tool("shell", {"command": "echo hello"})
            ...     print(result.success)
            True

        Source: control-plane.md 2.14, 2.28 and 3.9.
        """
        call = any_tool(tool_name, args, self.session_id)
        try:
            limit = self._total(read_timeout, connect_timeout) if timeout is None else timeout
            return await self._tool(call, timeout=limit)
        except AGBError as error:
            return McpToolResult.failed(error)

    async def list_mcp_tools(self, image_id: str | None = None, *, timeout: float | None = None) -> McpToolsResult:
        """Return the tools of an image, with the JSON Schemas of their arguments.

        Args:
            image_id: the image; without it, the session's own.
            timeout: seconds for the whole call.

        Raises:
            ValueError: neither is known.

        Source: control-plane.md 2.13.
        """
        image = image_id or self.image_id
        if not image:
            raise ValueError("image_id is required. Provide it as a parameter or set it on the session.")
        return await self._transport.result(ops.list_tools(image), McpToolsResult, timeout=timeout)

    async def get_metrics(
        self, read_timeout: int | None = None, connect_timeout: int | None = None, *, timeout: float | None = None
    ) -> SessionMetricsResult:
        """Return what the session uses of processors, memory, disk and network.

        Args:
            read_timeout: milliseconds to wait for the answer.
            connect_timeout: milliseconds that connecting may take on top.
            timeout: seconds for the whole call; goes before the two.

        Source: data-plane.md 2.9.
        """
        from .._ops.tools.metrics import get_metrics
        from ..results.metrics import SessionMetricsResult

        try:
            limit = self._total(read_timeout, connect_timeout) if timeout is None else timeout
            return await self._tool(get_metrics(self.session_id), timeout=limit)
        except AGBError as error:
            return SessionMetricsResult.failed(error)

    def _total(self, read_timeout: int | None, connect_timeout: int | None) -> float | None:
        """Return one deadline, in seconds, for the two time-outs of 0.12, which count milliseconds."""
        check_timeout(read_timeout, "read_timeout", "milliseconds")
        check_timeout(connect_timeout, "connect_timeout", "milliseconds")
        if read_timeout is None:
            return None if connect_timeout is None else self._transport.timeout + connect_timeout / 1000
        return (read_timeout + (connect_timeout or 0)) / 1000

    async def _tool(self, tool: ToolCall[T], *, timeout: float | None = None) -> T:
        """Call a tool by the route that is open for it now."""
        tools = self.tool_list or []  # 0.12 stored "" for none, and so may a program
        servers: dict[str, str] = {}
        for entry in tools:
            servers.setdefault(entry.name, entry.server)
        access = ToolAccess(self.session_id, self.link_url, self.token, servers)
        return await self._transport.tool(tool, access, timeout=timeout)

    async def _learn_stream_address(self, timeout: float) -> None:
        """Ask the service where a session's streams are, if it was attached to and so never asked about anything."""
        if self.ws_url or not self._is_bare:
            return
        call = ops.get_session(self.session_id)
        data, _ = await self._transport.call(call, timeout=min(timeout, self._transport.timeout))
        self.ws_url, self.token, self._is_bare = data.ws_url, self.token or data.token, False

    # --- the end -------------------------------------------------------------------------------------------------

    async def delete(
        self,
        sync_context: bool = False,
        *,
        on_sync_failure: Literal["delete", "keep"] = "delete",
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete the session and wait until it is gone.

        Args:
            sync_context: first store the data of the session's contexts, and wait until that is done.
            on_sync_failure: what to do if it fails, or does not end in three quarters of the time: ``"delete"`` the
                session all the same, as 0.12 does; or ``"keep"`` it, so that the data can still be saved.
            timeout: seconds for all of it, 300 unless given.

        Returns:
            Success once the session is gone. If its data was not stored, ``error_message`` and ``error`` of this
            success say so; a session that was kept is a failure that says why. A failure to release, or a status that
            cannot be asked for, ends the waiting. Never raises for a failed call.

        Raises:
            ValueError: ``on_sync_failure`` is neither of the two.

        Source: control-plane.md 2.5, 3.5 and 4.4.
        """
        check_timeout(timeout)
        if on_sync_failure not in ("delete", "keep"):
            raise ValueError(f'on_sync_failure is "delete" or "keep", not {on_sync_failure!r}')
        deadline = Deadline(DELETION_LIMIT if timeout is None else timeout)
        unsynced = await self._store_data(deadline) if sync_context else None
        if unsynced is not None and on_sync_failure == "keep":
            why = f"the session is kept, because its contexts were not stored: {unsynced}"
            return evolve(DeleteResult.failed(unsynced), error_message=why)
        call = ops.release_session_async(self.session_id)
        result = await self._transport.result(call, DeleteResult, timeout=timeout)
        error = result.error
        if error is not None and error.kind is ErrorKind.NOT_FOUND:
            self.agb._limiter.gone(self.session_id)
        if error is not None and not (error.kind is ErrorKind.NOT_FOUND and error.extra.get("attempts", 1) > 1):
            return result  # not found after a first try whose answer was lost: that try has done it
        failure = await self._wait_until_gone(deadline)
        if failure is not None:
            return DeleteResult.failed(failure)
        self._state = "FINISH"
        await self._transport.hang_up(self.session_id)
        if unsynced is not None:
            return DeleteResult(
                result.request_id,
                True,
                f"the session is deleted, but its contexts were not stored: {unsynced}",
                error=unsynced,
            )
        return evolve(result, success=True, error_message="", error=None)

    async def _wait_until_gone(self, deadline: Deadline) -> AGBError | None:
        """Ask for the status, ever less often, until the session is gone; return what went wrong, if anything."""
        pause = 0.02
        while True:
            left = deadline.left()
            if left <= 0:
                return SessionError(
                    f"Timeout waiting for session deletion: session {self.session_id} was asked to go "
                    f"{deadline.seconds:g} s ago and is still {self._state or 'there'}",
                    kind=ErrorKind.TIMED_OUT,
                    session_id=self.session_id,
                    retryable=True,
                )
            status = await self.get_status(timeout=min(left, self._transport.timeout))
            if ops.is_gone(status.status, status.error):
                return None
            if status.error is not None:
                return status.error
            await sleep(min(pause, deadline.left()))
            pause = min(pause * 1.5, 1.0)

    async def _store_data(self, deadline: Deadline) -> AGBError | None:
        """Store the data of all contexts and wait for it; return what went wrong, if anything."""
        limit = Deadline(deadline.left() * SYNC_SHARE)
        from .modules.context_manager import AsyncSyncRun

        run = AsyncSyncRun(self._transport, self.session_id)
        try:
            await run.start(limit)
            await run.wait(limit)
        except AGBError as error:
            return error
        return None
