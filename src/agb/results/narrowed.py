"""Successes and failures as type checkers see them; when the program runs, both are the class of the result.

A method returns ``SessionSuccess[Session] | SessionFailure``. ``if result:`` narrows it to one of them, and so do
``raise_for_error()`` and, for mypy, ``if result.success:``: after it ``result.session`` is a `Session` and not None.
The results whose payload is never None have no such pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Answer, BoolResult, OperationResult
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

    class _Success(Answer):
        success: Literal[True]  # pyright: ignore[reportIncompatibleVariableOverride] - results are frozen

        def __bool__(self) -> Literal[True]: ...

    class _Failure(Answer):
        success: Literal[False]  # pyright: ignore[reportIncompatibleVariableOverride] - results are frozen
        error: AGBError

        def __bool__(self) -> Literal[False]: ...
        def raise_for_error(self) -> NoReturn:
            """Raise ``error``."""
            raise NotImplementedError

    class BoolSuccess(_Success, BoolResult):
        """An answer of yes or no."""

        data: bool

    class OperationSuccess(_Success, OperationResult[DataT]):
        """A success: ``data`` is there."""

        data: DataT

    class OperationFailure(_Failure, OperationResult[Any]):
        """A failure: ``error`` is there."""

        data: None

    class SessionSuccess(_Success, SessionResult[SessionT]):
        """A success: ``session`` is there."""

        session: SessionT

    class SessionFailure(_Failure, SessionResult[Any]):
        """A failure: ``error`` is there."""

        session: None

    class GetSessionSuccess(_Success, GetSessionResult):
        """A success: ``data`` is there."""

        data: GetSessionData

    class GetSessionFailure(_Failure, GetSessionResult):
        """A failure: ``error`` is there."""

        data: None

    class McpToolSuccess(_Success, McpToolResult):
        """A success: ``data`` is there."""

        data: str

    class McpToolFailure(_Failure, McpToolResult):
        """A failure: ``error`` is there."""

        data: None

    class ContextSuccess(_Success, ContextResult):
        """A success: ``context`` is there."""

        context: Context

    class ContextFailure(_Failure, ContextResult):
        """A failure: ``error`` is there."""

        context: None

    class SessionMetricsSuccess(_Success, SessionMetricsResult):
        """A success: ``metrics`` is there."""

        metrics: SessionMetrics

    class SessionMetricsFailure(_Failure, SessionMetricsResult):
        """A failure: ``error`` is there."""

        metrics: None

else:
    BoolSuccess = BoolResult
    OperationSuccess = OperationFailure = OperationResult
    SessionSuccess = SessionFailure = SessionResult
    GetSessionSuccess = GetSessionFailure = GetSessionResult
    McpToolSuccess = McpToolFailure = McpToolResult
    ContextSuccess = ContextFailure = ContextResult
    SessionMetricsSuccess = SessionMetricsFailure = SessionMetricsResult
