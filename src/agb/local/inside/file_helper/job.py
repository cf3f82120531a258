"""A request to a file tool: its arguments, its errors, and the locks of the files it writes."""

from __future__ import annotations

import errno
import os
import re
import threading

TYPE_CHECKING = False  # typing is slow to import, and the first call waits for this program
if TYPE_CHECKING:
    from typing import Any

MOST = 32 << 20
"""Bytes of content that one call reads; more is read in parts."""
HOME = os.getcwd()
"""The session's home: relative paths start there."""

_locks = [threading.Lock() for _ in range(64)]
_REASONS = {
    errno.ENOENT: "not found",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "it is a directory",
    errno.ENOTDIR: "not a directory, or something on the way to it is none",
    errno.EEXIST: "it already exists",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "no space left in the quota",
    errno.EFBIG: "the file would be larger than a file of this session may be",
    errno.EROFS: "the file system there is read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "symbolic links lead in a circle",
    errno.ENXIO: "it is a pipe or a socket that no program serves",
}
_ATTEMPTS = {
    "create_directory": "create",
    "delete_file": "delete",
    "edit_file": "edit",
    "get_file_change": "watch",
    "get_file_info": "find",
    "list_directory": "list",
    "move_file": "move",
    "read_file": "read",
    "search_files": "search",
    "write_file": "write",
}


class ToolError(Exception):
    """A tool cannot do what was requested; the message is a sentence for the caller.

    ``number`` is the error of the operating system that says the same, 0 if none does.
    """

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.errno = number


class Job:
    """One request that is being processed."""

    def __init__(self, number: int, tool: str, args: dict[str, Any], blob: bytes) -> None:
        self.number = number
        self.tool = tool
        self.args = args
        self.blob = blob
        self.is_cancelled = False

    def place(self, name: str = "path") -> str:
        """Return a path of the arguments, from the session's home if it is relative."""
        path = str(self.args[name])
        if not path:
            raise ToolError(f"argument '{name}' is empty; give the path of a file or a directory")
        # Without a slash at its end, so that every tool names a directory alike; otherwise not normalised: only the
        # kernel can resolve '..' behind a link.
        return os.path.join(HOME, path.rstrip("/") or "/")


def lock_of(path: str) -> threading.Lock:
    """Return the lock that writers of a file hold; files share a fixed number of locks, selected by their path."""
    return _locks[hash(os.path.realpath(path)) % len(_locks)]


def one_line(text: str) -> str:
    r"""Return a name for a list of lines: with ``\n`` for a line break, which would add a line of its own."""
    return re.sub(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", lambda found: ascii(found[0])[1:-1], text)


def encoded(text: str) -> bytes:
    """Return a reply as UTF-8, with U+FFFD for each byte of a name that is none: a client can see that it is odd."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text).encode()


def sentence(error: OSError | ToolError, job: Job | None = None) -> str:
    """Return what failed, with the path."""
    if isinstance(error, ToolError):
        return str(error)
    number = error.errno or 0
    reason = _REASONS.get(number, error.strerror or str(error))
    path = error.filename
    if job is not None:
        attempt = _ATTEMPTS.get(job.tool, "use")
        path = (job.args.get("source") if job.tool == "move_file" else job.args.get("path")) or path
        if number == errno.ENOENT and job.tool == "write_file":
            reason = "not found: the directory it would be in does not exist; make it with create_directory"
        elif number == errno.ENOENT and job.tool == "move_file" and os.path.lexists(job.place("source")):
            reason = f"the directory of {job.args['destination']!r} was not found; make it with create_directory"
        return f"cannot {attempt} {path!r}: {reason}"
    return f"{path!r}: {reason}" if path is not None else reason
