"""Tools for directories and names: make, list, describe, move, delete."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from .. import file_watch
from ..temporary import temporary_name
from .job import Job, ToolError, one_line

TYPE_CHECKING = False  # typing is slow to import, and the first call waits for this program
if TYPE_CHECKING:
    from typing import Literal

_RENAME_NOREPLACE = 1
_AT_FDCWD = -100


def create_directory(job: Job) -> str:
    """Make a directory and those above it; it may exist already."""
    path = job.place()
    os.makedirs(path, exist_ok=True)
    return f"Successfully created directory {path}"


def list_directory(job: Job) -> str:
    """List the entries of a directory, sorted."""
    with os.scandir(job.place()) as found:
        entries = sorted((entry.name, _is_directory(entry)) for entry in found)
    return "\n".join(f"[{'DIR' if is_directory else 'FILE'}] {one_line(name)}" for name, is_directory in entries)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def get_file_info(job: Job) -> str:
    """Describe a path, one ``key: value`` per line; links are followed."""
    path = job.place()
    found = os.stat(path)
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    values = {
        "name": one_line(os.path.basename(path) or "/"),
        "path": one_line(path),
        "size": found.st_size,
        "type": kinds.get(stat.S_IFMT(found.st_mode), "device"),
        "isDirectory": _word(stat.S_ISDIR(found.st_mode)),
        "isFile": _word(stat.S_ISREG(found.st_mode)),
        "isSymlink": _word(os.path.islink(path)),
        "modified": f"{found.st_mtime:.6f}",
        "accessed": f"{found.st_atime:.6f}",
        "changed": f"{found.st_ctime:.6f}",
        "mode": stat.filemode(found.st_mode),
        "permissions": f"{stat.S_IMODE(found.st_mode):o}",
        "owner": found.st_uid,
        "group": found.st_gid,
        "readable": _word(os.access(path, os.R_OK)),
        "writable": _word(os.access(path, os.W_OK)),
    }
    return "\n".join(f"{key}: {value}" for key, value in values.items())


def _word(value: bool) -> str:
    return "true" if value else "false"


def move_file(job: Job) -> str:
    """Rename a file or directory; refused if the destination exists."""
    source, destination = job.place("source"), job.place("destination")
    os.lstat(source)
    try:
        rename(source, destination)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise ToolError(f"cannot move {source!r} into itself: {destination!r}") from error
        if error.errno == errno.EEXIST:
            why = f"cannot move {source!r}: {destination!r} already exists; delete it first"
            raise ToolError(why, errno.EEXIST) from error
        if error.errno != errno.EXDEV:
            raise
        _move_across(source, destination)
    return f"Successfully moved {source} to {destination}"


def rename(source: str, destination: str) -> None:
    """Rename without replacing anything."""
    libc = file_watch.libc()
    if libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(destination), _RENAME_NOREPLACE) == 0:
        return
    number = file_watch.last_error()
    inside = os.path.realpath(destination).startswith(os.path.realpath(source) + "/")
    if number not in (errno.ENOSYS, errno.EINVAL) or inside:
        # A missing directory of the destination is the likelier fault: move_file has checked the source.
        raise OSError(number, os.strerror(number), destination if number == errno.ENOENT else source)
    if os.path.lexists(destination):  # a file system that cannot do both in one step
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination)
    os.rename(source, destination)


def _move_across(source: str, destination: str) -> None:
    """Move to another file system; the destination appears when it is complete."""
    import shutil

    copy = temporary_beside(destination, "new")
    is_directory = os.path.isdir(source) and not os.path.islink(source)
    try:
        if is_directory:
            shutil.copytree(source, copy, symlinks=True)
        else:
            if not (os.path.islink(source) or os.path.isfile(source)):
                raise ToolError(f"cannot move {source!r} to another file system: it is a pipe, a socket or a device")
            shutil.copy2(source, copy, follow_symlinks=False)
        rename(copy, destination)
    except BaseException:
        _remove(copy)
        raise
    _remove(source)


def _remove(path: str) -> None:
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def delete_file(job: Job) -> str:
    """Delete a file or a link; a directory with its contents only if ``recursive`` is true."""
    path = job.place()
    if stat.S_ISDIR(os.lstat(path).st_mode):
        if not job.args["recursive"]:
            raise ToolError(
                f"cannot delete {path!r}: it is a directory; give recursive true to delete it and all that is in it",
                errno.EISDIR,
            )
        _remove(path)
    else:
        os.unlink(path)
    return f"Successfully deleted {path}"


def temporary_beside(path: str, kind: Literal["new", "old"]) -> str:
    """Return a temporary name in the directory of a file."""
    return os.path.join(os.path.dirname(path), temporary_name(kind))
