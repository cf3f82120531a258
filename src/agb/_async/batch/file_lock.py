"""A lock on an open file, which ends with the process that holds it."""

from __future__ import annotations

from typing import Any


def try_lock(file: int) -> bool:
    """Lock an open file for this process; return False if another process has locked it.

    The file itself is locked, not a second file beside it, and its content is not touched.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        windows: Any = msvcrt
        try:
            windows.locking(file, windows.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
