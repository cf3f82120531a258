"""Successes and failures as type checkers see them; when the program runs, both are the class of the result.

A method returns ``SessionSuccess[Session] | SessionFailure``. ``if result:`` narrows it to one of them, and so do
``raise_for_error()`` and, for mypy, ``if result.success:``: after it ``result.session`` is a `Session` and not None.
The results whose payload is never None have no such pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import BoolResult, OperationResult
from .contexts import ContextResult
from .metrics import SessionMetricsResult
from .sessions import GetSessionResult, McpToolResult, SessionResult

if TYPE_CHECKING:
    from typing import Any, Literal, NoReturn, Protocol

    from typing_extensions import TypeVar

    from ..exceptions import AGBError
    from .base import DataT
    from .contexts import Context
    from .metrics import SessionMetrics
    from .sessions import GetSessionData, SessionT

    SuccessT = TypeVar("SuccessT", covariant=True)
    FailureT = TypeVar("FailureT", covariant=True)

    class ResultKind(Protocol[SuccessT, FailureT]):
        """A class of results, of which a call makes one."""

        def of(self, value: Any, request_id: str, /) -> SuccessT:
            """Return the result of a call that succeeded with ``value``."""
            raise NotImplementedError

        def failed(self, error: AGBError, /) -> FailureT:
            """Return the result of a call that ended in ``error``."""
            raise NotImplementedError

    class BoolSuccess(BoolResult):
        """An answer of yes or no."""

        success: Literal[True]
        data: bool

        def __bool__(self) -> Literal[True]: ...

    class OperationSuccess(OperationResult[DataT]):
        """An operation that succeeded: ``data`` is there."""

        success: Literal[True]
        data: DataT

        def __bool__(self) -> Literal[True]: ...

    class OperationFailure(OperationResult[Any]):
        """An operation that failed: ``error`` is there."""

        success: Literal[False]
        data: None
        error: AGBError

        def __bool__(self) -> Literal[False]: ...
        def raise_for_error(self) -> NoReturn:
            """Raise ``error``."""
            raise NotImplementedError

    class SessionSuccess(SessionResult[SessionT]):
        """A success: ``session`` is there."""

        success: Literal[True]
        session: SessionT

        def __bool__(self) -> Literal[True]: ...

    class SessionFailure(SessionResult[Any]):
        """A failure: ``error`` is there."""

        success: Literal[False]
        session: None
        error: AGBError

        def __bool__(self) -> Literal[False]: ...
        def raise_for_error(self) -> NoReturn:
            """Raise ``error``."""
            raise NotImplementedError

    class GetSessionSuccess(GetSessionResult):
        """A success: ``data`` is there."""

        success: Literal[True]
        data: GetSessionData

        def __bool__(self) -> Literal[True]: ...

    class GetSessionFailure(GetSessionResult):
        """A failure: ``error`` is there."""

        success: Literal[False]
        data: None
        error: AGBError

        def __bool__(self) -> Literal[False]: ...
        def raise_for_error(self) -> NoReturn:
            """Raise ``error``."""
            raise NotImplementedError

    class McpToolSuccess(McpToolResult):
        """A success: ``data`` is there."""

        success: Literal[True]
        data: str

        def __bool__(self) -> Literal[True]: ...

    class McpToolFailure(McpToolResult):
        """A failure: ``error`` is there."""

        success: Literal[False]
        data: None
        error: AGBError

        def __bool__(self) -> Literal[False]: ...
        def raise_for_error(self) -> NoReturn:
            """Raise ``error``."""
            raise NotImplementedError

    class ContextSuccess(ContextResult):
        """A success: ``context`` is there."""

        success: Literal[True]
        context: Context

        def __bool__(self) -> Literal[True]: ...

    class ContextFailure(ContextResult):
        """A failure: ``error`` is there."""

        success: Literal[False]
        context: None
        error: AGBError

        def __bool__(self) -> Literal[False]: ...
        def raise_for_error(self) -> NoReturn:
            """Raise ``error``."""
            raise NotImplementedError

    class SessionMetricsSuccess(SessionMetricsResult):
        """A success: ``metrics`` is there."""

        success: Literal[True]
        metrics: SessionMetrics

        def __bool__(self) -> Literal[True]: ...

    class SessionMetricsFailure(SessionMetricsResult):
        """A failure: ``error`` is there."""

        success: Literal[False]
        metrics: None
        error: AGBError

        def __bool__(self) -> Literal[False]: ...
        def raise_for_error(self) -> NoReturn:
            """Raise ``error``."""
            raise NotImplementedError

else:
    BoolSuccess = BoolResult
    OperationSuccess = OperationFailure = OperationResult
    SessionSuccess = SessionFailure = SessionResult
    GetSessionSuccess = GetSessionFailure = GetSessionResult
    McpToolSuccess = McpToolFailure = McpToolResult
    ContextSuccess = ContextFailure = ContextResult
    SessionMetricsSuccess = SessionMetricsFailure = SessionMetricsResult
