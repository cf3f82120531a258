# Generated from src/agb/_async/lifecycle/creation.py by tools/unasync.py. Do not edit.
"""Creating a session: its request, and finding and deleting what was created when the answer is lost."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from ..._ops import ownership
from ..._ops import sessions as ops
from ..._wire.call import Call
from ..._wire.deadline import Deadline
from ..._wire.labels import CREATE
from ..._wire.reply import Reply, error_for
from ...exceptions import AGBError, ErrorKind, SessionError
from ...results.sessions import GetSessionData
from .._compat.cancellation import CLEANUP_LIMIT, run_to_completion, shielded
from .create_limiter import CreateLimiter
from .deletion import delete_surely, warn_left_behind
from .hidden_labels import HiddenLabels
from .owner_process import BlockProcess, this_process
from .protocols import ManagedSession

if TYPE_CHECKING:
    from ...context_sync import ContextSync
    from ...owned import Owner
    from ...results.syncs import ContextStatusData
    from ...session_params import CreateSessionParams
    from ..api import API

Created = tuple[GetSessionData, str]
"""The connection data of a new session, and the id of the request that created it."""
LOOK_GRACE, GRACE = 0.4, 0.8
"""Seconds after its deadline that a creation without an answer has to find its session, and to delete it."""
CANDIDATES = 20
"""Sessions that an error names at most when the one that it is about cannot be identified."""


class Creation:
    """One creation.

    Invariant: at its end there is one session, which the caller knows, or none. There are three ways in which a
    request can leave a session that the caller does not know:

    - The caller is cancelled while the service creates the session. The request is awaited to its end, and the session
      is deleted (`_compensate`).
    - The answer is lost or invalid. The session is looked up by the nonce among its labels, which no other session
      has; it becomes the result if the caller still waits for it, and is deleted otherwise (`_settle`).
    - Both: the caller is cancelled, and the answer is lost. The session is looked up and deleted (`_reap`).

    `_may_exist` is true from the moment at which a request may have been sent until its session is known, deleted, or
    known not to exist. While it is true the creation is never sent again, because a session that is not found yet may
    still appear. If the lookup finds nothing, or the session cannot be deleted, the error says how to delete it, and
    names the nonce; where there is no caller to raise it to, it is a `RuntimeWarning`.

    A caller that waits gets its answer by its deadline and `GRACE`: lookup and deletion have what is left of the
    deadline and this time. After a cancellation they have the time of a clean-up.

    Without hidden labels, because the service refuses them or the user has switched them off, a lost session cannot be
    identified, so it is neither returned nor deleted: the error names the sessions that it may be.
    """

    def __init__(
        self,
        api: API,
        limiter: CreateLimiter,
        attach: Callable[[str], ManagedSession],
        params: CreateSessionParams,
        owner: Owner | None,
        hidden_labels: HiddenLabels,
    ) -> None:
        self.labels: dict[str, str] = {}
        if hidden_labels.are_used:
            self.labels = ownership.labels_of_creation(owner, this_process() if owner else "", time.time())
        self._params, self._hidden_labels = params, hidden_labels
        self._image_id = params.image_id or ""
        self._api, self._limiter, self._attach = api, limiter, attach
        self._call = self._make_call()
        self._label_refusal: AGBError | None = None
        self._may_exist = False
        self._process = BlockProcess()

    def run(self, deadline: Deadline) -> Created:
        """Return the new session, once the limiter lets it begin.

        Raises:
            AGBError: there is no session; or there may be one, and then the text says how to delete it.
        """
        self._api.check_open(self._call)
        slot = self._limiter.slot(self._call, deadline)
        while True:
            with slot:
                try:
                    data, request_id = self._create(deadline)
                except AGBError as error:
                    if not slot.may_retry(error):
                        raise
                else:
                    slot.created(data.session_id)
                    return data, request_id

    def wait_for_contexts(
        self, data: GetSessionData, syncs: Sequence[ContextSync], deadline: Deadline
    ) -> tuple[list[ContextStatusData], SessionError | None]:
        """Wait for the data of the new session's contexts; the session is deleted if the caller is cancelled."""
        from .arrival import wait_for_contexts  # most sessions have no contexts

        try:
            return wait_for_contexts(self._api, data.session_id, syncs, deadline)
        except BaseException as cancellation:  # or an interruption: the caller never learns of the session
            try:
                shielded(partial(self._discard, data))
            except Exception as error:
                raise cancellation from error
            raise

    # --- the request ---------------------------------------------------------------------------------------------

    def _make_call(self) -> Call[GetSessionData]:
        call = ops.create_session(self._params, self.labels)
        self._read_created = call.read
        return evolve(call, read=self._read)

    def _create(self, deadline: Deadline) -> Created:
        """Send the request, and once more without the hidden labels if it is refused because of a label.

        If the second request is refused because of a label too, it is one of the user's, and the hidden labels are not
        to blame.
        """
        if self.labels and not self._hidden_labels.are_used:  # since this creation has begun to wait
            self._leave_labels_out()
        try:
            created = self._attempt(deadline)
        except AGBError as error:
            if not (self.labels and ownership.is_label_refused(error, self._call.description)):
                raise
            self._label_refusal = error
            self._leave_labels_out()
            created = self._attempt(deadline)
        if self._label_refusal is not None:
            self._hidden_labels.refused(self._label_refusal)
        return created

    def _leave_labels_out(self) -> None:
        self.labels = {}
        self._call = self._make_call()

    def _attempt(self, deadline: Deadline) -> Created:
        """Send the request once, and settle what it has created."""
        self._may_exist = False
        try:
            return self._api.call(
                self._call, deadline=deadline, compensate=self._compensate, on_sent=self._on_sent, is_paced=True
            )
        except AGBError as error:
            if not ownership.may_have_made(error):
                raise
            lost = error
        except BaseException as cancellation:  # or an interruption
            if self._may_exist and self._process.is_current:
                self._reap(cancellation)
            raise
        outcome = run_to_completion(partial(self._settle, lost, deadline), self._drop)
        if isinstance(outcome, AGBError):
            raise outcome from lost.__cause__
        return outcome

    def _on_sent(self) -> None:
        self._may_exist = True

    def _compensate(self, data: GetSessionData) -> None:
        self._discard(data)
        self._may_exist = False

    def _read(self, reply: Reply) -> GetSessionData:
        """Read the answer, and record whether it says that no session was created."""
        try:
            return self._read_created(reply)
        except AGBError as error:
            self._may_exist = ownership.may_have_made(error)
            raise

    # --- without an answer ---------------------------------------------------------------------------------------

    def _settle(self, lost: AGBError, deadline: Deadline) -> Created | AGBError:
        """Return the session that was created although the answer was lost, or the error if there is none."""
        with self._api.clean_up():
            return self._settle_what_was_found(lost, deadline)

    def _settle_what_was_found(self, lost: AGBError, deadline: Deadline) -> Created | AGBError:
        found = self._look_up(deadline.part(ownership.LOOK_LIMIT, LOOK_GRACE))
        if not found.ids:
            return self._left_behind(lost, found.reason)
        session_id, *others = found.ids  # one nonce, one request: there are no others
        if deadline.left() > 0 and not others:
            try:
                data, request_id = self._api.call(ops.get_session(session_id), deadline=deadline)
                return evolve(data, image_id=data.image_id or self._image_id), request_id
            except AGBError as error:
                lost = _extended(lost, f"the session that was created cannot be read: {error}")
        return self._delete(found.ids, lost, deadline.part(CLEANUP_LIMIT, GRACE))

    def _delete(self, ids: list[str], lost: AGBError, limit: Deadline) -> AGBError:
        """Delete sessions that the caller does not get; return the error that says so."""
        for session_id in ids:
            failure = delete_surely(self._attach(session_id), limit)
            if failure is not None:
                why = f"session {session_id} was created and is left behind ({failure})"
                return self._left_behind(lost, why, session_id)
        lost.retryable = True
        return _extended(lost, f"session {', '.join(ids)} was created nevertheless, and is deleted")

    def _left_behind(self, lost: AGBError, why: str, session_id: str = "") -> AGBError:
        """Add to an error that a session may be left behind, and the advice; the nonce is its ``extra["create"]``."""
        nonce = lost.extra["create"] = self.labels.get(CREATE, "")
        advice = ownership.how_to_reap(nonce, is_certain=bool(session_id))
        return _extended(lost, f"{why}; {advice}" if nonce else why)

    def _discard(self, data: GetSessionData) -> None:
        """Delete a session whose caller is gone."""
        with self._api.clean_up():
            failure = delete_surely(self._attach(data.session_id))
        if failure is not None:
            warn_left_behind(data.session_id, failure)

    def _drop(self, outcome: Created | AGBError) -> None:
        """Drop the outcome of a caller that was cancelled while it was settled, with the time of a clean-up for it."""
        if not isinstance(outcome, AGBError):
            self._discard(outcome[0])
        elif "create" in outcome.extra:
            self._clean_up()

    def _reap(self, cancellation: BaseException) -> None:
        """Delete the session of a request whose caller is cancelled and whose answer is lost."""
        try:
            shielded(self._clean_up)
        except Exception as error:
            raise cancellation from error

    def _clean_up(self) -> None:
        """Find and delete the session of a caller that is gone; warn if it may be left behind."""
        lost = error_for(self._call, "it was cancelled, and its answer did not come", ErrorKind.UNREACHABLE)
        with self._api.clean_up():
            found = self._look_up(Deadline(ownership.LOOK_LIMIT))
            if found.ids:
                error = self._delete(found.ids, lost, Deadline(CLEANUP_LIMIT))
            else:
                error = self._left_behind(lost, found.reason)
        if "create" in error.extra:
            warnings.warn(str(error), RuntimeWarning, stacklevel=4)

    def _look_up(self, limit: Deadline) -> _Found:
        """Look the session up by its nonce, several times: the service may still be creating it."""
        if not self.labels:
            return self._look_without_labels(limit)
        call = ops.list_sessions({CREATE: self.labels[CREATE]})
        failure: AGBError | None = None
        waited = 0.0
        for number, pause in enumerate((*ownership.LOOKS, *ownership.LATER_LOOKS)):
            if limit.left() <= 0 or (failure is None and number >= len(ownership.LOOKS)):
                break
            if failure is not None and failure.retry_after is not None:
                pause = max(pause, failure.retry_after)
            is_last = pause > limit.left() / 2
            if is_last:  # earlier than planned, so that there is time for it
                pause = limit.left() / 2
            if pause:
                self._api.sleep(pause)
                waited += pause
            try:
                page, _ = self._api.call(call, deadline=limit.part(self._api.timeout), is_retried=False)
            except AGBError as error:
                failure = error
                if error.kind is ErrorKind.BAD_CREDENTIALS or error.extra.get("permanent"):
                    break
            else:
                failure = None
                if page.items:
                    return _Found(page.items)
            if is_last:
                break
        if failure is None:
            return _Found([], f"no session of it was there {waited:.2g} s later")
        return _Found([], f"whether it has created a session could not be found out ({failure})")

    def _look_without_labels(self, limit: Deadline) -> _Found:
        """Return no session, and as the reason which ones it may be: those with the user's labels not known here."""
        why = "a session that it has created cannot be identified without hidden labels"
        if not self._params.labels:
            return _Found([], why)
        call = ops.list_sessions(self._params.labels, CANDIDATES)
        try:
            page, _ = self._api.call(call, deadline=limit.part(self._api.timeout), is_retried=False)
        except AGBError as error:
            return _Found([], f"{why} ({error})")
        ids = [session_id for session_id in page.items if not self._limiter.is_live(session_id)]
        return _Found([], f"{why}; with its labels there are: {', '.join(ids) or 'none yet'}")


@frozen
class _Found:
    """The result of looking for a session: its id, or the reason why there is none."""

    ids: list[str]
    reason: str = ""


def _extended(error: AGBError, more: str) -> AGBError:
    """Add to the text of an error."""
    error.message = f"{error.message}; {more}"
    error.args = (error.message, *error.args[1:])
    return error
