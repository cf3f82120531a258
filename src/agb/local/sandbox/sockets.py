"""Unix sockets in a directory that belongs to a session."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def open_socket(directory: Path, name: str) -> int:
    """Return a descriptor of a socket, which is connected to by its place in ``/proc/self/fd``.

    The session may put a link to a socket of the machine in the place of its own. The descriptor was looked at before
    it is connected to, and cannot be exchanged. Raises ``OSError``.
    """
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        os.close(fd)
        raise ConnectionError("the session has replaced a socket by something else")
    return fd
