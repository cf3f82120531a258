"""Deleting sessions that nothing else deletes, and reporting those that are left behind."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ..._wire.deadline import Deadline
from ...exceptions import AGBError, ErrorKind
from ...results.base import DeleteResult
from .._compat.cancellation import CLEANUP_LIMIT
from .._compat.loop import sleep

if TYPE_CHECKING:
    from .protocols import AsyncManagedSession

PAUSES = (0.2, 1.5, 6.0)
"""Seconds before each further attempt of a clean-up, which nothing else would repeat."""


async def delete_surely(session: AsyncManagedSession, limit: Deadline | None = None) -> AGBError | None:
    """Delete a session, in several attempts; return why it may still exist, None if it is gone.

    Any answer is followed by another attempt, also a refusal: it may be that of a proxy, or of a service that is busy
    with this session. Each attempt has half of the time that is left: one on a connection that no longer answers leaves
    time for another one, on another connection.

    Args:
        session: what is deleted.
        limit: the time for all attempts; without it that of a clean-up.
    """
    limit = limit or Deadline(CLEANUP_LIMIT)
    error = deletion_error(await session.delete(timeout=_share(limit)))
    for pause in PAUSES:
        if error is None or error.extra.get("permanent") or pause >= limit.left():
            break
        await sleep(pause)
        error = deletion_error(await session.delete(timeout=_share(limit)))
    return error


def _share(limit: Deadline) -> float:
    """Return the seconds of one attempt: half of what is left, or all of it if that is little."""
    left = max(0.001, limit.left())
    return min(left, max(1.0, left / 2))


def deletion_error(result: DeleteResult) -> AGBError | None:
    """Return why a session may still exist; None for one that was not found, because it is gone."""
    error = result.error
    return None if result.success or error is None or error.kind is ErrorKind.NOT_FOUND else error


def warn_left_behind(session_id: str, error: AGBError) -> None:
    """Report a session that could not be deleted where neither a result nor an exception can."""
    warnings.warn(f"session {session_id} was left behind: {error}", RuntimeWarning, stacklevel=3)
