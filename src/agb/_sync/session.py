# Generated from src/agb/_async/session.py by tools/unasync.py. Do not edit.
"""A session: labels, information, links, status, tools, deletion."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from attrs import evolve

from .._ops import ownership
from .._ops import sessions as ops
from .._ops.arguments import check_labels
from .._ops.tools.plain import any_tool
from .._wire.deadline import Deadline, check_timeout
from .._wire.labels import shown
from .._wire.toolcall import parse_tool_list
from ..exceptions import AGBError, ErrorKind, SessionError
from ..refs import SessionRef
from ..results.base import DeleteResult, OperationResult
from ..results.sessions import (
    GetSessionData,
    McpTool,
    McpToolResult,
    McpToolsResult,
    SessionStatusResult,
)

if TYPE_CHECKING:
    from ..results.narrowed import (
        McpToolFailure,
        McpToolSuccess,
        OperationFailure,
        OperationSuccess,
        SessionMetricsFailure,
        SessionMetricsSuccess,
    )
    from ..results.sessions import SessionInfo
    from .api import API
    from .client import AGB
    from .modules.browser import Browser
    from .modules.code import Code
    from .modules.command import Command
    from .modules.computer.computer import Computer
    from .modules.context_manager import ContextManager
    from .modules.files import FileSystem

DELETION_LIMIT = 300.0
"""Seconds that `delete` waits for the session to be gone."""


class Session:
    """One remote session.

    Sessions come from ``client.create()``, ``client.get()``, ``client.session()`` and ``client.attach()``. They borrow
    their client's connections; there is nothing to close, but a session runs, and costs, until it is deleted.

    A session object made by `create` or `get` knows the addresses of the session's own host. One made by `attach` knows
    its id only: its tools are called through the API, and ``needs_addresses`` says that the first stream must ask the
    service for the address. The parts of a session read these attributes at each call, so a program may change them.

    Attributes:
        agb: the client.
        session_id: the id.
        image_id: the image it was made from, ``""`` if not known.
        resource_url: the address of the session's page; it holds an auth code.
        app_instance_id: an id of the service.
        resource_id: an id of the service.
        link_url: the address of the session's own host for tool calls, ``""`` if not known.
        ws_url: the address of the session's own host for live output, ``""`` if not known.
        token: the token for both.
        needs_addresses: whether the service must be asked for ``ws_url`` and ``token`` before a stream is opened.
        tool_list: the tools that the session's own host runs.
        code: runs code in the session.
        command: runs commands and processes in the session.
        file: its files.
        context: its persistent contexts.
        browser: its browser.
        computer: its desktop.
    """

    def __init__(self, agb: AGB, session_id: str) -> None:
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
        self.needs_addresses = False
        self._state = ""
        self._hidden_labels: dict[str, str] | None = None
        """The SDK's own labels, which are kept when others are set; None if not known yet."""

    def __repr__(self) -> str:
        parts = [repr(self.session_id)]
        parts += [f"image={self.image_id!r}"] if self.image_id else []
        parts += [f"state={self._state!r}"] if self._state else []
        return f"<{type(self).__name__} {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        from .._wire.tables import facts_table

        facts = {type(self).__name__: self.session_id, "image": self.image_id, "state": self._state}
        return facts_table({name: text for name, text in facts.items() if text})

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds a client with its API key and is not pickled or copied; "
            "pickle session.ref, and use client.attach(ref) on the other side"
        )

    @property
    def ref(self) -> SessionRef:
        """A reference to the session, to store or to send elsewhere; it holds no secret."""
        return SessionRef(self.session_id, str(self._api.endpoint))

    @property
    def _api(self) -> API:
        return self.agb.client

    # --- parts: each is loaded when it is first used, since importing all of them takes longer than a call --------

    @cached_property
    def code(self) -> Code:
        """Runs code."""
        from .modules.code import Code

        return Code(self)

    @cached_property
    def command(self) -> Command:
        """Runs commands and processes."""
        from .modules.command import Command

        return Command(self)

    @cached_property
    def file(self) -> FileSystem:
        """The files of the session."""
        from .modules.files import FileSystem

        return FileSystem(self)

    @cached_property
    def context(self) -> ContextManager:
        """The persistent contexts of the session."""
        from .modules.context_manager import ContextManager

        return ContextManager(self)

    @cached_property
    def browser(self) -> Browser:
        """The browser of the session."""
        from .modules.browser import Browser

        return Browser(self)

    @cached_property
    def computer(self) -> Computer:
        """The desktop of the session."""
        from .modules.computer.computer import Computer

        return Computer(self)

    # --- accessors of 0.12 ---------------------------------------------------------------------------------------

    def get_session_id(self) -> str:
        """Return the id of the session."""
        return self.session_id

    def get_api_key(self) -> str:
        """Return the API key of the client."""
        return self.agb.api_key

    def get_client(self) -> API:
        """Return the object that the client sends its calls through."""
        return self._api

    def get_link_url(self) -> str:
        """Return the address of the session's own host, ``""`` if it is not known."""
        return self.link_url

    def get_token(self) -> str:
        """Return the token for the session's own host, ``""`` if it is not known."""
        return self.token

    # --- labels --------------------------------------------------------------------------------------------------

    def set_labels(
        self, labels: Mapping[str, str], *, timeout: float | None = None
    ) -> OperationSuccess[None] | OperationFailure:
        """Replace all labels of the session.

        The service knows one set of labels, and the SDK keeps labels of its own in it, by which a session is found
        again when its creator is gone; they are hidden from callers. So they are sent again with each new set. An
        object that was not made by ``create`` requests them first, once.

        Args:
            labels: at least one; keys and values are strings that are not blank, and no key begins with ``agb.sdk/``.
            timeout: seconds for the whole call.

        Returns:
            Success or failure; invalid labels are a failure, and nothing is sent.

        Raises:
            SessionError: there was no valid answer.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.set_labels({"project": "demo"})
            ...     print(result.success)
            True

        API: POST /sdk/SetLabel.
        """
        try:
            check_labels(labels)
        except ValueError as error:
            return OperationResult.failed(SessionError(str(error), session_id=self.session_id))
        deadline = self._api.deadline(timeout)
        if self._hidden_labels is None and self.agb.uses_hidden_labels:
            present = self._get_labels(deadline)
            if not present:
                return present
        hidden = (self._hidden_labels or {}) if self.agb.uses_hidden_labels else {}
        call = ops.set_label(self.session_id, {**labels, **hidden})
        result = self._api.result(call, OperationResult, deadline=deadline)
        if result.error is None or not (hidden and ownership.is_label_refused(result.error, call.description)):
            return result
        again = self._api.result(ops.set_label(self.session_id, labels), OperationResult, deadline=deadline)
        if again.success:
            self.agb._hidden_labels.refused(result.error)
        return again

    def get_labels(self, *, timeout: float | None = None) -> OperationSuccess[dict[str, str]] | OperationFailure:
        """Return the labels of the session as ``data``, a dict, without the SDK's own.

        Raises:
            SessionError: there was no valid answer.

        Example:
            >>> params = CreateSessionParams(image_id="agb-code-space-1", labels={"project": "demo"})
            >>> with client.session(params) as session:
            ...     result = session.get_labels()
            ...     print(result.data)
            {'project': 'demo'}

        API: GET /sdk/GetLabel.
        """
        return self._get_labels(self._api.deadline(timeout))

    def _get_labels(self, deadline: Deadline) -> OperationSuccess[dict[str, str]] | OperationFailure:
        result = self._api.result(ops.get_label(self.session_id), OperationResult, deadline=deadline)
        if not result:
            return result
        self._hidden_labels = ownership.hidden(result.data)
        return OperationResult.of(shown(result.data), result.request_id)

    # --- information ---------------------------------------------------------------------------------------------

    def info(self, *, timeout: float | None = None) -> OperationSuccess[SessionInfo] | OperationFailure:
        """Return the properties of the session's desktop as ``data``, a dict.

        Its keys are ``session_id``, ``resource_url`` and, if there is a desktop, ``app_id``, ``auth_code``,
        ``connection_properties``, ``resource_id``, ``resource_type`` and ``ticket``. Never raises for a failed call.

        API: POST /mcp/getMcpResource.
        """
        return self._api.result(ops.get_mcp_resource(self.session_id), OperationResult, timeout=timeout)

    def get_link(
        self, protocol_type: str | None = None, port: int | None = None, *, timeout: float | None = None
    ) -> OperationSuccess[str] | OperationFailure:
        """Return a URL as ``data`` by which a port of the session is reached from outside.

        Args:
            protocol_type: such as ``"https"`` or ``"wss"``; None leaves the choice to the service.
            port: the port that a program in the session listens on, 30100 to 30199 on the service.
            timeout: seconds for the whole call.

        Raises:
            SessionError: there was no valid answer.
            ValueError, TypeError: the port is not a port number.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     link = session.get_link(port=30100)
            ...     print(link.data.partition("://")[0])
            http

        API: GET /internet/getLink.
        """
        if port is not None and (isinstance(port, bool) or not isinstance(port, int)):
            raise TypeError(f"port must be a whole number, not {port!r}")
        if port is not None and not 0 <= port <= 65535:
            raise ValueError(f"port must be a number from 1 to 65535, not {port}")
        call = ops.get_link(self.session_id, protocol_type, port)
        return self._api.result(call, OperationResult, timeout=timeout)

    def get_status(self, *, timeout: float | None = None) -> SessionStatusResult:
        """Return the session's state; the request does not count as activity. Never raises for a failed call.

        API: POST /mcp/getSessionInfo.
        """
        return self._get_status(self._api.deadline(timeout))

    def _get_status(self, deadline: Deadline) -> SessionStatusResult:
        call = ops.get_session_info(self.session_id)
        result = self._api.result(call, SessionStatusResult, deadline=deadline)
        if result.success:
            self._state = result.status
        if ops.is_gone(result.status, result.error):
            self.agb._limiter.gone(self.session_id)
        return result

    def keep_alive(self, *, timeout: float | None = None) -> OperationSuccess[None] | OperationFailure:
        """Restart the session's idle time. Never raises for a failed call.

        API: POST /mcp/refreshSessionIdleTime.
        """
        call = ops.refresh_session_idle_time(self.session_id)
        return self._api.result(call, OperationResult, timeout=timeout)

    # --- tools ---------------------------------------------------------------------------------------------------

    def call_mcp_tool(
        self,
        tool_name: str,
        args: Mapping[str, Any],
        read_timeout: int | None = None,
        connect_timeout: int | None = None,
        *,
        timeout: float | None = None,
    ) -> McpToolSuccess | McpToolFailure:
        """Call any tool of the session by name; its text is the ``data`` of the result.

        Args:
            tool_name: such as ``"shell"``; `list_mcp_tools` returns the tools of an image.
            args: the tool's arguments.
            read_timeout: milliseconds to wait for the answer; used on both routes, alone or with ``connect_timeout``.
            connect_timeout: milliseconds that connecting may take in addition.
            timeout: seconds for the whole call; takes precedence over the other two.

        Raises:
            ValueError, TypeError: JSON cannot represent the arguments; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.call_mcp_tool("shell", {"command": "echo hello"})
            ...     print(result.success)
            True

        API: POST {link_url}/callTool if the session's host and its tool are known, otherwise POST /mcp.
        """
        from .modules.tools import run_tool

        call = any_tool(tool_name, args, self.session_id)
        try:
            limit = self._total(read_timeout, connect_timeout) if timeout is None else timeout
            return run_tool(self, call, timeout=limit)
        except AGBError as error:
            return McpToolResult.failed(error)

    def list_mcp_tools(self, image_id: str | None = None, *, timeout: float | None = None) -> McpToolsResult:
        """Return the tools of an image, with the JSON Schemas of their arguments.

        Args:
            image_id: the image; without it, the session's own.
            timeout: seconds for the whole call.

        Raises:
            ValueError: neither is known.

        API: POST /mcp/listTools.
        """
        image = image_id or self.image_id
        if not image:
            raise ValueError("image_id is required. Provide it as a parameter or set it on the session.")
        return self._api.result(ops.list_tools(image), McpToolsResult, timeout=timeout)

    def get_metrics(
        self, read_timeout: int | None = None, connect_timeout: int | None = None, *, timeout: float | None = None
    ) -> SessionMetricsSuccess | SessionMetricsFailure:
        """Return the session's use of processors, memory, disk and network.

        Args:
            read_timeout: milliseconds to wait for the answer.
            connect_timeout: milliseconds that connecting may take in addition.
            timeout: seconds for the whole call; takes precedence over the other two.

        API: the tool ``get_metrics``.
        """
        from .._ops.tools.metrics import get_metrics
        from ..results.metrics import SessionMetricsResult
        from .modules.tools import run_tool

        try:
            limit = self._total(read_timeout, connect_timeout) if timeout is None else timeout
            return run_tool(self, get_metrics(self.session_id), timeout=limit)
        except AGBError as error:
            return SessionMetricsResult.failed(error)

    def _total(self, read_timeout: int | None, connect_timeout: int | None) -> float | None:
        """Return one deadline, in seconds, for the two time-outs of 0.12, which count milliseconds."""
        check_timeout(read_timeout, "read_timeout", "milliseconds")
        check_timeout(connect_timeout, "connect_timeout", "milliseconds")
        if read_timeout is None:
            return None if connect_timeout is None else self._api.timeout + connect_timeout / 1000
        return (read_timeout + (connect_timeout or 0)) / 1000

    # --- deletion ------------------------------------------------------------------------------------------------

    def delete(
        self,
        sync_context: bool = False,
        *,
        on_sync_failure: Literal["delete", "keep"] = "delete",
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete the session and wait until it is gone.

        Args:
            sync_context: first store the data of the session's contexts, and wait until that is done.
            on_sync_failure: if that fails, or takes longer than three quarters of the time: ``"delete"`` the session
                nevertheless, as 0.12 does; or ``"keep"`` it, so that the data can still be saved.
            timeout: seconds for everything; 300 by default.

        Returns:
            Success once the session is gone. If its data was not stored, ``error_message`` and ``error`` of this
            success say so; a session that was kept is a failure that says why. A failed release, or a failed status
            request, ends the waiting. Never raises for a failed call.

        Raises:
            ValueError: ``on_sync_failure`` is neither of the two.

        API: POST /mcp/releaseSessionAsync, POST /mcp/getSessionInfo; before them POST /sdk/SyncContext.

        Example:
            >>> result = client.create(CreateSessionParams(image_id="agb-code-space-1"))
            >>> deleted = result.raise_for_error().session.delete()
            >>> deleted.success
            True
        """
        from .modules.deletion import store_contexts, wait_until_gone

        check_timeout(timeout)
        if on_sync_failure not in ("delete", "keep"):
            raise ValueError(f'on_sync_failure must be "delete" or "keep", not {on_sync_failure!r}')
        deadline = Deadline(DELETION_LIMIT if timeout is None else timeout)
        unsynced: AGBError | None = None
        if sync_context:
            try:
                store_contexts(self._api, self.session_id, deadline)
            except AGBError as error:
                unsynced = error
        if unsynced is not None and on_sync_failure == "keep":
            why = f"the session is kept, because its contexts were not stored: {unsynced}"
            return evolve(DeleteResult.failed(unsynced), error_message=why)
        call = ops.release_session_async(self.session_id)
        step = deadline.part(self._api.timeout) if timeout is None else deadline.part()
        result = self._api.result(call, DeleteResult, deadline=step)
        refusal = result.error
        if refusal is not None and refusal.kind is ErrorKind.NOT_FOUND:
            self.agb._limiter.gone(self.session_id)
        # Not found after an attempt whose answer was lost: that attempt has released the session.
        if refusal is not None and not (refusal.kind is ErrorKind.NOT_FOUND and refusal.extra.get("attempts", 1) > 1):
            return result
        try:
            wait_until_gone(lambda: self._get_status(deadline.part(self._api.timeout)), self.session_id, deadline)
        except AGBError as error:
            return DeleteResult.failed(error)
        self._state = "FINISH"
        self._api.hang_up(self.session_id)
        if unsynced is not None:
            why = f"the session is deleted, but its contexts were not stored: {unsynced}"
            return DeleteResult(result.request_id, True, why, error=unsynced)
        return evolve(result, success=True, error_message="", error=None)


def session_from_data(agb: AGB, data: GetSessionData, hidden_labels: dict[str, str] | None = None) -> Session:
    """Return the session object for an answer of the service; ``hidden_labels`` are the SDK's own, if known."""
    session = Session(agb, data.session_id)
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
    session._hidden_labels = hidden_labels
    return session
