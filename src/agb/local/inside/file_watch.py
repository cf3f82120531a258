"""Runs inside a session, in the file helper: reports changes beneath a path, by the kernel's events (inotify)."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import select
import struct
import threading

from .temporary import TEMPORARY_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CREATE, MODIFY, DELETE, OVERFLOW = "create", "modify", "delete", "overflow"

_OWN = re.compile(TEMPORARY_NAME.encode())
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
"""Virtual file systems, for which the kernel reports no changes."""

_MOST_PATHS = 256
_MOST_EVENTS = 100_000
_READS = 256
"""Reads of 64 KiB after which a watcher answers, even if more changes arrive all the time."""


class WatchLimit(Exception):
    """There is more to watch than the kernel or the helper allow; the message names the limit."""


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
    """One path that is watched and its events that were not fetched yet.

    A directory is watched with all beneath it; of a file its directory is watched, and only the name
    ``only`` counts: for the kernel, a file that is replaced is another file.
    """

    def __init__(self, path: str, only: str | None) -> None:
        self.path = path
        self.only = only
        self.directories: dict[str, int] = {}
        """Path -> watch descriptor."""
        self.scanned: set[str] = set()
        """Entries of new directories that were reported already; their own events may follow."""
        self.is_lost = False
        self.is_gone = False
        self._events: list[dict[str, str]] = []
        self._last: dict[str, str] = {}

    def add(self, kind: str, path: str, *, is_directory: bool) -> None:
        """Add an event; a modification right after one of the same file is left out."""
        if kind == MODIFY and self._last.get(path) == MODIFY:
            return
        if len(self._events) >= _MOST_EVENTS:
            self.is_lost = True
            return
        self._last[path] = kind
        self._events.append({"eventType": kind, "path": path, "pathType": "directory" if is_directory else "file"})

    def fetch(self) -> list[dict[str, str]]:
        """Return the events and forget them; the last one is an overflow if some were lost."""
        events, self._events, self._last = self._events, [], {}
        if self.is_lost:
            self.is_lost = False
            kind = "directory" if self.only is None else "file"
            events.append({"eventType": OVERFLOW, "path": self.path, "pathType": kind})
        return events


class Watcher:
    """Watches any number of paths with one inotify instance.

    The kernel queues an event before the call that causes it returns, and `changes` reads the queue first: so
    it reports every change that was complete before the call. Between calls a thread reads the queue, because the queue
    is short and new directories need watches of their own.
    """

    def __init__(self) -> None:
        self._libc = libc()
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise WatchLimit(f"the kernel provides no inotify instance ({os.strerror(last_error())})")
        self.lock = threading.Lock()
        """Held while the kernel's queue is read."""
        self._is_closed = False
        self._watched: dict[str, Watched] = {}
        self._places: dict[int, dict[Watched, str]] = {}
        self._moved: tuple[int, bytes] | None = None
        self._ended: set[str] = set()
        """Paths whose deletion was reported, and that were not watched again since."""
        self._wakeup = os.pipe()
        self._reader = threading.Thread(target=self._keep_reading, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Stop watching."""
        with self.lock:
            self._is_closed = True
            os.close(self._wakeup[1])
        self._reader.join()
        os.close(self._wakeup[0])
        os.close(self._fd)

    def changes(self, path: str, *, expected: bool) -> list[dict[str, str]]:
        """Return the events of a path since the last call; the first call begins to watch it and returns none.

        A path that was deleted is reported so. If it exists again by then, it is watched from now on, and what is in it
        is reported as created; otherwise the next call is a first one.

        ``expected`` means that it was watched before, by a helper that ended: then the events in between are lost.
        Raises ``OSError`` when there is no such path, and ``WatchLimit``.
        """
        with self.lock:
            self._read()
            watched = self._watched.get(path)
            if watched is None:
                watched = self._watch(path)
                watched.is_lost = watched.is_lost or (expected and path not in self._ended)
                self._ended.discard(path)
            events = watched.fetch()
            if watched.is_gone:
                self._forget(watched, watched.path)
                del self._watched[path]
                try:
                    events += self._watch(path, is_news=True).fetch()
                except OSError:
                    self._ended.add(path)
            return events

    def _watch(self, path: str, *, is_news: bool = False) -> Watched:
        if len(self._watched) >= _MOST_PATHS:
            raise WatchLimit(f"{_MOST_PATHS} paths are watched already in this session")
        is_directory = os.path.isdir(path)
        os.stat(path)
        directory, _, name = path.rpartition("/")
        watched = Watched(path, None if is_directory else name)
        if is_news:
            watched.add(CREATE, path, is_directory=is_directory)
        try:
            if is_directory:
                self._add_tree(watched, path, is_news=is_news)
            else:
                self._add(watched, directory or "/")
        except BaseException:
            self._forget(watched, "")
            raise
        self._watched[path] = watched
        return watched

    # --- watches of the kernel ---

    def _add(self, watched: Watched, directory: str) -> bool:
        """Watch one directory; return whether it exists."""
        is_top = directory == watched.path or watched.only is not None
        mask = _MASK if is_top else _MASK | _IN_DONT_FOLLOW
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), mask)
        if number < 0:
            code = last_error()
            if code == errno.ENOSPC:
                raise WatchLimit(
                    "it has more directories than the kernel lets a user watch (fs.inotify.max_user_watches)"
                )
            if is_top:
                raise OSError(code, os.strerror(code), directory)
            return False
        self._places.setdefault(number, {})[watched] = directory
        watched.directories[directory] = number
        return True

    def _add_tree(self, watched: Watched, top: str, *, is_news: bool) -> None:
        """Watch a directory with all beneath it; the entries of a new one are reported as created."""
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
                    self._report(watched, path, kinds, mask)

    def _kinds(self, mask: int, cookie: int) -> tuple[str, ...]:
        """Return the kinds of change that an event means; a temporary file that is renamed to its place is a write."""
        if mask & _IN_MOVED_TO and self._moved is not None and self._moved[0] == cookie:
            return (CREATE, MODIFY) if self._moved[1] == b"new" else (MODIFY,)
        if mask & (_IN_CREATE | _IN_MOVED_TO):
            return (CREATE,)
        return (MODIFY,) if mask & _IN_MODIFY else (DELETE,)

    def _report(self, watched: Watched, path: str, kinds: tuple[str, ...], mask: int) -> None:
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
            except WatchLimit:
                watched.is_lost = True
        elif mask & _IN_MOVED_FROM:
            self._forget(watched, path)

    def _recover(self) -> None:
        """Report that the kernel's queue was full, and watch the directories whose creation was missed."""
        for watched in self._watched.values():
            watched.is_lost = True
            if watched.only is None:
                try:
                    self._add_tree(watched, watched.path, is_news=False)
                except WatchLimit:
                    continue
                except OSError:
                    watched.is_gone = True


def _inside(directory: str) -> Iterator[tuple[str, bool, int]]:
    """Yield path, whether it is a directory, and size of each entry of a directory, as far as it exists."""
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
