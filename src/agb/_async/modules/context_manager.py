"""The contexts of a session: syncs them with the session's files, and reports how far that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..._ops import contexts as ops
from ..._ops.sync_tasks import SyncWatch, Verdict, sync_failure, sync_timeout
from ..._wire.call import Call
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.retry import poll_pause
from ...exceptions import AGBError, ErrorKind, SessionError
from ...results.syncs import ContextInfoResult, ContextStatusData
from .._compat.loop import call, run_in_background, sleep
from .._compat.results import ContextSyncAnswer, coroutine_function

if TYPE_CHECKING:
    from ..api import AsyncAPI
    from .protocols import AsyncSessionAccess

T = TypeVar("T")

POLL_INTERVAL = 1.5
"""Seconds between two status requests of a sync, at most; the first ones follow each other faster."""


class AsyncContextManager:
    """The contexts of one session; available as ``session.context``."""

    def __init__(self, session: AsyncSessionAccess) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self._session.session_id}>"

    @property
    def _api(self) -> AsyncAPI:
        return self._session.get_client()

    async def info(
        self,
        context_id: str | None = None,
        path: str | None = None,
        task_type: str | None = None,
        *,
        timeout: float | None = None,
    ) -> ContextInfoResult:
        """Return the tasks that copy data from contexts into the session and back, older ones included.

        Args:
            context_id: only the tasks of this context.
            path: only the tasks of this mount path.
            task_type: only ``"upload"`` or only ``"download"``.
            timeout: seconds for the whole call.

        Returns:
            The tasks as ``context_status_data``. Never raises for a failed call.

        API: GET /sdk/GetContextInfo.
        """
        call = ops.get_context_info(self._session.session_id, context_id or "", path or "", task_type or "")
        return await self._api.result(call, ContextInfoResult, timeout=timeout)

    @coroutine_function
    async def sync(
        self,
        context_id: str | None = None,
        path: str | None = None,
        mode: str | None = None,
        callback: Callable[[bool], Any] | None = None,
        max_retries: int = 150,
        retry_interval: int = 1500,
        *,
        timeout: float | None = None,
    ) -> ContextSyncAnswer:
        """Sync the session's files with its contexts, and wait until this sync is done.

        Tasks of earlier syncs, finished, failed or still running, do not count.

        Args:
            context_id: the context to sync, together with ``path``; without both, all contexts of the session.
            path: where it is mounted.
            mode: ``"upload"`` stores the session's files, ``"download"`` fetches the stored files; None leaves it to
                the service, and means ``upload`` in the local runtime.
            callback: called once with whether the sync succeeded, unless it could not be started. In the asynchronous
                flavour it is called before this method returns, and a coroutine function is awaited; in the
                synchronous flavour the method returns immediately, with success, and the callback is called in a
                thread of its own.
            max_retries: multiplied by ``retry_interval``, the time to wait; 225 seconds by default.
            retry_interval: milliseconds between two status requests, at most; the first ones follow each other faster.
            timeout: seconds to wait, in place of that product.

        Returns:
            A success if all tasks succeeded; a failure says which task failed and why, or which has not ended in time.
            ``context_status_data`` holds the tasks. Never raises for a failed call. In the synchronous flavour the
            result may be awaited too, for programs written for agbcloud-sdk, where this was a coroutine function; the
            method still counts as one for `asyncio.iscoroutinefunction`, frameworks and mocks.

        Raises:
            TypeError, ValueError: the callback is no function, or a number is invalid.

        API: POST /sdk/SyncContext, GET /sdk/GetContextInfo.
        """
        seconds = _limit(max_retries, retry_interval, timeout) or self._api.timeout
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be a function, not {type(callback).__name__}")
        context_id, path = (context_id or "").strip(), (path or "").strip()
        if bool(context_id) != bool(path):
            message = "Could not sync: context_id and path must be provided together, or both omitted"
            return ContextSyncAnswer.failed(SessionError(message, session_id=self._session.session_id))
        deadline = Deadline(seconds)
        run = AsyncSyncRun(self._api, self._session.session_id, context_id, path, mode or "")
        try:
            await run.start(deadline)
        except AGBError as error:
            return ContextSyncAnswer.failed(error)

        async def end() -> ContextSyncAnswer:
            try:
                tasks = await run.wait(deadline, retry_interval / 1000)
            except AGBError as error:
                return ContextSyncAnswer(
                    error.request_id or run.request_id,
                    error_message=str(error),
                    context_status_data=run.tasks,
                    error=error,
                )
            return ContextSyncAnswer(run.request_id, success=True, context_status_data=tasks)

        if callback is None:
            return await end()
        notify = callback

        async def end_and_notify() -> ContextSyncAnswer:
            result = await end()
            await call(notify, result.success)
            return result

        return await run_in_background(end_and_notify, ContextSyncAnswer(run.request_id, success=True))


def _limit(max_retries: int, retry_interval: int, timeout: float | None) -> float:
    """Return how many seconds a sync may take."""
    check_timeout(timeout)
    for name, value, least in (("max_retries", max_retries, 1), ("retry_interval", retry_interval, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} must be a number, not {value!r}")
        if not least <= value < float("inf"):
            raise ValueError(f"{name} must be at least {least}, not {value}")
    return max_retries * retry_interval / 1000 if timeout is None else timeout


class AsyncSyncRun:
    """One sync of a session: started by `start`, then waited for by `wait`.

    The service reports the tasks of all syncs of a session in one list, and not every service names them. So the list
    is requested before the sync is started: a task of this sync is one whose id the start returned, or a row that is
    not in that first list. An older task, whatever its state, is never taken for a task of this sync.

    Attributes:
        request_id: of the request that started it.
        tasks: its tasks, with the state that was reported last.
    """

    def __init__(self, api: AsyncAPI, session_id: str, context_id: str = "", path: str = "", mode: str = "") -> None:
        self._api = api
        self._session_id = session_id
        self._call = ops.sync_context(session_id, context_id, path, mode)
        self._status_call = ops.get_context_info(session_id, context_id, path)
        self._mode, self._context_id = mode, context_id
        self._watch = SyncWatch([])
        self.request_id = ""

    @property
    def tasks(self) -> list[ContextStatusData]:
        """The tasks of this sync, with the state that was reported last."""
        return self._watch.tasks

    async def start(self, deadline: Deadline) -> None:
        """Request the tasks of earlier syncs, and start this one.

        Raises:
            AGBError: the sync was not started, as far as is known.
        """
        before: list[ContextStatusData] = []
        try:
            before, _ = await _send(self._api, self._status_call, deadline)
        except AGBError as error:
            if error.kind not in (ErrorKind.REFUSED, ErrorKind.NOT_FOUND):
                raise  # otherwise the service has no list before the first sync, and the start says what is wrong
        self._watch = SyncWatch(before, self._mode, self._context_id)
        await self._start(deadline)

    async def _start(self, deadline: Deadline) -> None:
        task_ids, self.request_id = await _send(self._api, self._call, deadline)
        self._watch.started(task_ids)

    async def wait(self, deadline: Deadline, interval: float = POLL_INTERVAL) -> list[ContextStatusData]:
        """Return the tasks of the sync when all of them have succeeded.

        Raises:
            SessionError: a task failed, or did not end within the deadline.
            AGBError: the service did not return its tasks.
        """
        pause = 0.02
        while True:
            verdict = await self._verdict(deadline)
            if verdict is Verdict.DONE:
                break
            if verdict is Verdict.LOST or deadline.left() <= 0:
                raise self._timed_out(deadline)
            if verdict is Verdict.START_AGAIN:
                await self._start(deadline)
            await sleep(min(poll_pause(pause, interval), deadline.left()))
            pause *= 1.5
        failure = sync_failure(self.tasks, self._call.description, self._session_id)
        if failure is not None:
            raise failure
        return self.tasks

    async def _verdict(self, deadline: Deadline) -> Verdict:
        try:
            rows, _ = await _send(self._api, self._status_call, deadline)
        except AGBError as error:
            if error.kind is ErrorKind.TIMED_OUT and deadline.left() <= 0:
                raise self._timed_out(deadline) from error
            raise
        return self._watch.look(rows)

    def _timed_out(self, deadline: Deadline) -> SessionError:
        seconds = deadline.seconds - deadline.left()
        return sync_timeout(self.tasks, self._call.description, self._session_id, seconds, self.request_id)


async def _send(api: AsyncAPI, call: Call[T], deadline: Deadline) -> tuple[T, str]:
    """Send a call that may take the time that is left, but no longer than any other call."""
    return await api.call(call, deadline=deadline.part(api.timeout))
