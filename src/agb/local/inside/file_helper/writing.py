"""Tools that write files."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import stat

from .entries import rename, temporary_beside
from .job import Job, ToolError, lock_of, one_line
from .reading import opened, read

_DIFF_MOST = 1 << 20
"""Bytes beyond which an edit is answered without a diff: finding one takes quadratic time."""


def write_file(job: Job) -> str:
    """Write a file; a reader gets the old content or the new one, never a part."""
    path, mode = job.place(), job.args["mode"]
    data = job.blob
    if job.args["format"] == "binary":
        try:
            data = base64.b64decode(data, validate=True)
        except ValueError as error:
            raise ToolError(f"argument 'content': not base64, which format binary asks for: {error}") from error
    with lock_of(path):
        if mode == "append":
            _append(path, data)
        elif mode == "create_new":
            _create(path, data)
        else:
            _overwrite(path, data)
    return f"Successfully wrote {len(data)} bytes to {path}"


def _append(path: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    file = os.open(path, flags, 0o666)
    try:
        _check_writable(path, os.fstat(file))
        _put(file, data)
    finally:
        os.close(file)


def _create(path: str, data: bytes) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    _replace(path, data, None)


def _overwrite(path: str, data: bytes) -> None:
    """Put a new file in the place of the old one, where a link leads to it; its mode and owner stay."""
    try:
        # Opened, not only examined: this checks every permission that writing needs.
        file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        try:
            _replace(os.path.realpath(path), data, None)
        except FileExistsError:  # created in the meantime
            file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        else:
            return
    try:
        old = os.fstat(file)
        _check_writable(path, old)
        if not stat.S_ISREG(old.st_mode) or not _replaced(os.path.realpath(path), data, old):
            if stat.S_ISREG(old.st_mode):
                os.ftruncate(file, 0)
            _put(file, data)
    finally:
        os.close(file)


def _replaced(path: str, data: bytes, old: os.stat_result) -> bool:
    """Replace a file, if its directory and its owner allow it."""
    try:
        _replace(path, data, old)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV):
            raise
        return False
    return True


def _replace(path: str, data: bytes, old: os.stat_result | None) -> None:
    temporary = temporary_beside(path, "new" if old is None else "old")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if old is None else 0o600)
    try:
        try:
            _put(file, data)
            if old is not None:
                _copy_owner_and_mode(file, old)
        finally:
            os.close(file)
        if old is None:
            rename(temporary, path)
        else:
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _copy_owner_and_mode(file: int, old: os.stat_result) -> None:
    made = os.fstat(file)
    if (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(file, old.st_uid, old.st_gid)
    os.fchmod(file, stat.S_IMODE(old.st_mode))


def _check_writable(path: str, found: os.stat_result) -> None:
    if stat.S_ISFIFO(found.st_mode):
        raise ToolError(f"cannot write {path!r}: it is a pipe, not a file")


def _put(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def edit_file(job: Job) -> str:
    """Replace text, one edit after another; return the difference, or the counts. All edits are made or none."""
    path, replace_all = job.place(), job.args["replaceAll"]
    counts: list[int] = []
    with lock_of(path):
        with opened(path) as file:
            before = read(file, path, 0, 0)
        after = before
        for number, edit in enumerate(job.args["edits"], 1):
            old, new = edit["oldText"].encode(), edit["newText"].encode()
            if not old:
                raise ToolError(f"cannot edit {path!r}: the oldText of edit {number} is empty")
            counts.append(after.count(old))
            if not counts[-1] or (counts[-1] > 1 and not replace_all):
                if job.args["report"] == "counts":
                    return json.dumps(counts)
                found = "was not found" if not counts[-1] else f"was found {counts[-1]} times"
                raise ToolError(f"cannot edit {path!r}: the oldText of edit {number} {found}; nothing was changed")
            after = after.replace(old, new)
        if not job.args["dryRun"] and after != before:
            _overwrite(path, after)
    return json.dumps(counts) if job.args["report"] == "counts" else _difference(path, before, after, sum(counts))


def _difference(path: str, before: bytes, after: bytes, count: int) -> str:
    if max(len(before), len(after)) > _DIFF_MOST:
        return f"{count} replacements; the file is too large for a diff"
    import difflib

    old, new = (text.decode("utf-8", "replace").splitlines(keepends=True) for text in (before, after))
    name = one_line(path)
    lines = difflib.unified_diff(old, new, f"{name} (before)", f"{name} (after)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
