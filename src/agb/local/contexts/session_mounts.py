"""The mounts of one session: the tasks that sync them with their contexts, and the rows that report these tasks."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from attrs import define, field

from ..errors import Refused, invalid
from ..limits import Limits
from ..sandbox.capture import Capture
from ..sandbox.directories import is_own
from ..sandbox.sandbox import Process, Sandbox, SandboxGone
from ..validation import shown
from .binding import Binding, Bounds, SyncFailed
from .mounts import Mount, internal_mount
from .service import Contexts
from .sync import Sync

logger = logging.getLogger("agb.local")

TaskType = Literal["upload", "download"]

RELEASED = "the session was released before it was done"
_BUFFER = 1 << 20
_MOST_ROWS = 500


@define(eq=False)
class SyncTask:
    """One sync, from its request on; times are seconds since the epoch, 0 if it has not begun or ended."""

    context_id: str
    path: str
    task_type: TaskType
    id: str = field(factory=lambda: f"t-{secrets.token_hex(10)}")
    status: Literal["Pending", "InProgress", "Success", "Failed"] = "Pending"
    error_message: str = ""
    start_time: int = 0
    finish_time: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in ("Success", "Failed")

    def begin(self) -> None:
        """Mark it as in progress."""
        self.status, self.start_time = "InProgress", int(time.time())

    def end(self, error: str = "") -> None:
        """Mark it as ended, failed if there is an error."""
        if not self.is_over:
            self.finish_time = int(time.time())
            self.start_time = self.start_time or self.finish_time
            self.status, self.error_message = ("Failed", error) if error else ("Success", "")

    def is_for_same_files_as(self, other: SyncTask) -> bool:
        """Return whether another task has the same files and direction."""
        return (self.context_id, _bare(self.path), self.task_type) == (
            other.context_id,
            _bare(other.path),
            other.task_type,
        )

    def row(self) -> dict[str, Any]:
        """Return it as an entry of the API operation GET /mcp/getContextInfo."""
        return {
            "contextId": self.context_id,
            "path": self.path,
            "taskType": self.task_type,
            "status": self.status,
            "errorMessage": self.error_message,
            "startTime": self.start_time,
            "finishTime": self.finish_time,
            "taskId": self.id,
        }


@define(eq=False)
class _Mounted:
    """A mount, and the lock that one sync of it holds at a time."""

    binding: Binding
    lock: asyncio.Lock = field(factory=asyncio.Lock)

    @property
    def mount(self) -> Mount:
        return self.binding.mount


class SessionMounts:
    """What a session does with its mounts. Each sync is a program of its own inside the session and a thread here."""

    def __init__(
        self,
        session_id: str,
        mounts: Sequence[Mount],
        *,
        sandbox: Sandbox,
        contexts: Contexts,
        limits: Limits,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.on_end: Callable[[], None] = lambda: None
        """Called when a sync has ended."""
        self._session_id = session_id
        self._sandbox = sandbox
        self._contexts = contexts
        self._limits = limits
        self._threads = threads
        self._tasks: list[SyncTask] = []
        self._work: dict[SyncTask, asyncio.Task[None]] = {}
        self._syncs: dict[SyncTask, Sync] = {}
        self._reopened: Sandbox | None = None
        self._loading = asyncio.Lock()
        self._mounted = [self._at_place(mount) for mount in mounts]
        self._transfers: dict[str, _Mounted] = {}
        """Other directories to and from which files of the session's own context were copied, by their places."""

    def _at_place(self, mount: Mount) -> _Mounted:
        top, steps = self._sandbox.mounted(mount.place)
        return _Mounted(Binding(mount, top, steps))

    # --- reports ---

    @property
    def mounts(self) -> list[Mount]:
        """All mounts, the session's own included."""
        return [mounted.mount for mounted in self._mounted]

    def rows(self, context_id: str = "", path: str = "", task_type: str = "") -> list[dict[str, Any]]:
        """Return the tasks that match the non-empty arguments, as GetContextInfo returns them, in request order.

        A failed task is returned until another one with the same files and direction has succeeded.
        """
        return select([task.row() for task in self._tasks], context_id, path, task_type)

    @property
    def is_busy(self) -> bool:
        """Whether a sync is in progress."""
        return bool(self._work)

    # --- requests ---

    def begin(self) -> None:
        """Begin to download, for all mounts whose policy says so."""
        for mounted in self._mounted:
            if mounted.mount.policy.download.auto_download:
                self._start(mounted, "download")

    async def loaded(self) -> None:
        """Return when no download is in progress."""
        while downloads := [work for task, work in self._work.items() if task.task_type == "download"]:
            await asyncio.wait(downloads)

    def sync(self, context_id: str = "", path: str = "", mode: str = "") -> list[SyncTask]:
        """Begin to sync a mount, or all of a context, or all, and return the tasks; no mode is ``upload``.

        ``path`` may lie below a mount: then only that is synchronised. The session's own context is synchronised with
        any directory of the session. Raises ``Refused``.
        """
        if mode not in ("", "upload", "download"):
            raise invalid(f"mode must be upload or download, not {shown(mode)}")
        task_type: TaskType = "download" if mode == "download" else "upload"
        found = [mounted for mounted in self._mounted if context_id in ("", mounted.mount.context_id)]
        if context_id and not found:
            raise invalid(f"The context {shown(context_id)} is not mounted in this session; {self._description()}")
        if not path:
            return [self._start(mounted, task_type) for mounted in found if context_id or not mounted.mount.is_internal]
        bare = _bare(path)
        for mounted in found:
            if bare == mounted.mount.place:
                return [self._start(mounted, task_type)]
            if bare.startswith(f"{mounted.mount.place}/"):
                if ".." in bare.split("/"):
                    break
                return [self._start(mounted, task_type, path)]
        if context_id and found[0].mount.is_internal and ".." not in bare.split("/"):
            return [self._start(self._transfer(context_id, path), task_type)]
        raise invalid(f"The path {shown(path)} is in none of the mounts; {self._description()}")

    def _transfer(self, context_id: str, path: str) -> _Mounted:
        """Return the mount of the session's own context at another directory."""
        place = _bare(path)
        if place not in self._transfers:
            if not is_own(Path(place)):
                raise invalid(f"{shown(path)} is not a directory of this session: give one below its home or /tmp")
            self._transfers[place] = self._at_place(internal_mount(context_id, path, place))
        return self._transfers[place]

    def _description(self) -> str:
        mounted = [f"{mount.context_id} at {mount.path}" for mount in self.mounts]
        return f"mounted are {', '.join(mounted)}" if mounted else "nothing is mounted"

    async def load_internal(self) -> Mount:
        """Return the mount of the session's own context, made with the first call. Raises ``Refused``."""
        async with self._loading:
            for mounted in self._mounted:
                if mounted.mount.is_internal:
                    return mounted.mount
            contexts = self._contexts
            context = await contexts.run(contexts.store.make_internal, f"file transfer of {self._session_id}")
            mounted = self._at_place(internal_mount(context.id))
            self._mounted.append(mounted)
            # The directory exists before its path is returned, for the session to write to. No row reports this task.
            await self._run(mounted, SyncTask(context.id, mounted.mount.path, "download"), "")
            return mounted.mount

    # --- the end ---

    @property
    def wants_upload(self) -> bool:
        """Whether a mount is uploaded before the session ends."""
        return any(mounted.mount.policy.upload.auto_upload for mounted in self._mounted)

    async def finish(self, seconds: float, reopen: Callable[[], Awaitable[Sandbox]]) -> None:
        """Upload the mounts whose policy says so, within the time; no sync is in progress when it returns.

        ``reopen`` returns a sandbox on the session's directories, for a session whose own has ended already.
        """
        for task in self._tasks:
            if task.task_type == "download" and not task.is_over:
                task.end(RELEASED)
                if (sync := self._syncs.get(task)) is not None:
                    sync.abort(RELEASED)
        try:
            async with asyncio.timeout(seconds):
                if self.wants_upload and self._sandbox.is_closed:
                    self._sandbox = self._reopened = await reopen()
                for mounted in self._mounted:
                    if mounted.mount.policy.upload.auto_upload:
                        self._start(mounted, "upload")
                await self._all_done()
        except TimeoutError:
            await self.abort(f"it was not done within the {seconds:.0f} seconds a session has for it at its end")
        except OSError as error:
            await self.abort(f"the session's directories cannot be used any more: {error}")
        for task in self._tasks:
            if task.status == "Failed" and task.task_type == "upload":
                logger.warning(
                    "Session %s: not everything at %s was stored in context %s: %s",
                    self._session_id,
                    task.path,
                    task.context_id,
                    task.error_message,
                )

    async def abort(self, why: str) -> None:
        """Make all syncs fail, and return when they have ended."""
        for sync in list(self._syncs.values()):
            sync.abort(why)
        for task in self._tasks:
            task.end(why)
        await self._all_done()

    async def close(self) -> None:
        """Delete the session's own context."""
        await self.abort(RELEASED)
        if self._reopened is not None:
            await self._reopened.close()
        for mounted in self._mounted:
            if mounted.mount.is_internal:
                try:
                    await self._contexts.run(self._contexts.store.delete, mounted.mount.context_id)
                except Refused as refusal:
                    logger.warning("Session %s: its own context was not removed: %s", self._session_id, refusal)

    async def _all_done(self) -> None:
        while self._work:
            await asyncio.wait(self._work.values())

    # --- tasks ---

    def _start(self, mounted: _Mounted, task_type: TaskType, path: str = "") -> SyncTask:
        mount = mounted.mount
        task = SyncTask(mount.context_id, path or mount.path, task_type)
        self._tasks.append(task)
        self._forget_old()
        below = _bare(path)[len(mount.place) + 1 :] if path else ""
        self._work[task] = work = asyncio.create_task(self._run(mounted, task, below))
        work.add_done_callback(lambda _: self._end(task))
        return task

    def _end(self, task: SyncTask) -> None:
        self._work.pop(task, None)
        self.on_end()

    def _forget_old(self) -> None:
        over = [task for task in self._tasks if task.is_over]
        for task in over[: max(0, len(self._tasks) - _MOST_ROWS)]:
            self._tasks.remove(task)

    async def _run(self, mounted: _Mounted, task: SyncTask, below: str) -> None:
        try:
            async with mounted.lock:
                if task.is_over:
                    return
                await self._sync(mounted.binding, task, below)
        except SyncFailed as failure:
            task.end(str(failure))
        except SandboxGone:
            task.end(RELEASED)
        except OSError as error:
            task.end(f"the program that works on the mount could not be started: {error.strerror or error}")
        except Exception:
            logger.exception("Session %s: the sync of %s failed unexpectedly", self._session_id, task.path)
            task.end("the runtime failed unexpectedly; its log has more")
        else:
            task.end()
            # Older failures are obsolete: clients that read all rows would take them for this task's.
            self._tasks = [
                other
                for other in self._tasks
                if other is task or other.status != "Failed" or not other.is_for_same_files_as(task)
            ]

    async def _sync(self, binding: Binding, task: SyncTask, below: str) -> None:
        """Run a sync with a helper of its own. Raises ``SyncFailed``, ``SandboxGone`` and ``OSError``."""
        # Captured and not used: the output of a helper is for debugging.
        outputs = (Capture(1 << 16, owner=self._sandbox.user), Capture(1 << 16, owner=self._sandbox.user))
        ours, theirs = socket.socketpair()
        bounds = Bounds(self._limits.sync, self._limits.stored_file, self._limits.unpacked)
        self._syncs[task] = sync = Sync(self._contexts.store, binding, ours, bounds)
        process: Process | None = None
        try:
            with theirs:
                for end in (ours, theirs):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                process = await self._sandbox.spawn(
                    self._sandbox.helper("mount_helper"),
                    stdout=outputs[0],
                    stderr=outputs[1],
                    extra_fd=theirs.fileno(),
                )
            await asyncio.get_running_loop().run_in_executor(self._threads, lambda: self._in_thread(sync, task, below))
        finally:
            del self._syncs[task]
            sync.close()
            if process is not None and not process.exited.done():
                await process.signal(9)
                await process.wait()
            for output in outputs:
                output.close()

    def _in_thread(self, sync: Sync, task: SyncTask, below: str) -> None:
        task.begin()
        sync.run(upload=task.task_type == "upload", below=below)


def select(rows: Sequence[dict[str, Any]], context_id: str, path: str, task_type: str) -> list[dict[str, Any]]:
    """Return the rows that match the arguments that are not empty."""
    return [
        row
        for row in rows
        if context_id in ("", row["contextId"])
        and (not path or _bare(path) == _bare(row["path"]))
        and task_type in ("", row["taskType"])
    ]


def _bare(path: str) -> str:
    """Return a path as paths are compared: without slashes at its end, and without empty parts."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
