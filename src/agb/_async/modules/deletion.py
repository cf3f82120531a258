"""Steps of deleting a session: storing the data of its contexts, and waiting until it is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..._ops.sessions import is_gone
from ..._wire.deadline import Deadline
from ...exceptions import ErrorKind, SessionError
from .._compat.loop import sleep

if TYPE_CHECKING:
    from ...results.sessions import SessionStatusResult
    from ..api import AsyncAPI

SYNC_SHARE = 0.75
"""The share of its time that a deletion reserves for the sync before it; of 300 seconds that is 225, as in 0.12."""


async def store_contexts(api: AsyncAPI, session_id: str, deadline: Deadline) -> None:
    """Store the data of all contexts of a session, within a share of the time that is left.

    Raises:
        AGBError: the sync was not started, failed, or did not end in time.
    """
    from .context_manager import AsyncSyncRun  # a deletion without a sync should not load it

    limit = Deadline(max(0.001, deadline.left() * SYNC_SHARE))
    run = AsyncSyncRun(api, session_id)
    await run.start(limit)
    await run.wait(limit)


async def wait_until_gone(
    get_status: Callable[[], Awaitable[SessionStatusResult]], session_id: str, deadline: Deadline
) -> None:
    """Request the status of a session, with growing pauses, until the session is gone.

    Args:
        get_status: returns the status, by the deadline at the latest.
        session_id: the session, whose release was requested.
        deadline: of the whole deletion.

    Raises:
        SessionError: the time is over.
        AGBError: the status could not be requested.
    """
    pause, state = 0.02, ""
    while True:
        if deadline.left() <= 0:
            raise SessionError(
                f"Timeout waiting for session deletion: the release of session {session_id} was requested "
                f"{deadline.seconds:g} s ago, and its state is still {state or 'unknown'}",
                kind=ErrorKind.TIMED_OUT,
                session_id=session_id,
                retryable=True,
            )
        status = await get_status()
        if is_gone(status.status, status.error):
            return
        if status.error is not None and not (status.error.kind is ErrorKind.TIMED_OUT and deadline.left() <= 0):
            raise status.error  # not for a request that had only the rest of the time: then the time is over
        state = status.status or state
        await sleep(min(pause, deadline.left()))
        pause = min(pause * 1.5, 1.0)
