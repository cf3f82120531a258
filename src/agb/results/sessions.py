"""Results about sessions: created, found, listed, and their tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NotRequired, Self, TypedDict, TypeVar

from attrs import field, frozen

from .._wire.secrets import masked_repr
from ..exceptions import AGBError
from .base import Answer, ApiResponse, Result, Shown, entries, error_field, error_of, mapping, message_field, strings

if TYPE_CHECKING:
    from .narrowed import (
        GetSessionFailure,
        GetSessionSuccess,
        McpToolFailure,
        McpToolSuccess,
        SessionFailure,
        SessionSuccess,
    )
    from .syncs import ContextStatusData

SessionT = TypeVar("SessionT")
ValueT = TypeVar("ValueT")


@frozen(slots=False, repr=False)
class SessionResult(Result, Generic[SessionT]):
    """A session, created or found.

    ``context_status`` holds the downloads of its contexts' data into a session that was created. If some data is
    missing, the session exists nevertheless: ``success`` is true, and ``error_message`` and ``error`` name the missing
    data.
    """

    error_message: str = message_field()
    session: SessionT | None = None
    error: AGBError | None = error_field()
    context_status: list[ContextStatusData] = field(default=None, converter=entries, kw_only=True)

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"session": value}

    if TYPE_CHECKING:

        @classmethod
        def of(cls, value: ValueT, request_id: str) -> SessionSuccess[ValueT]:
            """Return the result of a call that succeeded with ``value``."""
            raise NotImplementedError

        @classmethod
        def failed(cls, error: AGBError) -> SessionFailure:
            """Return the result of a call that ended in ``error``."""
            raise NotImplementedError

        def raise_for_error(self) -> SessionSuccess[SessionT]:
            """Return this result if it is a success, otherwise raise its ``error``."""
            raise NotImplementedError


class SessionInfo(TypedDict):
    """The properties of a session's desktop; those of ``app_id`` and after are there if it has a desktop."""

    session_id: str
    resource_url: str
    app_id: NotRequired[str | None]
    auth_code: NotRequired[str | None]
    connection_properties: NotRequired[str | None]
    resource_id: NotRequired[str | None]
    resource_type: NotRequired[str | None]
    ticket: NotRequired[str | None]


@frozen(slots=False, repr=False)
class SessionListResult(Result):
    """One page of session ids; ``total_count`` counts the matches on all pages."""

    error_message: str = message_field()
    session_ids: list[str] = field(default=None, converter=strings)
    next_token: str = ""
    max_results: int = 0
    total_count: int = 0
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {
            "session_ids": value.items,
            "next_token": value.next_token,
            "max_results": value.max_results,
            "total_count": value.total_count,
        }


@frozen(slots=False, repr=False)
class GetSessionData(Shown):
    """Connection data of a session; ``repr`` hides token and addresses."""

    app_instance_id: str = ""
    resource_id: str = ""
    session_id: str = ""
    success: bool = False
    resource_url: str = field(default="", repr=masked_repr)
    status: str = ""
    link_url: str = field(default="", repr=masked_repr)
    ws_url: str = field(default="", repr=masked_repr)
    token: str = field(default="", repr=False)
    tool_list: Any = field(default="", repr=False)
    image_id: str = field(default="", kw_only=True)


@frozen(slots=False, repr=False)
class GetSessionResult(Answer, ApiResponse):
    """Connection data of a session, or the error."""

    http_status_code: int = 0
    code: str = ""
    success: bool = False
    data: GetSessionData | None = None
    error_message: str = message_field()
    error: AGBError | None = error_field()

    @classmethod
    def of(cls, value: GetSessionData, request_id: str) -> GetSessionSuccess:
        """Return the result of a call that succeeded."""
        return cls(request_id=request_id, http_status_code=200, code="ok", success=True, data=value)  # type: ignore[return-value]  # see narrowed.py

    @classmethod
    def failed(cls, error: AGBError) -> GetSessionFailure:
        """Return the result of a call that ended in ``error``."""
        status = error.http_status or 0
        return cls(error.request_id, status, error.code, success=False, error_message=str(error), error=error)  # type: ignore[return-value]

    def raise_for_error(self) -> GetSessionSuccess:
        """Return this result if it is a success, otherwise raise its ``error``."""
        if self.success:
            return self  # type: ignore[return-value]
        raise error_of(self)


@frozen(slots=False, repr=False)
class SessionStatusResult(Answer, ApiResponse):
    """The state of a session, such as ``RUNNING``, ``DELETING`` or ``FINISH``."""

    http_status_code: int = 0
    code: str = ""
    success: bool = False
    status: str = ""
    error_message: str = message_field()
    error: AGBError | None = error_field()

    @classmethod
    def of(cls, value: str, request_id: str) -> Self:
        """Return the result of a call that succeeded."""
        return cls(request_id=request_id, http_status_code=200, code="ok", success=True, status=value)

    @classmethod
    def failed(cls, error: AGBError) -> Self:
        """Return the result of a call that ended in ``error``."""
        status = error.http_status or 0
        return cls(error.request_id, status, error.code, success=False, error_message=str(error), error=error)

    def raise_for_error(self) -> Self:
        """Return this result if it is a success, otherwise raise its ``error``."""
        if self.success:
            return self
        raise error_of(self)


@frozen(slots=False, repr=False)
class McpTool(Shown):
    """A tool that an image offers, with the JSON Schema of its arguments."""

    name: str = ""
    description: str = ""
    input_schema: dict[str, Any] = field(default=None, converter=mapping)
    server: str = ""
    tool: str = ""


@frozen(slots=False, repr=False)
class McpToolResult(Result):
    """The text that a tool returned."""

    data: str | None = None
    error_message: str = message_field()
    error: AGBError | None = error_field()

    if TYPE_CHECKING:

        @classmethod
        def of(cls, value: Any, request_id: str) -> McpToolSuccess:
            """Return the result of a call that succeeded with ``value``."""
            raise NotImplementedError

        @classmethod
        def failed(cls, error: AGBError) -> McpToolFailure:
            """Return the result of a call that ended in ``error``."""
            raise NotImplementedError

        def raise_for_error(self) -> McpToolSuccess:
            """Return this result if it is a success, otherwise raise its ``error``."""
            raise NotImplementedError


@frozen(slots=False, repr=False)
class McpToolsResult(Result):
    """The tools that an image offers."""

    tools: list[McpTool] = field(default=None, converter=entries)
    error_message: str = message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"tools": value}
