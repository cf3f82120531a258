"""The helper's main loop: reads requests of the runtime, runs the tools in threads, and sends the results."""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading

from .. import file_watch
from ..messages import SOCKET_FD, MessageSocket
from .entries import create_directory, delete_file, get_file_info, list_directory, move_file
from .job import MOST, Job, ToolError, encoded, sentence
from .reading import read_file, read_multiple_files
from .search import search_files
from .writing import edit_file, write_file

TYPE_CHECKING = False  # typing is slow to import, and the first call waits for this program
if TYPE_CHECKING:
    from collections.abc import Callable

_watcher: file_watch.Watcher | None = None
_starting = threading.Lock()


def get_file_change(job: Job) -> str:
    """Return the changes beneath a path since the call before, as a JSON array; the first call returns none."""
    global _watcher  # one per session
    path = job.place()
    with _starting:
        if _watcher is None:
            _watcher = file_watch.Watcher()
    try:
        events = _watcher.changes(path, expected=bool(job.args.get("expected")))
    except file_watch.WatchLimit as error:
        raise ToolError(f"cannot watch {path!r}: {error}") from error
    return json.dumps(events)  # escape sequences can name any file


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


class Workers:
    """Threads that take jobs from one queue. A thread is added, up to a limit, when a job finds no idle one.

    ``concurrent.futures.ThreadPoolExecutor`` does the same, but a session may have no thread left (RLIMIT_NPROC): its
    ``submit`` then raises with the job already in its queue. Here the job runs in the thread that submits it, if there
    is no worker at all. That module also imports ``logging``, for which the first call would wait.
    """

    def __init__(self, most: int, work: Callable[[Job], None]) -> None:
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._work = work
        self._most = most
        self._count = 0
        self._idle = 0
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """Put a job into the queue."""
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


class FileHelper:
    """Processes the requests of the runtime, several at a time; each is answered as soon as its result is ready."""

    def __init__(self, messages: MessageSocket) -> None:
        self._messages = messages
        self._sending = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._quick = Workers(6, self._answer)
        self._slow = Workers(4, self._answer)

    def serve(self) -> None:
        """Serve until the runtime closes the connection."""
        while True:
            try:
                header, blob = self._messages.receive()
            except (EOFError, OSError):
                return
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
            text = _TOOLS[job.tool](job)
            blob, ok, number = text if isinstance(text, bytes) else encoded(text), True, 0
            if len(blob) > 2 * MOST:
                raise ToolError(f"the result has more than {2 * MOST >> 20} MiB; ask for less at once")
        except (OSError, ToolError) as error:
            blob, ok, number = _failure(job, sentence(error, job), error.errno or 0)
        except MemoryError:
            blob, ok, number = _failure(job, "the session has not enough memory for it")
        except Exception as error:  # a fault of this program must be answered too
            blob, ok, number = _failure(job, f"failed with {type(error).__name__}: {error}")
        del self._jobs[job.number]
        with self._sending:
            try:
                self._messages.send({"id": job.number, "ok": ok, "errno": number}, blob)
            except OSError:
                os._exit(0)  # the runtime has closed the connection


def _failure(job: Job, why: str, number: int = 0) -> tuple[bytes, bool, int]:
    return encoded(f"{job.tool}: {why}"), False, number


def main() -> None:
    """Serve until the runtime closes the connection."""
    sys.setswitchinterval(0.001)  # so that a long search delays a read by little
    FileHelper(MessageSocket(socket.socket(fileno=SOCKET_FD))).serve()
    os._exit(0)
