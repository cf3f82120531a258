"""Results: the base classes, and the plain ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self

from attrs import field, frozen

from .._wire.secrets import masked_repr, shown
from ..exceptions import AGBError, SessionError

if TYPE_CHECKING:  # with the default, ``OperationResult`` alone is a type; typing has it from 3.13 on
    from typing_extensions import TypeVar

    from .narrowed import BoolSuccess, OperationFailure, OperationSuccess

    DataT = TypeVar("DataT", default=Any)
    ValueT = TypeVar("ValueT")
else:
    from typing import TypeVar

    DataT = TypeVar("DataT")


def error_field() -> Any:
    """Return the field ``error``, which equality and ``repr`` ignore."""
    return field(default=None, kw_only=True, eq=False, repr=False)


def message_field() -> Any:
    """Return the field ``error_message``: a text that may come from outside, without secrets and not too long."""
    return field(default="", converter=shown)


def optional_message_field() -> Any:
    """Return the field ``error_message`` of a result that has None without a message."""
    return field(default=None, converter=_shown_or_none)


def _shown_or_none(text: str | None) -> str | None:
    return None if text is None else shown(text)


def strings(value: list[str] | None) -> list[str]:
    """Return a copy of a list, an empty one for None."""
    return list(value or [])


def entries(value: list[Any] | None) -> list[Any]:
    """Return a copy of a list, an empty one for None."""
    return list(value or [])


def mapping(value: dict[str, Any] | None) -> dict[str, Any]:
    """Return a copy of a dict, an empty one for None."""
    return dict(value or {})


class Shown:
    """Base of values with a bounded ``repr``: long texts and lists are cut, with their size."""

    def __repr__(self) -> str:
        from .._wire.display import bounded_repr

        return bounded_repr(self)

    def _repr_html_(self) -> str | None:
        from .._wire.tables import table_of

        return table_of(self)


class Answer(Shown):
    """Base of values with ``success``, which ``if result:`` asks for."""

    success: bool

    def __bool__(self) -> bool:
        return self.success


@frozen(slots=False)
class Truncated:
    """How much output exceeded the limit of the service and was discarded; false if nothing was, or is not reported.

    Attributes:
        stdout: bytes of a command's output, or characters of that of code, beyond those that were returned.
        stderr: the same of the standard error.
        results: characters of the results and displays of code.

    Example:
        >>> from agb import Truncated
        >>> bool(Truncated()), bool(Truncated(stdout=1_000_000))
        (False, True)
    """

    stdout: int = 0
    stderr: int = 0
    results: int = 0

    def __bool__(self) -> bool:
        return bool(self.stdout or self.stderr or self.results)


COMPLETE = Truncated()
"""Nothing was discarded."""


@frozen(slots=False, repr=False)
class ApiResponse(Shown):
    """Base of all results."""

    request_id: str = ""

    def get_request_id(self) -> str:
        """Return the service's id of the request, ``""`` if there is none."""
        return self.request_id


def error_of(result: Any) -> AGBError:
    """Return the error of a failed result; a result made by a caller may have a message only."""
    if result.error is not None:
        return result.error  # type: ignore[no-any-return]
    return SessionError(result.error_message or "the operation failed", request_id=result.request_id)


@frozen(slots=False, repr=False)
class Result(Answer, ApiResponse):
    """Base of the results with ``success``; the result is true where ``success`` is."""

    success: bool = False

    @classmethod
    def of(cls, value: Any, request_id: str) -> Self:
        """Return the result of a call that succeeded with ``value``."""
        return cls(request_id=request_id, success=True, **cls._fields(value))

    @classmethod
    def failed(cls, error: AGBError) -> Self:
        """Return the result of a call that ended in ``error``."""
        return cls(request_id=error.request_id, success=False, error_message=str(error), error=error)  # type: ignore[call-arg]

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"data": value}

    def raise_for_error(self) -> Self:
        """Return this result if it is a success, otherwise raise its ``error``.

        Raises:
            AGBError: as in ``error``, usually one of its subclasses.
        """
        if self.success:
            return self
        raise error_of(self)


@frozen(slots=False, repr=False)
class OperationResult(Result, Generic[DataT]):
    """The result of an operation; the method documents ``data``."""

    data: DataT | None = field(default=None, repr=masked_repr)
    error_message: str = message_field()
    error: AGBError | None = error_field()

    if TYPE_CHECKING:

        @classmethod
        def of(cls, value: ValueT, request_id: str) -> OperationSuccess[ValueT]:
            """Return the result of a call that succeeded with ``value``."""
            raise NotImplementedError

        @classmethod
        def failed(cls, error: AGBError) -> OperationFailure:
            """Return the result of a call that ended in ``error``."""
            raise NotImplementedError

        def raise_for_error(self) -> OperationSuccess[DataT]:
            """Return this result if it is a success, otherwise raise its ``error``."""
            raise NotImplementedError


@frozen(slots=False, repr=False)
class DeleteResult(Result):
    """The result of a deletion."""

    error_message: str = message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        del value
        return {}


@frozen(slots=False, repr=False)
class BoolResult(Result):
    """The result of an operation with a yes or no."""

    data: bool | None = None
    error_message: str = message_field()
    error: AGBError | None = error_field()

    if TYPE_CHECKING:

        def raise_for_error(self) -> BoolSuccess:
            """Return this result if it is a success, otherwise raise its ``error``."""
            raise NotImplementedError
