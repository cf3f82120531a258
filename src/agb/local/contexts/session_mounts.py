"""The mounts of one session: the tasks that keep them and their contexts in step, and what is told about them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from attrs import define, field

from ..errors import Refused, invalid
from ..limits import Limits
from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox, SandboxGone
from ..validation import shown
from .mounts import Mount, internal_mount
from .service import Contexts
from .sync import Binding, Bounds, Sync, SyncFailed

logger = logging.getLogger("agb.local")

TaskType = Literal["upload", "download"]

RELEASED = "the session was released before it was done"
_BUFFER = 1 << 20
_MOST_ROWS = 500


@define(eq=False)
class SyncTask:
    """One sync, from when it was asked for; times are seconds since the epoch, 0 as long as there is none."""

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
        """Note that it is done now."""
        self.status, self.start_time = "InProgress", int(time.time())

    def end(self, error: str = "") -> None:
        """Note how it ended."""
        if not self.is_over:
            self.finish_time = int(time.time())
            self.start_time = self.start_time or self.finish_time
            self.status, self.error_message = ("Failed", error) if error else ("Success", "")

    def is_about_what(self, other: SyncTask) -> bool:
        """Return whether another task is about the same files in the same direction."""
        return (self.context_id, _bare(self.path), self.task_type) == (
            other.context_id,
            _bare(other.path),
            other.task_type,
        )

    def row(self) -> dict[str, Any]:
        """Return it as GetContextInfo tells it."""
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
    """A mount, and whose turn it is to work on it."""

    binding: Binding
    turn: asyncio.Lock = field(factory=asyncio.Lock)

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

    def _at_place(self, mount: Mount) -> _Mounted:
        top, steps = self._sandbox.mounted(mount.place)
        return _Mounted(Binding(mount, top, steps))

    # --- what is told ---

    @property
    def mounts(self) -> list[Mount]:
        """All mounts, the session's own included."""
        return [mounted.mount for mounted in self._mounted]

    def rows(self, context_id: str = "", path: str = "", task_type: str = "") -> list[dict[str, Any]]:
        """Return the tasks that fit what is not empty, as GetContextInfo tells them, in the order they were asked for.

        A task that failed is told until another one on the same files in the same direction has gone well.
        """
        return select([task.row() for task in self._tasks], context_id, path, task_type)

    @property
    def is_busy(self) -> bool:
        """Whether a sync is under way."""
        return bool(self._work)

    # --- what is asked ---

    def begin(self) -> None:
        """Begin to bring the data into the session, for all mounts that want it."""
        for mounted in self._mounted:
            if mounted.mount.policy.download.auto_download:
                self._start(mounted, "download")

    def sync(self, context_id: str = "", path: str = "", mode: str = "") -> list[SyncTask]:
        """Begin to sync a mount, or all of a context, or all, and return the tasks; no mode is ``upload``.

        ``path`` may lie below a mount: then only that is synchronised. Raises ``Refused``.
        """
        if mode not in ("", "upload", "download"):
            raise invalid(f"mode must be upload or download, not {shown(mode)}")
        task_type: TaskType = "download" if mode == "download" else "upload"
        found = [mounted for mounted in self._mounted if context_id in ("", mounted.mount.context_id)]
        if context_id and not found:
            raise invalid(f"The context {shown(context_id)} is not mounted in this session; {self._what_is()}")
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
        raise invalid(f"The path {shown(path)} is in none of the mounts; {self._what_is()}")

    def _what_is(self) -> str:
        told = [f"{mount.context_id} at {mount.path}" for mount in self.mounts]
        return f"mounted are {', '.join(told)}" if told else "nothing is mounted"

    async def load_internal(self) -> Mount:
        """Return the mount of the session's own context, made when first asked for. Raises ``Refused``."""
        async with self._loading:
            for mounted in self._mounted:
                if mounted.mount.is_internal:
                    return mounted.mount
            contexts = self._contexts
            context = await contexts.run(contexts.store.make_internal, f"file transfer of {self._session_id}")
            mounted = self._at_place(internal_mount(context.id))
            self._mounted.append(mounted)
            # The directory is there when its path is told, so that the session can write to it. No row tells of this.
            await self._run(mounted, SyncTask(context.id, mounted.mount.path, "download"), "")
            return mounted.mount

    # --- the end ---

    @property
    def wants_upload(self) -> bool:
        """Whether something is to be stored before the session ends."""
        return any(mounted.mount.policy.upload.auto_upload for mounted in self._mounted)

    async def finish(self, seconds: float, reopen: Callable[[], Awaitable[Sandbox]]) -> None:
        """Store what is to be stored before the session ends, within the time; then nothing is at work any more.

        ``reopen`` gives a sandbox on the session's directories, for when its own has ended already.
        """
        for task in self._tasks:
            if task.task_type == "download" and not task.is_over:
                task.end(RELEASED)
                if (sync := self._syncs.get(task)) is not None:
                    sync.break_off(RELEASED)
        try:
            async with asyncio.timeout(seconds):
                if self.wants_upload and self._sandbox.is_closed:
                    self._sandbox = self._reopened = await reopen()
                for mounted in self._mounted:
                    if mounted.mount.policy.upload.auto_upload:
                        self._start(mounted, "upload")
                await self._all_done()
        except TimeoutError:
            await self.break_off(f"it was not done within the {seconds:.0f} seconds a session has for it at its end")
        except OSError as error:
            await self.break_off(f"the session's directories cannot be used any more: {error}")
        for task in self._tasks:
            if task.status == "Failed" and task.task_type == "upload":
                logger.warning(
                    "Session %s: not everything at %s was stored in context %s: %s",
                    self._session_id,
                    task.path,
                    task.context_id,
                    task.error_message,
                )

    async def break_off(self, why: str) -> None:
        """End all that is at work, as failed, and return when it has ended."""
        for sync in list(self._syncs.values()):
            sync.break_off(why)
        for task in self._tasks:
            task.end(why)
        await self._all_done()

    async def close(self) -> None:
        """Remove what was the session's own."""
        await self.break_off(RELEASED)
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
            async with mounted.turn:
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
            # It is mended: clients that look at all rows would take an old failure for this task's.
            self._tasks = [
                other
                for other in self._tasks
                if other is task or other.status != "Failed" or not other.is_about_what(task)
            ]

    async def _sync(self, binding: Binding, task: SyncTask, below: str) -> None:
        """Have a helper do it. Raises ``SyncFailed``, ``SandboxGone`` and ``OSError``."""
        # What it says is only of use to who debugs it.
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
    """Return the rows that fit what is not empty."""
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
