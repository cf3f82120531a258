"""Runs inside a session, in the file helper: what changes beneath a path, by the kernel's own events (inotify)."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import select
import struct
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = ".agb-{}-{}.tmp"
"""Name of a file that is to take another's place; its second part says whether there was one: ``new`` or ``old``."""

CREATE, MODIFY, DELETE, OVERFLOW = "create", "modify", "delete", "overflow"

_OWN = re.compile(rb"\.agb-[0-9a-f]{16}-(new|old)\.tmp")
_EVENT = struct.Struct("iIII")
_IN_MODIFY = 0x2
_IN_MOVED_FROM = 0x40
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800
_IN_UNMOUNT = 0x2000
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x0100_0000
_IN_DONT_FOLLOW = 0x0200_0000
_IN_ISDIR = 0x4000_0000
_MASK = (
    _IN_MODIFY | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR
)
_NOT_FILES = frozenset({"/proc", "/sys", "/dev"})
"""Trees the kernel makes up; it tells no changes of them."""

_MOST_PATHS = 256
_MOST_EVENTS = 100_000
_READS = 256
"""Reads of 64 KiB after which a watcher answers, however fast changes go on coming."""


class TooMuch(Exception):  # noqa: N818 - says what happened
    """There is more to watch than the kernel or the helper allow; the message says it."""


_libc: ctypes.CDLL | None = None


def libc() -> ctypes.CDLL:
    """Return the C library."""
    global _libc  # loaded when first needed
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    return _libc


def last_error() -> int:
    """Return the error number of this thread's last call of the C library."""
    return ctypes.get_errno()


class Watched:
    """One path that is watched and its events that nobody has fetched yet.

    A directory is watched with all beneath it; of a file it is its directory that is watched, and ``only`` its name
    counts: a file that is replaced is another one to the kernel.
    """

    def __init__(self, path: str, only: str | None) -> None:
        self.path = path
        self.only = only
        self.directories: dict[str, int] = {}
        """Path -> the kernel's number of its watch."""
        self.scanned: set[str] = set()
        """Entries of new directories already told about; their own events may still be on the way."""
        self.is_lost = False
        self.is_gone = False
        self._events: list[dict[str, str]] = []
        self._last: dict[str, str] = {}

    def add(self, kind: str, path: str, *, is_directory: bool) -> None:
        """Add an event; a modification right after one of the same file says nothing new."""
        if kind == MODIFY and self._last.get(path) == MODIFY:
            return
        if len(self._events) >= _MOST_EVENTS:
            self.is_lost = True
            return
        self._last[path] = kind
        self._events.append({"eventType": kind, "path": path, "pathType": "directory" if is_directory else "file"})

    def fetch(self) -> list[dict[str, str]]:
        """Return the events and forget them; the last one says so if there were more."""
        events, self._events, self._last = self._events, [], {}
        if self.is_lost:
            self.is_lost = False
            kind = "directory" if self.only is None else "file"
            events.append({"eventType": OVERFLOW, "path": self.path, "pathType": kind})
        return events


