"""The data directory of a runtime: one runtime at a time holds it, by a lock that ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from ..errors import CannotStart, DataDirInUse

_TEMPORARY = "agb-runtime-"
_STARTING = "agb-starting-"
"""Prefix of a temporary directory until it is locked: another runtime that starts would take it for abandoned."""


def claim(data_dir: Path | None, cleanup: contextlib.AsyncExitStack) -> Path:
    """Return the directory, locked until ``cleanup``; a temporary one, which ``cleanup`` removes, if None is given.

    Raises ``CannotStart`` if it cannot be used, ``DataDirInUse`` if another runtime holds it.
    """
    directory = Path(tempfile.mkdtemp(prefix=_STARTING)) if data_dir is None else data_dir
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(directory)
        if data_dir is None:
            directory = directory.rename(directory.with_name(directory.name.replace(_STARTING, _TEMPORARY, 1)))
            cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
    except OSError as error:
        raise CannotStart(f"the data directory {directory} cannot be used: {error.strerror}") from error
    if lock is None:
        raise DataDirInUse(
            f"another runtime works in the data directory {directory}; stop it or choose another directory"
        )
    cleanup.callback(os.close, lock)
    return directory.resolve()


def abandoned() -> list[Path]:
    """Return the temporary data directories of runtimes of this user that were killed."""
    found = []
    for directory in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        # One that was removed meanwhile or belongs to another user is left alone.
        with contextlib.suppress(OSError):
            if directory.lstat().st_uid != os.getuid() or not (directory / "lock").exists():
                continue
            if (lock := _lock(directory)) is not None:
                os.close(lock)
                found.append(directory)
    return found


def _lock(directory: Path) -> int | None:
    """Return a descriptor that holds a data directory until it is closed, None if another process holds it."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
