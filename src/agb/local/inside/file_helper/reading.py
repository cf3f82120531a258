"""Tools that read files."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import stat

from .job import HOME, MOST, Job, ToolError, sentence

TYPE_CHECKING = False  # typing is slow to import, and the first call waits for this program
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20


def read_file(job: Job) -> str | bytes:
    """Return bytes of a file, as text or in base64."""
    path, offset, length = job.place(), job.args["offset"], job.args["length"]
    with opened(path) as file:
        if job.args["format"] == "binary":
            return base64.b64encode(read(file, path, offset, length))
        return _characters(file, path, offset, length)


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """Open a file to be read."""
    # Non-blocking: opening a pipe must not wait for a writer.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(file).st_mode
        if stat.S_ISDIR(mode):
            raise ToolError(f"cannot read {path!r}: it is a directory", errno.EISDIR)
        if stat.S_ISFIFO(mode):
            raise ToolError(f"cannot read {path!r}: it is a pipe, not a file")
        yield file
    finally:
        os.close(file)


def read(file: int, path: str, offset: int, length: int) -> bytes:
    """Return ``length`` bytes, or all to the end for 0; ``st_size`` is not used: files of /proc have size 0."""
    parts: list[bytes] = []
    size = 0
    most = MOST + 8  # a range of MOST may have a little more, to complete its characters
    wanted = min(length or most + 1, most + 1)
    while size < wanted and (part := os.pread(file, min(wanted - size, _CHUNK), offset + size)):
        parts.append(part)
        size += len(part)
    if size > most:
        raise ToolError(f"cannot read {path!r} at once: it has more than {MOST >> 20} MiB; use offset and length")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _characters(file: int, path: str, offset: int, length: int) -> bytes:
    """Return the characters whose first byte is in the range, so that adjoining ranges make up the whole text."""
    before = min(3, offset)
    data = read(file, path, offset - before, length + before + 3 if length else 0)
    begin = before + _rest_of_character(data, before)
    end = min(before + length, len(data)) if length else len(data)
    end += _rest_of_character(data, end)
    text = data[begin:end]
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("utf-8", "replace").encode()
    return text


def _rest_of_character(data: bytes, at: int) -> int:
    """Return how many bytes from ``at`` belong to a character that begins before."""
    for first in range(min(at, len(data)) - 1, max(-1, at - 4), -1):
        byte = data[first]
        if byte & 0xC0 == 0x80:
            continue
        size = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        if first + size <= at:
            return 0
        try:
            data[first : first + size].decode()
        except UnicodeDecodeError:
            return 0
        return first + size - at
    return 0


def read_multiple_files(job: Job) -> str:
    """Return several files as text; for a file that cannot be read, its error."""
    parts: list[str] = []
    failures: list[str] = []
    size = 0
    for name in job.args["paths"]:
        try:
            path = os.path.join(HOME, name)
            with opened(path) as file:
                text = _characters(file, path, 0, 0).decode()
            size += len(text)
            parts.append(f"{name}:\n{text}\n")
        except (OSError, ToolError) as error:
            failures.append(sentence(error))
            parts.append(f"{name}: Error - {failures[-1]}\n")
        if size > MOST:
            raise ToolError(f"the files have more than {MOST >> 20} MiB together; read them in several calls")
    if failures and len(failures) == len(parts):
        raise ToolError("; ".join(failures))
    return "\n---\n".join(parts)
