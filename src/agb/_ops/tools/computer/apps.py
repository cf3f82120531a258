"""The applications of a desktop: those that can be started, those that run, starting and ending."""

from __future__ import annotations

from typing import Any

from ...._wire.shape import TEXT, WHOLE, Array, Object, maybe
from ...._wire.toolcall import ToolCall, ToolReply
from ....desktop import InstalledApp, Process
from ....exceptions import ApplicationError
from ....results.desktop import AppOperationResult, InstalledAppListResult, ProcessListResult
from . import action, check_flag, check_line, check_number, desktop_call, parsed

PROCESSES = Array(Object({"pname": maybe(TEXT), "pid": maybe(WHOLE), "cmdline": maybe(TEXT)}))
APPLICATIONS = Array(Object(dict.fromkeys(("name", "start_cmd", "stop_cmd", "work_directory"), maybe(TEXT))))


def start_app(start_cmd: str, work_directory: str, activity: str, *, session_id: str) -> ToolCall[ProcessListResult]:
    """Return the call that starts an application."""
    args = {"start_cmd": check_line("start_cmd", start_cmd, "gedit /tmp/notes.txt")}
    if check_line("work_directory", work_directory, "/tmp", is_needed=False):
        args["work_directory"] = work_directory
    if check_line("activity", activity, "com.example/.Main", is_needed=False):
        args["activity"] = activity
    return _processes("start_app", args, session_id, f"start {start_cmd!r}")


def list_visible_apps(*, session_id: str) -> ToolCall[ProcessListResult]:
    """Return the call that lists the processes with visible windows."""
    return _processes("list_visible_apps", {}, session_id, "list the visible applications", repeatable=True)


def _processes(
    name: str, args: dict[str, str], session_id: str, description: str, *, repeatable: bool = False
) -> ToolCall[ProcessListResult]:
    def read(reply: ToolReply) -> ProcessListResult:
        values = parsed(reply, PROCESSES, session_id, "Failed to parse processes JSON", ApplicationError)
        return ProcessListResult.of([Process(**{"pname": "", "pid": 0, **v}) for v in values], reply.request_id)

    return desktop_call(
        name,
        args,
        read,
        session_id,
        description,
        error=ApplicationError,
        repeatable=repeatable,
        shape=PROCESSES,
    )


def get_installed_apps(
    start_menu: bool, desktop: bool, ignore_system_apps: bool, *, session_id: str
) -> ToolCall[InstalledAppListResult]:
    """Return the call that lists the applications that can be started."""
    given = {"start_menu": start_menu, "desktop": desktop, "ignore_system_apps": ignore_system_apps}
    args = {name: check_flag(name, value) for name, value in given.items()}

    def read(reply: ToolReply) -> InstalledAppListResult:
        values = parsed(reply, APPLICATIONS, session_id, "Failed to parse applications JSON", ApplicationError)
        apps = [InstalledApp(**{"name": "", "start_cmd": "", **value}) for value in values]
        return InstalledAppListResult.of(apps, reply.request_id)

    return desktop_call(
        "get_installed_apps",
        args,
        read,
        session_id,
        "list the installed applications",
        error=ApplicationError,
        repeatable=True,
        shape=APPLICATIONS,
    )


def stop_app_by_pname(pname: str, *, session_id: str) -> ToolCall[AppOperationResult]:
    """Return the call that ends all processes of a name."""
    check_line("pname", pname, "gedit")
    return _stop("stop_app_by_pname", {"pname": pname}, session_id, f"end the processes named {pname!r}")


def stop_app_by_pid(pid: int, *, session_id: str) -> ToolCall[AppOperationResult]:
    """Return the call that ends a process."""
    pid = check_number("pid", pid, "the id of a process, as in process.pid")
    return _stop("stop_app_by_pid", {"pid": pid}, session_id, f"end the process {pid}")


def stop_app_by_cmd(stop_cmd: str, *, session_id: str) -> ToolCall[AppOperationResult]:
    """Return the call that runs a command which ends an application."""
    check_line("stop_cmd", stop_cmd, "pkill -x gedit")
    return _stop("stop_app_by_cmd", {"stop_cmd": stop_cmd}, session_id, f"run the command {stop_cmd!r}")


def _stop(name: str, args: dict[str, Any], session_id: str, description: str) -> ToolCall[AppOperationResult]:
    call = action(name, args, session_id, description, error=ApplicationError)

    def read(reply: ToolReply) -> AppOperationResult:
        done = call.read(reply)
        return AppOperationResult(done.request_id, done.success, done.error_message, error=done.error)

    return desktop_call(name, args, read, session_id, description, error=ApplicationError)
