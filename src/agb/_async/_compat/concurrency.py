"""Tasks that run at the same time: the asynchronous flavour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


async def gather(functions: Sequence[Callable[[], Awaitable[T]]], stop: Callable[[], object] | None = None) -> list[T]:
    """Run functions at the same time; return their results in order, or raise the error of the first that failed.

    All of them have ended when this returns, also those that run when another one fails; ``asyncio.gather`` leaves
    those running, and a task group would cancel them. ``stop`` is for the synchronous flavour: here the cancellation of
    the caller cancels the functions.
    """
    del stop
    from functools import partial

    from anyio import create_task_group

    if len(functions) == 1:
        return [await functions[0]()]
    results: dict[int, T] = {}
    errors: dict[int, Exception] = {}

    async def run(number: int, function: Callable[[], Awaitable[T]]) -> None:
        try:
            results[number] = await function()
        except Exception as error:  # raised below, when all have ended
            errors[number] = error

    async with create_task_group() as tasks:
        for number, function in enumerate(functions):
            tasks.start_soon(partial(run, number, function))
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(len(functions))]


class CallTimeout(Exception):
    """A function did not return in time."""

    def __init__(self, is_abandoned: bool = False) -> None:
        super().__init__()
        self.is_abandoned = is_abandoned
        """Whether the function still runs; only a thread can."""


class TimedRunner:
    """Runs a user's functions, one after the other, each with a time limit; the owner closes it.

    Here it is ``anyio.move_on_after``. It is a class because the synchronous flavour needs a thread for it.
    """

    async def run(
        self, function: Callable[[], Awaitable[T]], seconds: float | None, stop: Callable[[], Awaitable[object]]
    ) -> T:
        """Run a function and return its result; it is cancelled when the time is over.

        ``stop`` is for the synchronous flavour, where a function cannot be cancelled.

        Raises:
            CallTimeout: the function did not return within so many seconds.
        """
        del stop
        if seconds is None:
            return await function()
        from anyio import move_on_after

        with move_on_after(seconds):
            return await function()
        raise CallTimeout

    def close(self) -> None:
        """Do nothing; in the synchronous flavour there is a thread."""


class TaskGroup:
    """Workers that run while a ``with`` block lasts, as tasks here and as threads in the synchronous flavour.

    Leaving the block waits for all of them. When one raises, the others and the block are cancelled, and leaving raises
    the first error, never an exception group; an error of the block itself has precedence. A block that is left by an
    error or a cancellation cancels the workers. It is entered and left by the same task.

    It wraps anyio's task group, which would raise exception groups; so both flavours raise the same error.
    """

    def __init__(self) -> None:
        self._group: Any = None
        self._error: BaseException | None = None
        self.is_cancelled = False
        """Whether the workers were asked to stop."""

    async def __aenter__(self) -> Self:
        from anyio import create_task_group

        self._group = create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if exc is not None:
            self.cancel()
        if isinstance(exc, Exception):  # anyio would wrap it in a group
            exc_type = exc = traceback = None
            await self._group.__aexit__(None, None, None)
            return False
        is_swallowed = bool(await self._group.__aexit__(exc_type, exc, traceback))
        if self._error is not None and (exc is None or is_swallowed):
            raise self._error
        return is_swallowed

    def start(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Start a worker; may be called by the block and by the workers."""
        self._group.start_soon(self._run, function, args)

    def cancel(self) -> None:
        """Cancel all workers and the block; leaving the block does not raise that cancellation."""
        self.is_cancelled = True
        self._group.cancel_scope.cancel()

    async def _run(self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        from anyio import get_cancelled_exc_class

        try:
            await function(*args)
        except get_cancelled_exc_class():
            raise
        except BaseException as error:  # raised where the block is left
            self._error = self._error or error
            self.cancel()
