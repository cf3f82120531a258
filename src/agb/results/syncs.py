"""Results about the syncs of a session with its contexts."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, NoReturn, Self

from attrs import field, frozen

from ..exceptions import AGBError
from .base import Result, Shown, entries, error_field, message_field, optional_message_field


@frozen(slots=False, repr=False)
class ContextStatusData(Shown):
    """One task that copies data from a context into a session (``download``) or back (``upload``).

    ``status`` is the service's name; ``Success`` and ``Failed`` are final. ``start_time`` and ``finish_time`` are
    seconds since 1970, 0 as long as they are not known. ``task_id`` is set where the service names its tasks.
    """

    context_id: str = ""
    path: str = ""
    error_message: str = message_field()
    status: str = ""
    start_time: int = 0
    finish_time: int = 0
    task_type: str = ""
    task_id: str = field(default="", kw_only=True)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the task of an object of the protocol; a missing field is ``""`` or 0."""

        def text(key: str) -> str:
            value = data.get(key)
            return value if isinstance(value, str) else ""

        def number(key: str) -> int:
            value = data.get(key)
            return value if isinstance(value, int) and not isinstance(value, bool) else 0

        return cls(
            context_id=text("contextId"),
            path=text("path"),
            error_message=text("errorMessage"),
            status=text("status"),
            start_time=number("startTime"),
            finish_time=number("finishTime"),
            task_type=text("taskType"),
            task_id=text("taskId"),
        )


@frozen(slots=False, repr=False)
class ContextInfoResult(Result):
    """The tasks between a session and its contexts."""

    context_status_data: list[ContextStatusData] = field(default=None, converter=entries)
    error_message: str | None = optional_message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"context_status_data": value}


@frozen(slots=False, repr=False)
class ContextSyncResult(Result):
    """The end of a sync; ``context_status_data`` holds its tasks, with the state that was reported last."""

    error_message: str = message_field()
    context_status_data: list[ContextStatusData] = field(default=None, converter=entries, kw_only=True)
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"context_status_data": value}


@frozen(slots=False, repr=False)
class AwaitableContextSyncResult(ContextSyncResult, Coroutine[Any, Any, ContextSyncResult]):
    """The result of ``session.context.sync()`` in the synchronous flavour, which may be awaited as well.

    In agbcloud-sdk 0.12 ``sync`` was a coroutine function. Programs with ``asyncio.run(session.context.sync())`` or
    ``await session.context.sync()`` go on to work: the sync has ended before, and both return this result.
    ``asyncio.run`` accepts coroutines only, so the result is a coroutine that has finished.
    """

    def __hash__(self) -> int:
        return hash((self.request_id, self.success, self.error_message))  # asyncio.gather puts it into a dict

    def __await__(self) -> Generator[Any, None, Self]:
        return self
        yield  # makes this a generator, which `__await__` must return

    def send(self, value: Any) -> NoReturn:
        """Finish with this result."""
        del value
        raise StopIteration(self)

    def throw(self, error: Any, value: Any = None, traceback: Any = None, /) -> NoReturn:
        """Raise the error that is thrown in."""
        del traceback
        raise error if value is None else value

    def close(self) -> None:
        """Do nothing: nothing is open."""
