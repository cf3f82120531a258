"""The runtime: creates sessions, finds them, calls their tools, and releases them on time. It knows no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from attrs import evolve, frozen

from ..browser.agent.agent import PageAgent
from ..browser.agent.driver import Driver
from ..browser.chromium import find_chromium
from ..browser.session_browser import Browsers, SessionBrowser
from ..contexts.mounts import Mount
from ..contexts.service import RECYCLE_EVERY, Contexts
from ..contexts.session_mounts import SessionMounts, select
from ..desktop.desktop import Desktop, ScreenSize
from ..desktop.programs import DesktopPrograms
from ..errors import CannotStart, Refused, invalid, session_not_found
from ..kernels.base import Execution
from ..kernels.interpreters import Languages, find_languages
from ..limits import Limits
from ..page_tokens import number_before, token_after
from ..planner import Planner
from ..report import Report
from ..sandbox.directories import CannotMount, remove
from ..sandbox.isolation import Wanted, choose
from ..sandbox.pasta import NetworkFailed
from ..sandbox.sandbox import Sandbox, StartFailed
from . import calls, data_directory
from .finished import FinishedSessions
from .images import WITH_DESKTOP, abilities, tools_of
from .programs import Programs
from .sandboxes import Sandboxes, to_the_end
from .session import LocalSession, State
from .tools import ToolReply
from .warm import WarmSandboxes

_SYNCS = 16
"""Syncs at a time; further ones wait."""
STOP_SYNCS = 30.0
"""Seconds in which all sessions may store their data when the runtime stops."""


@frozen
class Page:
    """Some of the sessions asked for; ``next_token`` is empty on the last page, ``count`` is of all pages."""

    sessions: list[LocalSession]
    next_token: str
    count: int


class Runtime:
    """Runs sessions on this machine; an asynchronous context manager.

    For example::

        async with Runtime() as runtime:
            session = await runtime.create("agb-code-space-1")
            reply = await runtime.call_tool(session.id, "shell", {"command": "uname"}, route="api")

    ``data_dir`` keeps the contexts, and the files of sessions while they run; without one it is a temporary directory.
    ``allow_none`` lets ``isolation="auto"`` go on without a sandbox where there is none, and the report says so.
    ``warm`` is how many sandboxes are made ahead of the sessions that get them. ``screen`` is the size of desktops.
    ``planner`` decides what the agents of browsers do; without one the runtime's own engine does.
    Entering raises ``CannotStart`` with a remedy; leaving releases every session and removes everything that was
    created, except for the contexts in a ``data_dir``.
    """

    report: Report
    contexts: Contexts
    """The contexts, which outlive sessions."""

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        isolation: Literal["auto", "bubblewrap", "none"] = "auto",
        network: Literal["auto", "isolated", "host"] = "auto",
        limits: Limits = Limits(),  # noqa: B008 - frozen
        allow_none: bool = False,
        warm: int = 0,
        screen: ScreenSize = ScreenSize(),  # noqa: B008 - frozen
        planner: Planner | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        self._wanted = Wanted(isolation=isolation, network=network, allow_none=allow_none)
        self._data_dir = data_dir
        self._clock = clock
        self._wall_clock = wall_clock
        self._sessions: dict[str, LocalSession] = {}
        self._finished = FinishedSessions()
        self._being_made: Counter[str] = Counter()
        """Contexts that are mounted by sessions under construction."""
        self._sync_threads = ThreadPoolExecutor(_SYNCS, thread_name_prefix="sync")
        self._created = 0
        self._warm_number = warm
        self._planner = planner
        self._driver = Driver()
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._is_closing = False
        self._next_recycling = 0.0
        self._shell = "/bin/sh"
        self._languages: Languages
        self._browsers: Browsers
        self.desktop_programs = DesktopPrograms()
        self._screen = screen
        self._sandboxes: Sandboxes
        self._warm: WarmSandboxes
        self._cleanup = contextlib.AsyncExitStack()

    # --- start and stop ---

    async def __aenter__(self) -> Self:
        if not sys.platform.startswith("linux"):
            raise CannotStart(
                "sessions run on Linux only; on another system run `agb serve` in a Linux container or machine"
            )
        try:
            await self._open()
        except BaseException:
            await self._cleanup.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        await to_the_end(self._close())

    async def _open(self) -> None:
        data_dir = data_directory.claim(self._data_dir, self._cleanup)
        area, removed, shared = (data_dir / name for name in ("sessions", "removed", "shared"))
        for left in (area, removed, shared, *data_directory.abandoned()):
            await remove(left)
        for directory in (area, removed, shared):
            directory.mkdir(mode=0o700)
            self._cleanup.push_async_callback(remove, directory)
        self.contexts = await Contexts.open(data_dir / "contexts", clock=self._wall_clock)
        self._cleanup.push_async_callback(self.contexts.close)
        self._next_recycling = self._clock() + RECYCLE_EVERY  # opening them has recycled
        self._cleanup.callback(self._sync_threads.shutdown)
        self.contexts.sessions_of = self._sessions_of
        chromium = asyncio.ensure_future(asyncio.to_thread(find_chromium))
        self._languages = await asyncio.to_thread(find_languages)
        self.desktop_programs = DesktopPrograms.find()
        self._browsers = Browsers(await chromium)
        isolation, report = await choose(
            self._wanted, self._languages, area, shared, self.limits, others=self._browsers.trees
        )
        report = self._browsers.reported(report)
        report = self.desktop_programs.reported(report, self._screen.width, self._screen.height)
        self.report = evolve(report, images=abilities(report.missing))
        self._cleanup.push_async_callback(self._driver.close)
        self._sandboxes = Sandboxes(isolation, area, removed, self.limits)
        self._cleanup.push_async_callback(self._sandboxes.close)
        self._warm = WarmSandboxes(self._sandboxes, self._languages, self._warm_number, self._clock)
        # An absolute path: the variables of a command may have another PATH.
        path = os.pathsep.join(isolation.path)
        self._shell = shutil.which("bash", path=path) or shutil.which("sh", path=path) or "/bin/sh"
        self._timer = asyncio.create_task(self._keep_time())

    async def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.wait({self._timer})
        self.begin_to_stop()
        await self._warm.close()
        if self._ends:
            await asyncio.wait(self._ends.values(), timeout=STOP_SYNCS)
        for session in list(self._sessions.values()):
            await session.mounts.abort(f"it was not done within {STOP_SYNCS:.0f} seconds, and the runtime stops")
        while self._ends:
            await asyncio.wait(self._ends.values())
        await self._cleanup.aclose()

    def begin_to_stop(self) -> None:
        """Begin to release all sessions, make no more, and return at once."""
        self._is_closing = True
        for session_id in list(self._sessions):
            self.release(session_id)

    # --- sessions ---

    async def create(
        self,
        image_id: str,
        *,
        labels: Mapping[str, str] | None = None,
        idle_timeout: float | None = None,
        policy_id: str = "",
        mounts: Sequence[Mount] = (),
    ) -> LocalSession:
        """Return a new session, running. ``idle_timeout`` is in seconds; ``policy_id`` is kept and changes nothing.

        The data of ``mounts`` is downloaded in the background; the mounts' tasks report the end of it. Raises
        ``Refused`` for an unknown image or context, for a place where nothing can be mounted, for a time that is not
        above zero, and when there are too many sessions.
        """
        tools_of(image_id)
        if idle_timeout is not None and not 0 < idle_timeout < float("inf"):
            raise invalid("the idle timeout must be a number of seconds above 0")
        if len(self._sessions) >= self.limits.sessions or self._is_closing:
            why = "the runtime is stopping" if self._is_closing else f"there are {len(self._sessions)} sessions already"
            raise Refused("QuotaExceeded", f"No session can be created: {why}", http_status=429)
        with self._using(mounts):
            await self._check_mounts(mounts)
            return await self._create(
                image_id,
                labels=labels or {},
                policy_id=policy_id,
                idle_timeout=self.limits.idle if idle_timeout is None else idle_timeout,
                mounts=mounts,
            )

    async def _create(
        self, image_id: str, *, labels: Mapping[str, str], policy_id: str, idle_timeout: float, mounts: Sequence[Mount]
    ) -> LocalSession:
        session_id = f"s-{secrets.token_hex(10)}"
        if (programs := self._warm.take() if not mounts else None) is None:
            try:
                sandbox = await self._sandboxes.make(Path(mount.place) for mount in mounts)
            except (StartFailed, NetworkFailed) as error:
                raise Refused("InternalError", f"The session could not be started: {error}", http_status=500) from error
            programs = Programs(sandbox, self._languages)
        sandbox = programs.sandbox
        sandbox.on_end = lambda: self._ended_by_itself(session_id)
        programs.on_code = self._warm.note_code
        if image_id in WITH_DESKTOP:
            programs.start_desktop_ahead(Desktop(sandbox, self.desktop_programs, self._screen))
        self._created += 1
        browser = SessionBrowser(sandbox, self._browsers, programs.files)
        session = LocalSession(
            session_id,
            number=self._created,
            image_id=image_id,
            labels=labels,
            policy_id=policy_id,
            idle_timeout=idle_timeout,
            programs=programs,
            browser=browser,
            agent=PageAgent(browser, self._driver, self._planner),
            mounts=SessionMounts(
                session_id,
                mounts,
                sandbox=sandbox,
                contexts=self.contexts,
                limits=self.limits,
                threads=self._sync_threads,
            ),
            languages=self._languages,
            shell=self._shell,
            clock=self._clock,
        )
        self._sessions[session_id] = session
        session.mounts.begin()
        if sandbox.is_closed or self._is_closing:
            self.release(session_id)
        self._warm.note_session()
        self._wake.set()
        return session

    @contextlib.contextmanager
    def _using(self, mounts: Sequence[Mount]) -> Iterator[None]:
        """Keep contexts from being deleted while a session is made that mounts them."""
        used = Counter(mount.context_id for mount in mounts)
        self._being_made += used
        try:
            yield
        finally:
            self._being_made -= used

    async def _check_mounts(self, mounts: Sequence[Mount]) -> None:
        """Raise ``Refused`` unless there are these contexts and places; note how long their files are kept."""
        for mount in mounts:
            try:
                self._sandboxes.isolation.check_mount(Path(mount.place))
            except CannotMount as error:
                raise invalid(f"Nothing can be mounted at {mount.path!a}: {error}") from error
        store = self.contexts.store
        for mount in mounts:
            await self.contexts.run(store.touch, mount.context_id)
        for mount in mounts:
            await self.contexts.run(
                store.recycling.set_rule, mount.context_id, mount.keys, mount.policy.days, mount.policy.recycle.paths
            )

    def _sessions_of(self, context_id: str) -> list[str]:
        """Return the ids of the sessions that mount a context."""
        found = [
            session.id
            for session in self._sessions.values()
            if any(mount.context_id == context_id for mount in session.mounts.mounts)
        ]
        return found or (["that is being created"] if self._being_made[context_id] else [])

    def rows(self, session_id: str, context_id: str, path: str, task_type: str) -> list[dict[str, Any]]:
        """Return the sync tasks of a session as GetContextInfo reports them, also for some time after its end.

        Arguments that are not empty narrow them down. Raises ``Refused``.
        """
        if (session := self._sessions.get(session_id)) is not None:
            return session.mounts.rows(context_id, path, task_type)
        self.status(session_id)
        return select(self._finished.rows(session_id), context_id, path, task_type)

    def find(self, session_id: str, *, tool: bool = False) -> LocalSession:
        """Return a running session; does not count as activity.

        Raises ``Refused``, for tool calls (``tool``) with the code they have for it.
        """
        session = self._sessions.get(session_id)
        if session is None or session.state != "RUNNING":
            raise session_not_found(session_id, tool=tool)
        return session

    def status(self, session_id: str) -> State:
        """Return the state of a session, also for some time after its end. Raises ``Refused``."""
        if (session := self._sessions.get(session_id)) is not None:
            return session.state
        if session_id in self._finished:
            return "FINISH"
        raise session_not_found(session_id)

    def list(self, labels: Mapping[str, str], *, max_results: int, next_token: str | None = None) -> Page:
        """Return the running sessions that have all these labels, oldest first.

        Pages are stable: ``next_token`` continues after the last session shown, also if sessions were created or
        released since. Raises ``Refused`` for an invalid token and a size below 1.
        """
        if max_results < 1:
            raise invalid("maxResults must be 1 or more")
        after = number_before(next_token) if next_token else 0
        matching = [s for s in self._sessions.values() if s.state == "RUNNING" and s.matches(labels)]
        waiting = [session for session in matching if session.number > after]
        page = waiting[:max_results]
        token = token_after(page[-1].number) if len(waiting) > len(page) else ""
        return Page(page, token, len(matching))

    def sessions(self) -> Sequence[LocalSession]:
        """Return the sessions that run, oldest first."""
        return [session for session in self._sessions.values() if session.state == "RUNNING"]

    def release(self, session_id: str) -> None:
        """Begin to release a session and return at once; a second call changes nothing. Raises ``Refused``."""
        session = self._sessions.get(session_id)
        if session is None:
            raise session_not_found(session_id)
        if session.state == "RUNNING":
            session.state = "DELETING"
            self._ends[session_id] = asyncio.create_task(self._end(session))

    async def released(self, session_id: str) -> None:
        """Return once a session that is being released is gone, its processes and its directory too."""
        if (end := self._ends.get(session_id)) is not None:
            await asyncio.wait({end})

    async def _end(self, session: LocalSession) -> None:
        try:
            await session.agent.close()
            await session.browser.close()  # before its profile is uploaded
            await session.mounts.finish(self.limits.last_sync, lambda: self._reopened(session))
            await session.close()
            await self._sandboxes.remove(session.sandbox)
        finally:
            session.state = "FINISH"
            del self._sessions[session.id], self._ends[session.id]
            self._finished.add(session.id, session.mounts.rows())

    def _ended_by_itself(self, session_id: str) -> None:
        if session_id in self._sessions:
            self.release(session_id)

    async def _reopened(self, session: LocalSession) -> Sandbox:
        """Return a sandbox on the directories of a session whose own has ended by itself. Raises ``OSError``."""
        try:
            return await self._sandboxes.reopen(session.sandbox)
        except (StartFailed, NetworkFailed) as error:
            raise OSError(str(error)) from error

    # --- tools ---

    async def call_tool(
        self, session_id: str, name: str, args: Mapping[str, Any], *, route: str, hang_up: calls.HangUp | None = None
    ) -> ToolReply:
        """Call a tool of a session; an error inside the session is a reply with ``is_error``.

        Counts as activity before and after, and is kept in the session's recent calls with its ``route``. With
        ``hang_up``, which returns once the caller has hung up, code and commands are ended then.
        Raises ``Refused`` when there is no such session (any more).
        """
        return await calls.call_tool(self.find(session_id, tool=True), name, args, route=route, hang_up=hang_up)

    async def stream_code(self, session_id: str, args: Mapping[str, Any], execution: Execution) -> None:
        """Run code like the tool ``run_code``; ``execution`` takes the output while the code runs.

        Counts as activity until it ends. Raises ``Refused`` for a session that does not exist or was released while
        the code ran, and for arguments that make no sense.
        """
        await calls.stream_code(self.find(session_id, tool=True), args, execution)

    # --- time ---

    def sweep(self) -> float:
        """Do all that is due: release sessions, recycle files of contexts, end sandboxes that were not used.

        Return when the next of these is due, on the runtime's clock.
        """
        now = self._clock()
        if now >= self._next_recycling:
            self._next_recycling = now + RECYCLE_EVERY
            self.contexts.recycle()
        due = {
            session.id: session.due(self.limits.life)
            for session in self._sessions.values()
            if session.state == "RUNNING"
        }
        for session_id in [session_id for session_id, at in due.items() if at <= now]:
            del due[session_id]
            self.release(session_id)
        return min((self._next_recycling, self._warm.sweep(), *due.values()))

    async def _keep_time(self) -> None:
        while True:
            self._wake.clear()
            seconds = max(0.01, self.sweep() - self._clock())
            with contextlib.suppress(TimeoutError):
                # Not wait_for, here and elsewhere: before Python 3.12 it can lose a cancellation.
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
