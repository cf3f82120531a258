"""Sync tasks: which of the tasks a service reports belong to what was just started, and how they ended.

The service keeps the rows of older tasks, and the cloud does not name tasks. So the rows are compared with those that
were there before the start. Times are whole seconds, and whether the row of the next task replaces a row or is added
to it is not documented.

Invariant: a row counts as a task of this sync only if it cannot be a row of an older task. A row that could be either
is ignored, so a sync is never reported as done because an older one has ended; in the worst case it is started again,
or reported as lost.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterable, Sequence
from enum import Enum, auto

from .._wire.deadline import Clock
from ..context_sync import ContextSync
from ..exceptions import AGBError, ErrorKind, Sent, SessionError
from ..results.syncs import ContextStatusData

_SUCCEEDED = frozenset({"success", "successful", "succeeded", "ok", "finished", "done", "completed", "complete"})
_FAILED = frozenset({"failed", "failure", "fail", "error", "cancelled", "canceled", "timeout"})
"""``Success`` and ``Failed`` are the words of the service; agbcloud-sdk 0.12 accepts the others of the first kind."""

_DATA = frozenset({"upload", "download"})

QUIET_AFTER = 2.0
"""Seconds without a change after which no more tasks are expected."""
REPORTED_WITHIN = 5.0
"""Seconds after its creation within which a session is expected to report the download of each of its contexts."""
LOST_AFTER = 30.0
"""Seconds after its start within which a row of a sync must appear; as long as 0.12 waits for a whole transfer."""


def has_failed(task: ContextStatusData) -> bool:
    """Return whether a task has ended without transferring everything."""
    return task.status.lower() in _FAILED


def has_ended(task: ContextStatusData) -> bool:
    """Return whether a task has ended, so that its row does not change any more."""
    return has_failed(task) or task.status.lower() in _SUCCEEDED


class Verdict(Enum):
    """What the rows mean for a caller that waits for the sync."""

    WAIT = auto()
    DONE = auto()
    """All tasks have ended, with or without success."""
    START_AGAIN = auto()
    """No new row has appeared: it equals an old one, or the sync joined an older task, which has ended meanwhile."""
    LOST = auto()
    """No new row has appeared for so long that none is expected any more."""


class SyncWatch:
    """Distinguishes the tasks of one sync from all others.

    Attributes:
        tasks: those found so far, as they were last reported.
    """

    def __init__(
        self,
        before: Sequence[ContextStatusData],
        mode: str = "",
        context_id: str = "",
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self.tasks: list[ContextStatusData] = []
        self._types = frozenset({mode}) & _DATA or _DATA
        self._context_id = context_id
        self._ids: list[str] | None = None
        self._clock = clock
        self._started_at = self._changed_at = clock()
        self._was_started_again = False
        self._before = [row for row in before if self._is_of_context(row)]
        self._places = {_place(row) for row in self._before if row.task_type.lower() in _DATA}
        self._before = [row for row in self._before if self._is_of_type(row)]

    def started(self, task_ids: list[str] | None) -> None:
        """Record that the sync was started, and the ids of its tasks if the service returned them."""
        self._ids = task_ids
        self._started_at = self._changed_at = self._clock()

    def look(self, rows: Sequence[ContextStatusData]) -> Verdict:
        """Find the tasks of this sync among all rows, and return what to do."""
        found = self._found(rows)
        if found != self.tasks:
            self.tasks, self._changed_at = found, self._clock()
        if not all(map(has_ended, found)):
            return Verdict.WAIT
        if self._ids is not None and {task.task_id for task in found} >= set(self._ids):
            return Verdict.DONE
        if not found:
            return self._without_tasks(rows)
        if self._ids is not None:
            return Verdict.WAIT
        is_quiet = self._clock() - self._changed_at >= QUIET_AFTER
        return Verdict.DONE if is_quiet or self._places <= {_place(task) for task in found} else Verdict.WAIT

    def _without_tasks(self, rows: Sequence[ContextStatusData]) -> Verdict:
        """Return what to do as long as no new row has appeared."""
        elapsed = self._clock() - self._started_at
        busy = [row for row in rows if self._is_of_context(row) and self._is_of_type(row) and not has_ended(row)]
        if busy or elapsed < QUIET_AFTER:
            return Verdict.WAIT
        if self._ids is None and not self._places and not self._context_id:
            return Verdict.DONE  # the session has no contexts
        if self._ids is None and self._before and not self._was_started_again:
            self._was_started_again = True
            return Verdict.START_AGAIN
        return Verdict.WAIT if elapsed < LOST_AFTER else Verdict.LOST

    def _found(self, rows: Sequence[ContextStatusData]) -> list[ContextStatusData]:
        if self._ids is not None:
            return [row for row in rows if row.task_id in self._ids]
        new = [row for row in rows if self._is_of_context(row) and self._is_of_type(row)]
        unended = []
        for old in self._before:
            if not has_ended(old):
                unended.append(old)
            elif old in new:
                new.remove(old)
        for old in unended:  # it may have progressed since
            same = next((row for row in new if _place(row) == _place(old) and _may_be(old, row)), None)
            if same is not None:
                new.remove(same)
        return new

    def _is_of_context(self, row: ContextStatusData) -> bool:
        return not self._context_id or row.context_id in ("", self._context_id)

    def _is_of_type(self, row: ContextStatusData) -> bool:
        return row.task_type.lower() in self._types


def _place(row: ContextStatusData) -> tuple[str, str]:
    return row.context_id, row.path


def _may_be(old: ContextStatusData, row: ContextStatusData) -> bool:
    """Return whether the row of an unended task may have become this row."""
    return (old.task_type, old.task_id) == (row.task_type, row.task_id) and old.start_time in (0, row.start_time)


def sync_failure(tasks: Iterable[ContextStatusData], what: str, session_id: str) -> SessionError | None:
    """Return the error of the tasks that have failed, None if none has."""
    failed = [task for task in tasks if has_failed(task)]
    if not failed:
        return None
    reasons = "; ".join(f"{_shown(task)}: {task.error_message or 'no reason given'}" for task in failed)
    return SessionError(f"Could not {what}: {reasons}", session_id=session_id, sent=Sent.YES)


def sync_timeout(
    tasks: Iterable[ContextStatusData], what: str, session_id: str, seconds: float, request_id: str
) -> SessionError:
    """Return the error of a sync that did not end in time."""
    left = ", ".join(f"{_shown(task)} is {task.status or 'without a state'}" for task in tasks if not has_ended(task))
    return SessionError(
        f"Could not {what}: it did not end within {round(seconds, 2):g} s; {left or 'no task of it was reported'}",
        kind=ErrorKind.TIMED_OUT,
        session_id=session_id,
        request_id=request_id,
        sent=Sent.YES,
        retryable=True,
    )


def _shown(task: ContextStatusData) -> str:
    return f"{task.task_type or 'a task'} of {task.path or task.context_id or 'a context'}"


# --- the contexts of a new session -------------------------------------------------------------------------------


class MountWatch:
    """Follows the downloads of the contexts that a session was created with.

    Attributes:
        tasks: the downloads, as they were last reported.
    """

    def __init__(self, syncs: Sequence[ContextSync], *, clock: Clock = time.monotonic) -> None:
        self.tasks: list[ContextStatusData] = []
        self._expected = {_mount(sync.context_id, sync.path): sync for sync in syncs if _is_downloaded(sync)}
        self._clock = clock
        self._began = clock()

    def look(self, rows: Sequence[ContextStatusData]) -> Verdict:
        """Return whether to wait, or all downloads have ended or will not be reported any more."""
        self.tasks = [row for row in rows if row.task_type.lower() == "download"]
        if not all(map(has_ended, self.tasks)):
            return Verdict.WAIT
        is_late = self._clock() - self._began >= REPORTED_WITHIN
        return Verdict.DONE if is_late or not self._unreported() else Verdict.WAIT

    def _unreported(self) -> list[ContextSync]:
        reported = {_mount(task.context_id, task.path) for task in self.tasks}
        return [sync for mount, sync in self._expected.items() if mount not in reported]

    def failure(self, session_id: str, seconds: float, error: AGBError | None = None) -> SessionError | None:
        """Return which data is missing and why, None if all is there.

        ``error`` is why the service could not be asked any longer; otherwise ``seconds`` have passed.
        """
        why = f"the service could not be asked any more: {error}" if error else f"after {round(seconds, 2):g} s"
        failed = [f"{task.path}: {task.error_message or 'no reason given'}" for task in self.tasks if has_failed(task)]
        late = [f"{task.path}: still {task.status or 'running'}, {why}" for task in self.tasks if not has_ended(task)]
        unknown = [f"{sync.path}: its download was not reported, {why}" for sync in self._unreported()]
        if not (failed or late or unknown):
            return None
        kind = ErrorKind.REFUSED if failed else error.kind if error else ErrorKind.TIMED_OUT
        return SessionError(
            f"session {session_id} was created, but not all of its data is there: {'; '.join(failed + late + unknown)}",
            kind=kind,
            session_id=session_id,
            sent=Sent.YES,
        )


def _mount(context_id: str, path: str) -> tuple[str, str]:
    return context_id, posixpath.normpath(path)


def _is_downloaded(sync: ContextSync) -> bool:
    policy = sync.policy.download_policy if sync.policy is not None else None
    return policy is None or policy.auto_download