class Watcher:
    """Watches any number of paths with one inotify instance.

    The kernel queues an event before the call that causes it returns, and every question reads the queue first: who
    asks after a change is told of it. In between a thread reads, for the queue is short and new directories need
    watches of their own.
    """

    def __init__(self) -> None:
        self._libc = libc()
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise TooMuch(f"the kernel gives no inotify instance ({os.strerror(last_error())})")
        self.lock = threading.Lock()
        """Held by who reads the kernel's queue."""
        self._is_closed = False
        self._watched: dict[str, Watched] = {}
        self._places: dict[int, dict[Watched, str]] = {}
        self._moved: tuple[int, bytes] | None = None
        self._wakeup = os.pipe()
        self._reader = threading.Thread(target=self._keep_reading, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Watch nothing any more."""
        with self.lock:
            self._is_closed = True
            os.close(self._wakeup[1])
        self._reader.join()
        os.close(self._wakeup[0])
        os.close(self._fd)

    def changes(self, path: str, *, expected: bool) -> list[dict[str, str]]:
        """Return the events of a path since the last question; the first one begins to watch it, and gives none.

        ``expected`` says that it was watched before, so that what happened meanwhile is lost. Raises ``OSError`` when
        there is no such path and ``TooMuch``.
        """
        with self.lock:
            self._read()
            watched = self._watched.get(path)
            if watched is None:
                watched = self._watch(path)
                watched.is_lost = watched.is_lost or expected
            events = watched.fetch()
            if watched.is_gone:
                self._forget(watched, watched.path)
                del self._watched[path]
            return events

    def _watch(self, path: str) -> Watched:
        if len(self._watched) >= _MOST_PATHS:
            raise TooMuch(f"{_MOST_PATHS} paths are watched already in this session")
        is_directory = os.path.isdir(path)
        os.stat(path)
        directory, _, name = path.rpartition("/")
        watched = Watched(path, None if is_directory else name)
        try:
            if is_directory:
                self._add_tree(watched, path, is_news=False)
            else:
                self._add(watched, directory or "/")
        except BaseException:
            self._forget(watched, "")
            raise
        self._watched[path] = watched
        return watched

    # --- watches of the kernel ---

    def _add(self, watched: Watched, directory: str) -> bool:
        """Watch one directory; return whether it is there to be watched."""
        is_top = directory == watched.path or watched.only is not None
        mask = _MASK if is_top else _MASK | _IN_DONT_FOLLOW
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), mask)
        if number < 0:
            code = last_error()
            if code == errno.ENOSPC:
                raise TooMuch("it has more directories than the kernel lets a user watch (fs.inotify.max_user_watches)")
            if is_top:
                raise OSError(code, os.strerror(code), directory)
            return False
        self._places.setdefault(number, {})[watched] = directory
        watched.directories[directory] = number
        return True

    def _add_tree(self, watched: Watched, top: str, *, is_news: bool) -> None:
        """Watch a directory with all beneath it; what is in a new one is told as created."""
        waiting = [top]
        while waiting:
            directory = waiting.pop()
            if (directory in _NOT_FILES and directory != watched.path) or not self._add(watched, directory):
                continue
            for path, is_directory, size in _inside(directory):
                if is_news:
                    watched.scanned.add(path)
                    watched.add(CREATE, path, is_directory=is_directory)
                    if size and not is_directory:
                        watched.add(MODIFY, path, is_directory=False)
                if is_directory:
                    waiting.append(path)

    def _forget(self, watched: Watched, top: str) -> None:
        """Stop watching a directory with all beneath it."""
        beneath = top.rstrip("/") + "/"
        for directory in [path for path in watched.directories if path == top or path.startswith(beneath) or not top]:
            number = watched.directories.pop(directory)
            places = self._places.get(number, {})
            places.pop(watched, None)
            if not places and self._places.pop(number, None) is not None:
                self._libc.inotify_rm_watch(self._fd, number)

    # --- events of the kernel ---

    def _keep_reading(self) -> None:
        waiting = select.poll()
        waiting.register(self._fd, select.POLLIN)
        waiting.register(self._wakeup[0], select.POLLIN)
        while True:
            waiting.poll()
            with self.lock:
                if self._is_closed:
                    return
                self._read()

    def _read(self) -> None:
        for _ in range(_READS):
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                for watched in self._watched.values():
                    watched.scanned.clear()
                return
            at = 0
            while at < len(data):
                number, mask, cookie, size = _EVENT.unpack_from(data, at)
                at += _EVENT.size + size
                self._take(number, mask, cookie, data[at - size : at].rstrip(b"\0"))

    def _take(self, number: int, mask: int, cookie: int, name: bytes) -> None:
        if mask & _IN_Q_OVERFLOW:
            self._recover()
        elif mask & _IN_IGNORED:
            for watched, directory in self._places.pop(number, {}).items():
                if watched.directories.get(directory) == number:
                    del watched.directories[directory]
        elif mask & (_IN_DELETE_SELF | _IN_MOVE_SELF | _IN_UNMOUNT):
            for watched, directory in self._places.get(number, {}).items():
                if directory == watched.path and not watched.is_gone:
                    watched.is_gone = True
                    watched.add(DELETE, directory, is_directory=True)
                elif watched.only is not None:
                    watched.is_gone = True
        elif (own := _OWN.fullmatch(name)) is not None:
            if mask & _IN_MOVED_FROM:
                self._moved = (cookie, own[1])
        else:
            kinds = self._kinds(mask, cookie)
            for watched, directory in list(self._places.get(number, {}).items()):
                path = os.path.join(directory, os.fsdecode(name))
                if watched.only is None or path == watched.path:
                    self._tell(watched, path, kinds, mask)

    def _kinds(self, mask: int, cookie: int) -> tuple[str, ...]:
        """Return what an event means to who looks on; a write by way of a temporary file is a write."""
        if mask & _IN_MOVED_TO and self._moved is not None and self._moved[0] == cookie:
            return (CREATE, MODIFY) if self._moved[1] == b"new" else (MODIFY,)
        if mask & (_IN_CREATE | _IN_MOVED_TO):
            return (CREATE,)
        return (MODIFY,) if mask & _IN_MODIFY else (DELETE,)

    def _tell(self, watched: Watched, path: str, kinds: tuple[str, ...], mask: int) -> None:
        is_directory = bool(mask & _IN_ISDIR)
        if CREATE in kinds and path in watched.scanned:
            watched.scanned.discard(path)
            kinds = kinds[1:]
            if is_directory:
                return
        for kind in kinds:
            watched.add(kind, path, is_directory=is_directory)
        if not is_directory or watched.only is not None:
            return
        if CREATE in kinds:
            try:
                self._add_tree(watched, path, is_news=True)
            except TooMuch:
                watched.is_lost = True
        elif mask & _IN_MOVED_FROM:
            self._forget(watched, path)

    def _recover(self) -> None:
        """Say that the kernel's queue was full, and watch the directories whose creation was missed."""
        for watched in self._watched.values():
            watched.is_lost = True
            if watched.only is None:
                try:
                    self._add_tree(watched, watched.path, is_news=False)
                except TooMuch:
                    continue
                except OSError:
                    watched.is_gone = True


def _inside(directory: str) -> Iterator[tuple[str, bool, int]]:
    """Give path, whether it is a directory, and size of what is in a directory, as far as it is there."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    is_directory = entry.is_dir(follow_symlinks=False)
                    size = 0 if is_directory else entry.stat(follow_symlinks=False).st_size
                except OSError:
                    continue
                if not _OWN.fullmatch(os.fsencode(entry.name)):
                    yield entry.path, is_directory, size
    except OSError:
        return
