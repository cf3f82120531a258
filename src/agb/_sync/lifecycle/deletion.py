# Generated from src/agb/_async/lifecycle/deletion.py by tools/unasync.py. Do not edit.
"""Deleting sessions that nothing else deletes, and reporting those that are left behind."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ...exceptions import AGBError, ErrorKind
from ...results.base import DeleteResult
from .._compat.cancellation import CLEANUP_LIMIT

if TYPE_CHECKING:
    from .protocols import ManagedSession


def delete_surely(session: ManagedSession) -> AGBError | None:
    """Delete a session, with a second attempt after a time-out; return why it may still exist, None if it is gone.

    Each attempt has half of the time of a clean-up: a first one on a connection that no longer answers leaves time for
    a second one on another connection.
    """
    result = session.delete(timeout=CLEANUP_LIMIT / 2)
    if result.error is not None and result.error.kind is ErrorKind.TIMED_OUT:
        result = session.delete(timeout=CLEANUP_LIMIT / 2)
    return deletion_error(result)


def deletion_error(result: DeleteResult) -> AGBError | None:
    """Return why a session may still exist; None for one that was not found, because it is gone."""
    error = result.error
    return None if result.success or error is None or error.kind is ErrorKind.NOT_FOUND else error


def warn_left_behind(session_id: str, error: AGBError) -> None:
    """Report a session that could not be deleted where neither a result nor an exception can."""
    warnings.warn(f"session {session_id} was left behind: {error}", RuntimeWarning, stacklevel=3)
