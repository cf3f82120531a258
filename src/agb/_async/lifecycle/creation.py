"""Creating a session: one request, and what is done when its answer is lost."""

from __future__ import annotations

import time
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from ..._ops import ownership
from ..._ops import sessions as ops
from ..._wire.deadline import Deadline
from ..._wire.reply import Reply, error_for
from ...exceptions import AGBError, ErrorKind
from ...results.sessions import GetSessionData
from .._compat.cancellation import run_to_completion, shielded
from .create_limiter import AsyncCreateLimiter, Created
from .owner_process import this_process

if TYPE_CHECKING:
    from ...session_params import CreateSessionParams
    from ..api import AsyncAPI


class AsyncCreation:
    """One creation. Whatever happens to its request, there is a session that its caller knows, or none.

    A request that was sent and not answered may have made a session. It is looked for by the nonce among its labels,
    and adopted if the caller still waits for it, else deleted. The same creation is never sent again then: what is not
    there yet may still come.
    """

    def __init__(
        self,
        transport: AsyncAPI,
        governor: AsyncCreateLimiter,
        params: CreateSessionParams,
        owner: ownership.Owner | None,
        discard: Callable[[GetSessionData], Awaitable[object]],
        delete: Callable[[str], Awaitable[AGBError | None]],
    ) -> None:
        self.labels = ownership.labels_of_creation(owner, this_process() if owner else "", time.time())
        self._image_id = params.image_id or ""
        self._transport, self._governor = transport, governor
        call = ops.create_session(params, self.labels)
        self._read_created = call.read
        self._call = evolve(call, read=self._read)
        self._is_open = False
        """Whether a request may have made a session that nobody has seen to."""
        self._discard = discard  # deletes a session whose creator is gone, and warns if that fails
        self._delete = delete  # deletes a session, and returns what went wrong

    async def run(self, deadline: Deadline) -> Created:
        """Return the new session, when its turn has come.

        Raises:
            AGBError: there is none; or it may be that there is one, and then the text says how to get rid of it.
        """
        return await self._governor.create(self._call, deadline, partial(self._once, deadline))

    async def _once(self, deadline: Deadline) -> Created:
        """Send the request, and see to what it has made."""
        self._is_open = False
        try:
            return await self._transport.call(
                self._call, deadline=deadline, compensate=self._undo, on_sent=self._on_its_way, is_paced=True
            )
        except AGBError as error:
            if not ownership.may_have_made(error):
                raise
            lost = error
        except BaseException as gone:  # cancelled or interrupted
            if self._is_open:
                await self._reap(gone)
            raise
        outcome = await run_to_completion(partial(self._settle, lost, deadline), self._forget)
        if isinstance(outcome, AGBError):
            raise outcome from lost.__cause__
        return outcome

    def _on_its_way(self) -> None:
        self._is_open = True

    async def _undo(self, data: GetSessionData) -> None:
        await self._discard(data)
        self._is_open = False

    def _read(self, reply: Reply) -> GetSessionData:
        """Read the answer, and note if it says that nothing was made."""
        try:
            return self._read_created(reply)
        except AGBError as error:
            self._is_open = ownership.may_have_made(error)
            raise

    async def _settle(self, lost: AGBError, deadline: Deadline) -> Created | AGBError:
        """Return the session that was made although the answer was lost, or the error to raise when there is none."""
        found = await self._look()
        if not found.ids:
            return _told(lost, f"{found.told}; {ownership.how_to_reap(self.labels)}", self.labels)
        session_id, *others = found.ids  # others there are none: one nonce, one request
        if deadline.left() > 0 and not others:
            try:
                data, request_id = await self._transport.call(ops.get_session(session_id), deadline=deadline)
                return evolve(data, image_id=data.image_id or self._image_id), request_id
            except AGBError as error:
                lost = _told(lost, f"the session that was made is not to be had: {error}")
        return await self._without(found.ids, lost)

    async def _without(self, ids: list[str], lost: AGBError) -> AGBError:
        """Delete sessions that nobody will have; return the error that says so."""
        for session_id in ids:
            failure = await self._delete(session_id)
            if failure is not None:
                why = f"session {session_id} was made and is left behind ({failure})"
                return _told(lost, f"{why}; `agb gc --create {self.labels[ownership.CREATE]}` deletes it", self.labels)
        lost.retryable = True
        return _told(lost, f"session {', '.join(ids)} was made all the same, and is deleted")

    async def _forget(self, outcome: Created | AGBError) -> None:
        """Do without the outcome: the caller was cancelled meanwhile."""
        if isinstance(outcome, AGBError):
            _warn(outcome)
        else:
            await self._discard(outcome[0])

    async def _reap(self, gone: BaseException) -> None:
        """Delete what a request has made whose caller is gone and whose answer was lost."""

        async def reap() -> None:
            found = await self._look()
            lost = error_for(self._call, "it was cancelled, and its answer did not come", ErrorKind.UNREACHABLE)
            if found.ids:
                _warn(await self._without(found.ids, lost))
            else:
                _warn(_told(lost, f"{found.told}; {ownership.how_to_reap(self.labels)}", self.labels))

        try:
            await shielded(reap)
        except Exception as error:
            raise gone from error

    async def _look(self) -> _Found:
        """Look for the session until it is there; the service may be at it still."""
        limit = Deadline(ownership.LOOK_LIMIT)
        call = ops.list_sessions({ownership.CREATE: self.labels[ownership.CREATE]})
        failure: AGBError | None = None
        for wait in ownership.LOOKS:
            if wait:
                await self._transport.sleep(min(wait, limit.left()))
            if limit.left() <= 0:
                break
            try:
                page, _ = await self._transport.call(call, timeout=min(limit.left(), self._transport.timeout))
            except AGBError as error:
                failure = error
                if not error.retryable:
                    break
            else:
                failure = None
                if page.session_ids:
                    return _Found(page.session_ids)
        if failure is None:
            return _Found([], f"no session of it was there {sum(ownership.LOOKS):g} s later")
        return _Found([], f"whether it has made a session could not be found out ({failure})")


@frozen
class _Found:
    """What looking for a session has given."""

    ids: list[str]
    told: str = ""


def _told(error: AGBError, more: str, labels: dict[str, str] | None = None) -> AGBError:
    """Add to what an error says; with labels also the nonce, as ``extra["create"]``."""
    error.message = f"{error.message}; {more}"
    error.args = (error.message, *error.args[1:])
    if labels is not None:
        error.extra["create"] = labels[ownership.CREATE]
    return error


def _warn(error: AGBError) -> None:
    """Report what may be left where no result and no exception can."""
    if "create" in error.extra:
        warnings.warn(str(error), RuntimeWarning, stacklevel=4)
