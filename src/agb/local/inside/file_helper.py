"""Runs inside a session: the file tools, as the session's user, in the session's own view of the machine.

It is run as ``python -I -S file_helper.py`` in the session's home and needs nothing but the standard library. The
kernel's permissions and the sandbox's root decide what it reaches, so there is no race to lose against a symbolic link.

Requests come and replies go over descriptor 3, several at a time: each a header and a blob behind their two lengths.

    runtime -> helper     {id, tool, args}, blob: the content of a file to be written
                          {cancel: id}
    helper -> runtime     {id, ok}, blob: the result's text as documented for the tool, or one sentence on what failed
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fnmatch
import json
import os
import queue
import re
import socket
import stat
import struct
import sys
import threading
import time

TYPE_CHECKING = False  # typing is slow to import, and the first call waits for this program
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

if TYPE_CHECKING or __package__:
    from . import file_watch
    from .file_watch import TEMPORARY, Watcher
else:
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # isolated mode leaves it out
    import file_watch
    from file_watch import TEMPORARY, Watcher

CHANNEL_FD = 3
FRAME = struct.Struct(">II")
"""Before each message: the length of its header and of its blob."""
MOST = 32 << 20
"""Bytes of content one call reads; more is read in parts."""

_MOST_MATCHES = 200_000
_SEARCH_SECONDS = 45.0
"""Below the 60 seconds for which clients of the API wait."""
_DIFF_MOST = 1 << 20
"""Bytes beyond which an edit is answered without a diff: finding one takes quadratic time."""
_CHUNK = 1 << 20
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100


class Failed(Exception):  # noqa: N818 - says what happened
    """A tool cannot do what was asked; the message is a sentence for the caller."""


class Job:
    """One request that is being answered."""

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
            raise Failed(f"argument '{name}' is empty; give the path of a file or a directory")
        return os.path.join(_HOME, path)  # kept as given: '..' behind a link is the kernel's business


_HOME = os.getcwd()
_locks = [threading.Lock() for _ in range(64)]
"""Writers of one file take turns; which lock is theirs follows from its path."""


def _lock_of(path: str) -> threading.Lock:
    return _locks[hash(os.path.realpath(path)) % len(_locks)]


# --- directories and names ---


def create_directory(job: Job) -> str:
    """Make a directory and those above it; one that is there already is fine."""
    path = job.place()
    os.makedirs(path, exist_ok=True)
    return f"Successfully created directory {path}"


def list_directory(job: Job) -> str:
    """Name what is in a directory, sorted."""
    with os.scandir(job.place()) as found:
        entries = sorted((entry.name, _is_directory(entry)) for entry in found)
    return "\n".join(f"[{'DIR' if is_directory else 'FILE'}] {one_line(name)}" for name, is_directory in entries)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def get_file_info(job: Job) -> str:
    """Tell what a path is, one ``key: value`` per line; links are followed."""
    path = job.place()
    found = os.stat(path)
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    values = {
        "name": one_line(os.path.basename(path.rstrip("/")) or "/"),
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


def one_line(text: str) -> str:
    r"""Return a name as it may stand in a list of lines: with ``\n`` for a line break, which would forge a line."""
    return re.sub(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", lambda found: ascii(found[0])[1:-1], text)


def move_file(job: Job) -> str:
    """Give a file or directory another name; what is there under that name already stays, and the move is refused."""
    source, destination = job.place("source"), job.place("destination")
    os.lstat(source)
    try:
        _rename(source, destination)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise Failed(f"cannot move {source!r} into itself: {destination!r}") from error
        if error.errno == errno.EEXIST:
            raise Failed(f"cannot move {source!r}: {destination!r} already exists; delete it first") from error
        if error.errno != errno.EXDEV:
            raise
        _move_across(source, destination)
    return f"Successfully moved {source} to {destination}"


def _rename(source: str, destination: str) -> None:
    """Rename without replacing anything."""
    libc = file_watch.libc()
    if libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(destination), _RENAME_NOREPLACE) == 0:
        return
    number = file_watch.last_error()
    inside = os.path.realpath(destination).startswith(os.path.realpath(source) + "/")
    if number not in (errno.ENOSYS, errno.EINVAL) or inside:
        # A missing directory of the destination is the likelier fault: move_file has seen the source.
        raise OSError(number, os.strerror(number), destination if number == errno.ENOENT else source)
    if os.path.lexists(destination):  # a file system that cannot do both in one step
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination)
    os.rename(source, destination)


def _move_across(source: str, destination: str) -> None:
    """Move to another file system: nobody sees the destination before it is whole."""
    import shutil

    copy = _temporary(destination, "new")
    is_directory = os.path.isdir(source) and not os.path.islink(source)
    try:
        if is_directory:
            shutil.copytree(source, copy, symlinks=True)
        else:
            if not (os.path.islink(source) or os.path.isfile(source)):
                raise Failed(f"cannot move {source!r} to another file system: it is a pipe, a socket or a device")
            shutil.copy2(source, copy, follow_symlinks=False)
        _rename(copy, destination)
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
    """Delete a file or a link; a directory with all that is in it only if ``recursive`` says so."""
    path = job.place()
    if stat.S_ISDIR(os.lstat(path).st_mode):
        if not job.args["recursive"]:
            raise Failed(
                f"cannot delete {path!r}: it is a directory; give recursive true to delete it and all that is in it"
            )
        _remove(path.rstrip("/") or "/")
    else:
        os.unlink(path)
    return f"Successfully deleted {path}"


# --- reading ---


def read_file(job: Job) -> str | bytes:
    """Return bytes of a file, as text or in base64."""
    path, offset, length = job.place(), job.args["offset"], job.args["length"]
    with _opened(path) as file:
        if job.args["format"] == "binary":
            return base64.b64encode(_read(file, path, offset, length))
        return _characters(file, path, offset, length)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    # Not to wait for whoever may write to a pipe.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(file).st_mode
        if stat.S_ISDIR(mode):
            raise Failed(f"cannot read {path!r}: it is a directory")
        if stat.S_ISFIFO(mode):
            raise Failed(f"cannot read {path!r}: it is a pipe, not a file")
        yield file
    finally:
        os.close(file)


def _read(file: int, path: str, offset: int, length: int) -> bytes:
    """Return ``length`` bytes, or all to the end for 0; the size a file tells is not asked, /proc tells 0."""
    parts: list[bytes] = []
    size = 0
    most = MOST + 8  # a range of MOST may have a little more, to complete its characters
    wanted = min(length or most + 1, most + 1)
    while size < wanted and (part := os.pread(file, min(wanted - size, _CHUNK), offset + size)):
        parts.append(part)
        size += len(part)
    if size > most:
        raise Failed(f"cannot read {path!r} at once: it has more than {MOST >> 20} MiB; use offset and length")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _characters(file: int, path: str, offset: int, length: int) -> bytes:
    """Return the characters whose first byte is in the range, so that parts put together are the whole text."""
    before = min(3, offset)
    data = _read(file, path, offset - before, length + before + 3 if length else 0)
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
    """Return several files as text; one that cannot be read has its error in its place."""
    parts: list[str] = []
    failures: list[str] = []
    size = 0
    for name in job.args["paths"]:
        try:
            path = os.path.join(_HOME, name)
            with _opened(path) as file:
                text = _characters(file, path, 0, 0).decode()
            size += len(text)
            parts.append(f"{name}:\n{text}\n")
        except (OSError, Failed) as error:
            failures.append(sentence(error))
            parts.append(f"{name}: Error - {failures[-1]}\n")
        if size > MOST:
            raise Failed(f"the files have more than {MOST >> 20} MiB together; read them in several calls")
    if failures and len(failures) == len(parts):
        raise Failed("; ".join(failures))
    return "\n---\n".join(parts)


# --- writing ---


def write_file(job: Job) -> str:
    """Write a file; a reader sees the old content or the new one, never half."""
    path, mode = job.place(), job.args["mode"]
    data = job.blob
    if job.args["format"] == "binary":
        try:
            data = base64.b64decode(data, validate=True)
        except ValueError as error:
            raise Failed(f"argument 'content': not base64, which format binary asks for: {error}") from error
    with _lock_of(path):
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
        # Opened, not only looked at: that asks for every permission that writing needs.
        file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        try:
            _replace(os.path.realpath(path), data, None)
        except FileExistsError:  # somebody was faster
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
    temporary = _temporary(path, "new" if old is None else "old")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if old is None else 0o600)
    try:
        try:
            _put(file, data)
            if old is not None:
                _give(file, old)
        finally:
            os.close(file)
        if old is None:
            _rename(temporary, path)
        else:
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _give(file: int, old: os.stat_result) -> None:
    made = os.fstat(file)
    if (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(file, old.st_uid, old.st_gid)
    os.fchmod(file, stat.S_IMODE(old.st_mode))


def _temporary(path: str, kind: str) -> str:
    name = TEMPORARY.format(os.urandom(8).hex(), kind)
    return os.path.join(os.path.dirname(path.rstrip("/")), name)


def _check_writable(path: str, found: os.stat_result) -> None:
    if stat.S_ISFIFO(found.st_mode):
        raise Failed(f"cannot write {path!r}: it is a pipe, not a file")


def _put(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def edit_file(job: Job) -> str:
    """Replace text, every occurrence, one edit after another; return the difference. All edits are made or none."""
    path = job.place()
    with _lock_of(path):
        with _opened(path) as file:
            before = _read(file, path, 0, 0)
        after, count = before, 0
        for number, edit in enumerate(job.args["edits"], 1):
            old, new = edit["oldText"].encode(), edit["newText"].encode()
            if not old:
                raise Failed(f"cannot edit {path!r}: the oldText of edit {number} is empty")
            found = after.count(old)
            if not found:
                raise Failed(f"cannot edit {path!r}: the oldText of edit {number} was not found; nothing was changed")
            count += found
            after = after.replace(old, new)
        if not job.args["dryRun"] and after != before:
            _overwrite(path, after)
    return _difference(path, before, after, count)


def _difference(path: str, before: bytes, after: bytes, count: int) -> str:
    if max(len(before), len(after)) > _DIFF_MOST:
        return f"{count} replacements; the file is too large for a diff"
    import difflib

    old, new = (text.decode("utf-8", "replace").splitlines(keepends=True) for text in (before, after))
    name = one_line(path)
    lines = difflib.unified_diff(old, new, f"{name} (before)", f"{name} (after)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


# --- searching ---


def search_files(job: Job) -> str:
    """Return the paths beneath a directory whose names match, one per line."""
    top = job.place()
    matches = _matcher(job.args["pattern"], plain="contains")
    excluded = [_matcher(pattern, plain="equals") for pattern in job.args["excludePatterns"] or ()]
    until = time.monotonic() + _SEARCH_SECONDS
    found: list[str] = []
    waiting = [("", top)]
    while waiting:
        above, directory = waiting.pop()
        if job.is_cancelled:
            raise Failed("the caller has gone")
        if time.monotonic() > until:
            raise Failed(f"the search in {top!r} took more than {_SEARCH_SECONDS:.0f} s; search a smaller directory")
        inside = []
        for name, is_directory in _entries(directory, is_top=directory is top):
            relative = f"{above}{name}"
            if any(exclude(name, relative) for exclude in excluded):
                continue
            if matches(name, relative):
                found.append(one_line(os.path.join(top, relative)))
            if is_directory:
                inside.append((f"{relative}/", os.path.join(top, relative)))
        if len(found) > _MOST_MATCHES:
            raise Failed(f"more than {_MOST_MATCHES:,} files in {top!r} match {job.args['pattern']!r}; narrow it down")
        waiting += reversed(inside)
    return "\n".join(found) or "No matches found"


def _entries(directory: str, *, is_top: bool) -> list[tuple[str, bool]]:
    try:
        with os.scandir(directory) as found:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
    except OSError:
        if is_top:
            raise
        return []  # gone meanwhile, or not ours to look into


def _matcher(pattern: str, *, plain: str) -> Callable[[str, str], bool]:
    """Return a test of a name and its path from the top.

    A pattern with a slash is for the path, with ``**`` for any number of directories. One without wildcards is
    contained in the name, in whatever case, or equal to it.
    """
    if not pattern:
        raise Failed("argument 'pattern' is empty; give a name, a part of one, or a glob such as '*.txt'")
    if "/" in pattern:
        parts = pattern.lstrip("/").split("/")
        parts += ["*"] if parts[-1] == "**" else []
        tests = [None if part == "**" else re.compile(fnmatch.translate(part)).match for part in parts]
        return lambda _, path: _fits(path.split("/"), tests)
    if any(sign in pattern for sign in "*?["):
        fits = re.compile(fnmatch.translate(pattern)).match
        return lambda name, _: fits(name) is not None
    if plain == "equals":
        return lambda name, _: name == pattern
    word = pattern.lower()
    return lambda name, _: word in name.lower()


def _fits(names: list[str], tests: Sequence[Callable[[str], object] | None]) -> bool:
    """Return whether names pass the tests one by one; None stands for any number of names."""
    states = {0}  # how many tests may have been passed so far
    for name in names:
        states = _with_none_passed(states, tests)
        states = {
            state if test is None else state + 1
            for state in states
            if state < len(tests) and ((test := tests[state]) is None or test(name))
        }
    return len(tests) in _with_none_passed(states, tests)


def _with_none_passed(states: set[int], tests: Sequence[Callable[[str], object] | None]) -> set[int]:
    reached = set(states)
    for state in states:
        after = state
        while after < len(tests) and tests[after] is None:
            after += 1
            reached.add(after)
    return reached


# --- watching ---


_watcher: Watcher | None = None
_starting = threading.Lock()


def get_file_change(job: Job) -> str:
    """Return what has changed beneath a path since the call before, as a JSON array; the first gives none."""
    global _watcher  # one per session
    path = job.place().rstrip("/") or "/"
    with _starting:
        if _watcher is None:
            _watcher = Watcher()
    try:
        events = _watcher.changes(path, expected=bool(job.args.get("expected")))
    except file_watch.TooMuch as error:
        raise Failed(f"cannot watch {path!r}: {error}") from error
    return json.dumps(events, ensure_ascii=False)


# --- serving ---

_TOOLS: dict[str, Callable[[Job], str | bytes]] = {
    function.__name__: function
    for function in (
        create_directory,
        delete_file,
        edit_file,
        get_file_change,
        get_file_info,
        list_directory,
        move_file,
        read_file,
        read_multiple_files,
        search_files,
        write_file,
    )
}
_SLOW = frozenset({"delete_file", "edit_file", "get_file_change", "list_directory", "move_file", "search_files"})
"""Tools that may take long: they have workers of their own, so that reads and writes need not wait for them."""

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
    errno.ENXIO: "it is a pipe or a socket that nobody serves",
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


def sentence(error: OSError | Failed, job: Job | None = None) -> str:
    """Return what went wrong, with the path."""
    if isinstance(error, Failed):
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


class Workers:
    """Threads that take jobs from one queue; made when all others are busy, up to a number."""

    def __init__(self, most: int, work: Callable[[Job], None]) -> None:
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._work = work
        self._most = most
        self._count = 0
        self._idle = 0
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """Have a job done."""
        with self._lock:
            needed = self._idle <= self._queue.qsize() and self._count < self._most
        self._queue.put(job)
        if needed:
            try:
                threading.Thread(target=self._serve, daemon=True).start()
            except RuntimeError:  # no more threads for this session
                if not self._count:
                    self._work(self._queue.get())
            else:
                self._count += 1

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._queue.get()
            with self._lock:
                self._idle -= 1
            self._work(job)


class Helper:
    """Answers the runtime's requests as they come, in whatever order they are done."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._sending = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._quick = Workers(6, self._answer)
        self._slow = Workers(4, self._answer)

    def serve(self) -> None:
        """Serve until the runtime hangs up."""
        with self._channel.makefile("rb", buffering=1 << 18) as requests:
            while len(lengths := requests.read(FRAME.size)) == FRAME.size:
                header_size, blob_size = FRAME.unpack(lengths)
                header = json.loads(requests.read(header_size))
                blob = requests.read(blob_size)
                if "cancel" in header:
                    job = self._jobs.get(header["cancel"])
                    if job is not None:
                        job.is_cancelled = True
                    continue
                job = Job(header["id"], header["tool"], header["args"], blob)
                self._jobs[job.number] = job
                (self._slow if job.tool in _SLOW else self._quick).submit(job)

    def _answer(self, job: Job) -> None:
        try:
            # Half characters, which names of files may have, are replaced: no reply can carry them.
            text = _TOOLS[job.tool](job)
            blob, ok = text if isinstance(text, bytes) else text.encode("utf-8", "replace"), True
            if len(blob) > 2 * MOST:
                raise Failed(f"the result has more than {2 * MOST >> 20} MiB; ask for less at once")
        except (OSError, Failed) as error:
            blob, ok = _failure(job, sentence(error, job))
        except MemoryError:
            blob, ok = _failure(job, "the session has not enough memory for it")
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the caller without an answer
            blob, ok = _failure(job, f"failed with {type(error).__name__}: {error}")
        del self._jobs[job.number]
        header = json.dumps({"id": job.number, "ok": ok}).encode()
        with self._sending:
            try:
                self._channel.sendall(FRAME.pack(len(header), len(blob)) + header)
                self._channel.sendall(blob)
            except OSError:
                os._exit(0)  # the runtime has gone


def _failure(job: Job, why: str) -> tuple[bytes, bool]:
    return f"{job.tool}: {why}".encode("utf-8", "replace"), False


def main() -> None:
    """Serve until the runtime goes away."""
    sys.setswitchinterval(0.001)  # so that a long search delays a read by little
    Helper(socket.socket(fileno=CHANNEL_FD)).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
