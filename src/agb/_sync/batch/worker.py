# Generated from src/agb/_async/batch/worker.py by tools/unasync.py. Do not edit.
"""A worker of a batch: it processes one item after the other, each in a session."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define

from ..._ops.sessions import has_ended
from ...exceptions import AGBError, ErrorKind, ItemTimeoutError
from ...outcomes import Outcome, RetryOn
from .._compat.cancellation import is_foreign_cancellation, shielded
from .._compat.concurrency import CallTimeout, TimedRunner
from .._compat.loop import call, sleep

if TYPE_CHECKING:
    from ..session import Session
    from .map import Batch
    from .options import BatchOptions

FIRST_PAUSE = 0.1
"""Seconds before the second attempt at an item; doubled for each further one, with jitter."""
MAX_PAUSE = 10.0
"""Seconds between two attempts at most."""
MAX_IDLE = 5.0
"""Seconds that a session may have been idle before its status is checked and it is used again."""


@define
class Attempt:
    """One attempt at an item."""

    value: Any = None
    error: BaseException | None = None
    session_id: str = ""
    is_session_gone: bool = False
    """Whether the session had ended by itself."""


class Worker:
    """A worker and its session, which it keeps from item to item if sessions are reused.

    Invariant: a session that the worker holds is in ``_session`` from the moment it exists until it is deleted or
    returned to the pool; `close` releases it, so however the worker ends, no session is left. (A create that is
    cancelled deletes its session itself.)
    """

    def __init__(self, batch: Batch[Any, Any], options: BatchOptions) -> None:
        self._batch = batch
        self._options = options
        self._pool = None if isinstance(options.pool, bool) else options.pool
        self._session: Session | None = None
        self._last_used = 0.0
        self._runner = TimedRunner()

    def process(self, index: int, item: Any) -> Outcome[Any, Any]:
        """Apply the function to an item, in as many attempts as it takes and may have; return the outcome."""
        begin, attempts = time.monotonic(), 1
        while (attempt := self._attempt(index, item)).error is not None:
            if not self._may_retry(attempt, attempts):
                break
            sleep(_pause(attempt.error, attempts))
            attempts += 1
        seconds = time.monotonic() - begin
        return Outcome(index, item, attempt.value, attempt.error, attempts, seconds, attempt.session_id)

    def _may_retry(self, attempt: Attempt, attempts: int) -> bool:
        assert attempt.error is not None  # a success is not repeated
        if attempts >= self._options.attempts:
            return False
        if not (
            attempt.is_session_gone or _is_transient(attempt.error) or _matches(self._options.retry_on, attempt.error)
        ):
            return False
        return self._batch._counters.try_retry(self._options.retries)

    def _attempt(self, index: int, item: Any) -> Attempt:
        if (
            self._session is not None
            and time.monotonic() - self._last_used > MAX_IDLE
            and self._has_ended(self._session)
        ):
            self.release()  # it ended while it was idle, which is not a failure of the item
        if self._session is None and (failed := self._acquire()) is not None:
            return failed
        session = self._session
        assert session is not None  # just acquired
        if self._options.warm_browser is not None and (failed := self._start_browser(session)) is not None:
            return failed
        attempt = Attempt(session_id=session.session_id)
        self._call(attempt, session, index, item)
        self._last_used = time.monotonic()
        if attempt.error is None and self._pool is not None:
            self._session = None
            self._pool.release(session)
        elif attempt.error is not None or not self._options.pool:
            attempt.is_session_gone = self._explains(attempt.error, session)
            attempt.is_session_gone |= self.release()
        if attempt.error is not None and attempt.is_session_gone:
            attempt.error.add_note(f"session {session.session_id} had ended by then")
        return attempt

    def _explains(self, error: BaseException | None, session: Session) -> bool:
        """Return whether the session of an item that failed has ended, if that decides about another attempt.

        A session that is being deleted is deleted once more without an error, so its state is requested before.
        """
        if error is None or self._options.attempts == 1 or _is_transient(error):
            return False
        if isinstance(error, ItemTimeoutError):  # the batch itself has deleted the session, to end the function
            return False
        return self._has_ended(session)

    def _call(self, attempt: Attempt, session: Session, index: int, item: Any) -> None:
        """Call the function, and note its value or its error."""
        function = partial(call, self._batch._function, session, item)
        try:
            attempt.value = self._runner.run(function, self._options.timeout, self.release)
        except CallTimeout as timeout:
            attempt.error = _timeout_error(index, self._options.timeout, session.session_id, timeout.is_abandoned)
        except Exception as error:  # any error of the user's function is the item's outcome
            attempt.error = error
        except BaseException as error:
            if not is_foreign_cancellation(error):
                raise
            attempt.error = RuntimeError(f"the function waited for something that was cancelled, on item {index}")
            attempt.error.__cause__ = error

    def _acquire(self) -> Attempt | None:
        """Create a session, or borrow one; return a failed attempt if there is none."""
        if self._pool is not None:
            try:
                self._session = self._pool.acquire()
            except Exception as error:  # including errors of the pool's hooks
                return Attempt(error=error)
            return None
        created = self._batch._agb.create(self._options.params, owner=self._batch.owner)
        self._session = session = created.session
        if session is None:
            return Attempt(error=created.error)
        self._batch._counters.add("sessions")
        if created.error is None:
            return None
        self.release()  # data of a context is missing
        return Attempt(error=created.error, session_id=session.session_id)

    def _start_browser(self, session: Session) -> Attempt | None:
        """Start the session's browser, or make sure that it runs; return a failed attempt if it does not."""
        try:
            session.browser.start(self._options.warm_browser)
        except AGBError as error:
            is_gone = self.release()
            return Attempt(error=error, session_id=session.session_id, is_session_gone=is_gone)
        return None

    def _has_ended(self, session: Session) -> bool:
        status = session.get_status()
        return has_ended(status.status, status.error)

    def release(self) -> bool:
        """Delete the session, if there is one; return whether it was gone already."""
        session, self._session = self._session, None
        if session is None or not self._batch._block_process.is_current:
            return False
        if self._pool is not None:
            self._pool.release(session, discard=True)  # the pool deletes it, also if this worker is cancelled
        try:
            return self._batch._delete(session)
        except BaseException:  # cancelled: once more, to the end; a shield from the beginning would cost every item
            shielded(partial(self._batch._delete, session))
            raise

    def close(self) -> None:
        """Delete the session, if there is one, and end the runner's thread."""
        try:
            self.release()
        finally:
            self._runner.close()


def _timeout_error(index: int, seconds: float | None, session_id: str, is_abandoned: bool) -> ItemTimeoutError:
    text = f"the function did not return within {seconds:g} s on item {index}"
    if is_abandoned:
        text += ", nor after its session was deleted: its thread was abandoned"
    return ItemTimeoutError(text, session_id=session_id, abandoned=is_abandoned)


def _is_transient(error: BaseException) -> bool:
    """Return whether an error is one of the service or the network, so that another attempt may succeed."""
    if not isinstance(error, AGBError) or isinstance(error, ItemTimeoutError) or error.extra.get("permanent"):
        return False
    return error.retryable or error.kind is ErrorKind.RATE_LIMITED or error.kind.is_failure


def _matches(retry_on: RetryOn, error: BaseException) -> bool:
    if isinstance(retry_on, (type, tuple)):
        return isinstance(error, retry_on)
    return bool(retry_on(error))


def _pause(error: BaseException | None, attempts: int) -> float:
    """Return the seconds before the next attempt: exponential back-off with jitter, at least ``Retry-After``."""
    retry_after = getattr(error, "retry_after", None)
    pause = min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 20)) * (0.5 + random.random() / 2)
    return pause if retry_after is None else max(float(retry_after), pause)
