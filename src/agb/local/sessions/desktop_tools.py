"""The tools of a desktop: the arguments of each, and the request to the session's desktop."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ..desktop.start import NotStarted, start
from .arguments import Arguments, Text
from .session import LocalSession
from .shell import run_shell
from .tools import NoArguments, Tool, ToolReply, to_json

_SERVER: Final = "wuying_ui"
_CAPTURE_SERVER: Final = "wuying_capture"
_MOST_NOTCHES: Final = 1000
_LONGEST_TEXT: Final = 100_000
_LARGEST_WINDOW: Final = 32_767
_STOP_SECONDS: Final = 30.0

X = Annotated[int, Meta(description="Pixels from the left edge of the screen.")]
Y = Annotated[int, Meta(description="Pixels from the upper edge of the screen.")]
WindowId = Annotated[int, Meta(description="Number of the window.")]
Button = Literal["left", "right", "middle"]
Keys = Annotated[
    list[Annotated[Text, Meta(min_length=1)]],
    Meta(description="Names of keys, or the characters they type; all are pressed together.", min_length=1),
]


class PointArguments(Arguments, frozen=True):
    """Arguments of ``move_mouse``."""

    x: X
    y: Y


class ClickArguments(Arguments, frozen=True):
    """Arguments of ``click_mouse``."""

    x: X
    y: Y
    button: Annotated[
        Literal["left", "right", "middle", "double_left"], Meta(description="The button; double_left clicks twice.")
    ] = "left"


class DragArguments(Arguments, frozen=True):
    """Arguments of ``drag_mouse``."""

    from_x: X
    from_y: Y
    to_x: X
    to_y: Y
    button: Annotated[Button, Meta(description="The button that is held.")] = "left"


class ScrollArguments(Arguments, frozen=True):
    """Arguments of ``scroll``."""

    x: X
    y: Y
    direction: Annotated[
        Literal["up", "down", "left", "right"], Meta(description="Where the view moves to, as a wheel moves it.")
    ] = "up"
    amount: Annotated[int, Meta(description="Notches of the wheel.", ge=0, le=_MOST_NOTCHES)] = 1


class TypeArguments(Arguments, frozen=True):
    """Arguments of ``input_text``."""

    text: Annotated[
        str, Meta(description="Text of any language; a line end presses Enter, a tab Tab.", max_length=_LONGEST_TEXT)
    ]


class PressArguments(Arguments, frozen=True):
    """Arguments of ``press_keys``."""

    keys: Keys
    hold: Annotated[bool, Meta(description="Whether they stay down until release_keys.")] = False


class ReleaseArguments(Arguments, frozen=True):
    """Arguments of ``release_keys``."""

    keys: Keys


class ScreenshotArguments(Arguments, frozen=True):
    """Arguments of ``screenshot``."""

    format: Annotated[Literal["png", "jpeg"], Meta(description="The form of the picture.")] = "png"


class ListWindowsArguments(Arguments, frozen=True):
    """Arguments of ``list_root_windows``."""

    timeout_ms: Annotated[int, Meta(description="Milliseconds until it fails.", ge=1, le=600_000)] = 3000


class WindowArguments(Arguments, frozen=True):
    """Arguments of the tools that change a window."""

    window_id: WindowId


class ResizeArguments(Arguments, frozen=True):
    """Arguments of ``resize_window``."""

    window_id: WindowId
    width: Annotated[int, Meta(description="Pixels, without the frame.", ge=1, le=_LARGEST_WINDOW)]
    height: Annotated[int, Meta(description="Pixels, without the frame.", ge=1, le=_LARGEST_WINDOW)]


class FocusArguments(Arguments, frozen=True):
    """Arguments of ``focus_mode``."""

    on: Annotated[bool, Meta(description="Whether the window that has the focus is kept in front of all others.")]


class StartArguments(Arguments, frozen=True):
    """Arguments of ``start_app``."""

    start_cmd: Annotated[Text, Meta(description="Program and arguments, as in a desktop entry; no shell runs it.")]
    work_directory: Annotated[Text, Meta(description="Directory to start it in; the default is the home.")] = ""
    activity: Annotated[Text, Meta(description="For mobile applications; it changes nothing here.")] = ""


class StopByNameArguments(Arguments, frozen=True):
    """Arguments of ``stop_app_by_pname``."""

    pname: Annotated[Text, Meta(description="Name of the processes, exactly.")]


class StopByPidArguments(Arguments, frozen=True):
    """Arguments of ``stop_app_by_pid``."""

    pid: Annotated[int, Meta(description="Number of the process.")]


class StopByCommandArguments(Arguments, frozen=True):
    """Arguments of ``stop_app_by_cmd``."""

    stop_cmd: Annotated[Text, Meta(description="Shell command that ends the application.")]


class InstalledArguments(Arguments, frozen=True):
    """Arguments of ``get_installed_apps``; the last one has two names in the protocol."""

    start_menu: Annotated[bool, Meta(description="Whether the applications of the start menu are returned.")] = True
    desktop: Annotated[bool, Meta(description="Whether those with an icon on the desktop are returned.")] = False
    ignore_system_apps: Annotated[bool, Meta(description="Whether settings and administration are left out.")] = True
    ignore_system_app: Annotated[bool | None, Meta(description="The same, under its older name.")] = None


async def _list_windows(session: LocalSession, given: ListWindowsArguments) -> ToolReply:
    reply = await session.on_desktop("list_root_windows", {}, seconds=given.timeout_ms / 1000)
    return ToolReply(reply.text, is_error=not reply.ok)


async def _installed(session: LocalSession, given: InstalledArguments) -> ToolReply:
    older = given.ignore_system_app
    args = {
        "start_menu": given.start_menu,
        "desktop": given.desktop,
        "ignore_system_apps": given.ignore_system_apps if older is None else older,
    }
    reply = await session.on_desktop("get_installed_apps", args)
    return ToolReply(reply.text, is_error=not reply.ok)


async def _system_screenshot(session: LocalSession, _: NoArguments) -> ToolReply:
    """Take a picture and keep it; the text is its URL."""
    reply = await session.on_desktop("system_screenshot", {})
    if not reply.ok:
        return ToolReply(reply.text, is_error=True)
    name = await session.screenshots.keep(reply.content)
    return ToolReply("", path=f"/sessions/{session.id}/screenshots/{name}")


async def _start_app(session: LocalSession, given: StartArguments) -> ToolReply:
    """Start a program and return it, and those it has started; one that fails at once is an error."""
    await session.ready_for_programs()
    try:
        started = await start(session.sandbox, given.start_cmd, given.work_directory or None)
    except NotStarted as error:
        return ToolReply(f"start_app: {error}", is_error=True)
    reply = await session.on_desktop("started_by", {"pid": started.pid})
    if not reply.ok or reply.text != "[]":
        return ToolReply(reply.text, is_error=not reply.ok)
    return ToolReply(to_json([{"pname": started.name, "pid": started.pid, "cmdline": started.command_line}]))


async def _stop_by_command(session: LocalSession, given: StopByCommandArguments) -> ToolReply:
    """Run a shell command."""
    result = await run_shell(session.sandbox, session.shell, given.stop_cmd, timeout=_STOP_SECONDS)
    if result.exit_code == 0:
        return ToolReply("true")
    why = result.stderr.strip() or f"exit code {result.exit_code}"
    return ToolReply(f"stop_app_by_cmd: the command failed: {why}", is_error=True)


def _tool(name: str, description: str, kind: type[Arguments] = NoArguments, server: str = _SERVER) -> Tool:
    async def function(session: LocalSession, given: Any) -> ToolReply:
        reply = await session.on_desktop(name, msgspec.to_builtins(given))
        return ToolReply(reply.text, is_error=not reply.ok)

    return Tool(name, server, description, kind, function)


DESKTOP_TOOLS: Final = (
    _tool("click_mouse", "Move the mouse to a point and click.", ClickArguments),
    _tool("move_mouse", "Move the mouse to a point.", PointArguments),
    _tool("drag_mouse", "Press a button at a point, move the mouse to another one, release.", DragArguments),
    _tool("scroll", "Move the mouse to a point and turn its wheel.", ScrollArguments),
    _tool("get_cursor_position", "Return where the mouse is, as JSON."),
    _tool("input_text", "Type a text.", TypeArguments),
    _tool("press_keys", "Press keys together and release them, or hold them.", PressArguments),
    _tool("release_keys", "Release keys that are held.", ReleaseArguments),
    Tool("list_root_windows", _SERVER, "Return the windows, as JSON.", ListWindowsArguments, _list_windows),
    _tool("get_active_window", "Return the window that has the focus, as JSON; no text if none has."),
    _tool("activate_window", "Give a window the focus and show it in front.", WindowArguments),
    _tool("close_window", "Close a window.", WindowArguments),
    _tool("maximize_window", "Let a window fill the screen.", WindowArguments),
    _tool("minimize_window", "Minimise a window.", WindowArguments),
    _tool("restore_window", "Show a minimised window again, or give another one its normal size.", WindowArguments),
    _tool("resize_window", "Give a window another size.", ResizeArguments),
    _tool("fullscreen_window", "Let a window cover the screen without a frame.", WindowArguments),
    _tool("focus_mode", "Keep the window that has the focus in front of all others, or not.", FocusArguments),
    Tool(
        "start_app",
        _SERVER,
        "Start an application and return its processes, as JSON.",
        StartArguments,
        _start_app,
        summarized="start_cmd",
    ),
    _tool("stop_app_by_pname", "End all processes of a name.", StopByNameArguments),
    _tool("stop_app_by_pid", "End a process.", StopByPidArguments),
    Tool(
        "stop_app_by_cmd",
        _SERVER,
        "Run a shell command that ends an application.",
        StopByCommandArguments,
        _stop_by_command,
        summarized="stop_cmd",
        ends_with_caller=True,
    ),
    Tool("get_installed_apps", _SERVER, "Return the installed applications, as JSON.", InstalledArguments, _installed),
    _tool("list_visible_apps", "Return the processes that have a visible window, as JSON."),
    _tool("get_screen_size", "Return the size of the screen in pixels, as JSON."),
    Tool(
        "system_screenshot",
        _CAPTURE_SERVER,
        "Return the URL of a picture of the screen, which can be fetched for half an hour.",
        NoArguments,
        _system_screenshot,
    ),
    _tool("screenshot", "Return a picture of the screen in base64, as JSON.", ScreenshotArguments, _CAPTURE_SERVER),
)
