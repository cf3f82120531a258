"""Sessions that could not be deleted, and how that is reported where no result and no exception can."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ...exceptions import AGBError, ErrorKind

if TYPE_CHECKING:
    from ...results.base import DeleteResult


def deletion_error(result: DeleteResult) -> AGBError | None:
    """Return why a session is still there; one that was not found is gone, as was wanted."""
    error = result.error
    return None if result.success or error is None or error.kind is ErrorKind.NOT_FOUND else error


def warn_if_left_behind(result: DeleteResult, session_id: str) -> None:
    """Warn about a session if it was not deleted."""
    error = deletion_error(result)
    if error is not None:
        warn_left_behind(session_id, error)


def warn_left_behind(session_id: str, error: AGBError) -> None:
    """Warn that a session was not deleted."""
    warnings.warn(f"session {session_id} was left behind: {error}", RuntimeWarning, stacklevel=3)
