"""The applications of a session's desktop."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...._ops.tools.computer import apps as ops
from ...._ops.tools.computer.windows import WindowQuery
from ....desktop import LaunchedApp
from ....results.desktop import AppOperationResult, InstalledAppListResult, ProcessListResult
from ..tools import tool_result
from .polling import AsyncDesktopCalls
from .window import list_windows, no_window

if TYPE_CHECKING:
    from ....desktop import Window
    from ..protocols import AsyncSessionAccess


class AsyncApplicationManager:
    """The applications; available as ``session.computer.app``.

    Every method but `launch` returns a result, and raises for wrong arguments only; ``timeout`` is the time for the
    whole call in seconds, without it the client's time-out.
    """

    def __init__(self, session: AsyncSessionAccess) -> None:
        self.session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    async def start(
        self, start_cmd: str, work_directory: str = "", activity: str = "", *, timeout: float | None = None
    ) -> ProcessListResult:
        """Start an application, and do not wait for its window; `launch` does.

        Args:
            start_cmd: a command line, or the ``start_cmd`` of an installed application.
            work_directory: the directory it is started in; ``""`` for the usual one.
            activity: the activity of an application on a phone.
            timeout: seconds for the whole call.

        Returns:
            The processes that were started as ``data``. A program that does not exist is a failure.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     started = await session.computer.app.start("xterm")
            ...     print(started.data[0].pname)
            xterm

        API: the tool ``start_app``.
        """
        call = ops.start_app(start_cmd, work_directory, activity, session_id=self.session.session_id)
        return await tool_result(self.session, call, ProcessListResult, timeout=timeout)

    async def launch(
        self,
        start_cmd: str,
        work_directory: str = "",
        *,
        title: str | re.Pattern[str] | None = None,
        timeout: float | None = None,
    ) -> LaunchedApp:
        """Start an application and wait for its window.

        That is the first window which was not there before: one of the processes that were started if there is such a
        window, otherwise any, since many programs open their window in another process. Where several applications
        start at the same time, ``title`` selects the right one.

        Args:
            start_cmd: as for `start`.
            work_directory: as for `start`.
            title: a part of the window's title, or a pattern that is found in it.
            timeout: seconds for everything; without it, the client's time-out.

        Returns:
            The window and the processes that were started.

        Raises:
            ApplicationError: it could not be started, or has no new window in time (its ``kind`` is ``TIMED_OUT``); in
                this case it still runs.
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     app = await session.computer.app.launch("xterm -T notes", timeout=30)
            ...     print(app.window.title, app.processes[0].pname)
            notes xterm

        API: the tools ``list_root_windows`` and ``start_app``.
        """
        query = WindowQuery(title)
        query.check(is_needed=False)
        call = ops.start_app(start_cmd, work_directory, "", session_id=self.session.session_id)
        calls = AsyncDesktopCalls(self.session, timeout)
        before = {window.window_id for window in await list_windows(calls)}
        started = await calls.run(call)
        pids = {process.pid for process in started.data}
        windows: list[Window] = []

        async def find() -> Window | None:
            nonlocal windows
            windows = await list_windows(calls)
            new = [window for window in windows if window.window_id not in before]
            return query.first(sorted(new, key=lambda window: window.pid not in pids))

        window = await calls.poll(find)
        if window is None:
            names = ", ".join(f"{process.pname} ({process.pid})" for process in started.data)
            wanted = f"no new window with {query}" if title else "no new window"
            text = f"Started {start_cmd!r} as {names}, but {wanted} appeared {calls.deadline.description}"
            raise no_window(text, windows, self.session.session_id)
        return LaunchedApp(window, started.data, started.request_id)

    async def stop_by_pname(self, pname: str, *, timeout: float | None = None) -> AppOperationResult:
        """End all processes that have exactly this name.

        Raises:
            ValueError, TypeError: the name is invalid; nothing was sent.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     app = await session.computer.app.launch("xterm")
            ...     print((await session.computer.app.stop_by_pname("xterm")).success)
            True

        API: the tool ``stop_app_by_pname``.
        """
        call = ops.stop_app_by_pname(pname, session_id=self.session.session_id)
        return await tool_result(self.session, call, AppOperationResult, timeout=timeout)

    async def stop_by_pid(self, pid: int, *, timeout: float | None = None) -> AppOperationResult:
        """End a process.

        Raises:
            ValueError, TypeError: the id is invalid; nothing was sent.

        API: the tool ``stop_app_by_pid``.
        """
        call = ops.stop_app_by_pid(pid, session_id=self.session.session_id)
        return await tool_result(self.session, call, AppOperationResult, timeout=timeout)

    async def stop_by_cmd(self, stop_cmd: str, *, timeout: float | None = None) -> AppOperationResult:
        """End an application by running a command, such as its ``stop_cmd``, in the session's shell.

        Raises:
            ValueError, TypeError: the command is invalid; nothing was sent.

        API: the tool ``stop_app_by_cmd``.
        """
        call = ops.stop_app_by_cmd(stop_cmd, session_id=self.session.session_id)
        return await tool_result(self.session, call, AppOperationResult, timeout=timeout)

    async def list_installed(
        self,
        start_menu: bool = True,
        desktop: bool = False,
        ignore_system_apps: bool = True,
        *,
        timeout: float | None = None,
    ) -> InstalledAppListResult:
        """Return the applications that can be started as ``data``.

        Args:
            start_menu: those of the menu.
            desktop: those with an icon on the desktop.
            ignore_system_apps: leave out those of the system, such as its settings.
            timeout: seconds for the whole call.

        Raises:
            TypeError: an argument is not True or False; nothing was sent.

        API: the tool ``get_installed_apps``.
        """
        call = ops.get_installed_apps(start_menu, desktop, ignore_system_apps, session_id=self.session.session_id)
        return await tool_result(self.session, call, InstalledAppListResult, timeout=timeout)

    async def get_visible(self, *, timeout: float | None = None) -> ProcessListResult:
        """Return the processes with visible windows as ``data``; those with minimized ones only may be missing.

        API: the tool ``list_visible_apps``.
        """
        call = ops.list_visible_apps(session_id=self.session.session_id)
        return await tool_result(self.session, call, ProcessListResult, timeout=timeout)
