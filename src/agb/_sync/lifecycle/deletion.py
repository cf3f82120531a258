# Generated from src/agb/_async/lifecycle/deletion.py by tools/unasync.py. Do not edit.
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
    from .protocols import ManagedSession

PAUSES = (0.2, 1.5, 6.0)
"""Seconds before each further attempt of a clean-up, which nothing else would repeat."""


def delete_surely(session: ManagedSession) -> AGBError | None:
    """Delete a session, in several attempts; return why it may still exist, None if it is gone.

    Any answer is followed by another attempt, also a refusal: it may be that of a proxy, or of a service that is busy
    with this session. Each attempt has half of the time that is left of a clean-up: one on a connection that no longer
    answers leaves time for another one, on another connection.
    """
    deadline = Deadline(CLEANUP_LIMIT)
    error = deletion_error(session.delete(timeout=CLEANUP_LIMIT / 2))
    for pause in PAUSES:
        if error is None or error.extra.get("permanent") or pause >= deadline.left():
            break
        sleep(pause)
        error = deletion_error(session.delete(timeout=max(1.0, deadline.left() / 2)))
    return error


def deletion_error(result: DeleteResult) -> AGBError | None:
    """Return why a session may still exist; None for one that was not found, because it is gone."""
    error = result.error
    return None if result.success or error is None or error.kind is ErrorKind.NOT_FOUND else error


def warn_left_behind(session_id: str, error: AGBError) -> None:
    """Report a session that could not be deleted where neither a result nor an exception can."""
    warnings.warn(f"session {session_id} was left behind: {error}", RuntimeWarning, stacklevel=3)
