# Generated from src/agb/_async/modules/computer/flat.py by tools/unasync.py. Do not edit.
"""The methods of a desktop by the names that they had before they were grouped, all deprecated since 0.11."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from warnings import warn

from ...._ops.tools.computer.screen import get_screen_size_text
from ....desktop import MouseButton, ScrollDirection
from ....results.base import BoolResult, OperationResult
from ..tools import tool_result
from .app import ApplicationManager
from .keyboard import KeyboardController
from .mouse import MouseController
from .screen import ScreenController
from .window import WindowManager

if TYPE_CHECKING:
    from ....results.narrowed import OperationFailure, OperationSuccess
    from ..protocols import SessionAccess

P = ParamSpec("P")
T = TypeVar("T")


def _deprecated(use: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a method warn, with the text of 0.12, that it is another one's old name."""

    def decorate(method: Callable[P, T]) -> Callable[P, T]:
        name = method.__name__

        @wraps(method)
        def warned(*args: P.args, **kwargs: P.kwargs) -> T:
            text = f"computer.{name}() is deprecated. Use computer.{use}() instead."
            warn(text, DeprecationWarning, stacklevel=2)
            return method(*args, **kwargs)

        return warned

    return decorate


def _renamed(name: str, part: str, method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[FlatNames, P], T]:
    """Return a method of that old name which calls a method of a part; it ignores unknown keywords, as 0.12 does."""
    shape = signature(method)
    use = f"{part}.{method.__name__}"

    def renamed(self: FlatNames, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for unknown in kwargs.keys() - shape.parameters.keys():
            del kwargs[unknown]
        return method(getattr(self, part), *args, **kwargs)

    renamed.__name__, renamed.__qualname__ = name, f"FlatNames.{name}"
    renamed.__doc__ = f"Call ``computer.{use}``, of which this is the deprecated name."
    parameters = [*shape.parameters.values(), Parameter("kwargs", Parameter.VAR_KEYWORD)]
    renamed.__signature__ = shape.replace(parameters=parameters)  # type: ignore[attr-defined]
    return _deprecated(use)(renamed)


class FlatNames:
    """The deprecated methods; those below the table have other parameters or results than what they stand for."""

    session: SessionAccess
    mouse: MouseController
    keyboard: KeyboardController
    window: WindowManager
    app: ApplicationManager
    screen: ScreenController

    move_mouse = _renamed("move_mouse", "mouse", MouseController.move)
    get_cursor_position = _renamed("get_cursor_position", "mouse", MouseController.get_position)
    input_text = _renamed("input_text", "keyboard", KeyboardController.type)
    press_keys = _renamed("press_keys", "keyboard", KeyboardController.press)
    release_keys = _renamed("release_keys", "keyboard", KeyboardController.release)
    list_root_windows = _renamed("list_root_windows", "window", WindowManager.list_root_windows)
    get_active_window = _renamed("get_active_window", "window", WindowManager.get_active_window)
    activate_window = _renamed("activate_window", "window", WindowManager.activate)
    close_window = _renamed("close_window", "window", WindowManager.close)
    maximize_window = _renamed("maximize_window", "window", WindowManager.maximize)
    minimize_window = _renamed("minimize_window", "window", WindowManager.minimize)
    restore_window = _renamed("restore_window", "window", WindowManager.restore)
    resize_window = _renamed("resize_window", "window", WindowManager.resize)
    fullscreen_window = _renamed("fullscreen_window", "window", WindowManager.fullscreen)
    focus_mode = _renamed("focus_mode", "window", WindowManager.focus_mode)
    get_installed_apps = _renamed("get_installed_apps", "app", ApplicationManager.list_installed)
    list_visible_apps = _renamed("list_visible_apps", "app", ApplicationManager.get_visible)
    start_app = _renamed("start_app", "app", ApplicationManager.start)
    stop_app_by_pname = _renamed("stop_app_by_pname", "app", ApplicationManager.stop_by_pname)
    stop_app_by_pid = _renamed("stop_app_by_pid", "app", ApplicationManager.stop_by_pid)
    stop_app_by_cmd = _renamed("stop_app_by_cmd", "app", ApplicationManager.stop_by_cmd)

    @_deprecated("mouse.click")
    def click_mouse(
        self, x: int, y: int, button: MouseButton | str | None = None, *, timeout: float | None = None, **kwargs: Any
    ) -> BoolResult:
        """Call ``computer.mouse.click``; no button is the left one."""
        del kwargs
        return self.mouse.click(x, y, MouseButton.LEFT if button is None else button, timeout=timeout)

    @_deprecated("mouse.drag")
    def drag_mouse(
        self,
        from_x: int,
        from_y: int,
        to_x: int,
        to_y: int,
        button: MouseButton | str | None = None,
        *,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> BoolResult:
        """Call ``computer.mouse.drag``; no button is the left one."""
        del kwargs
        used = MouseButton.LEFT if button is None else button
        return self.mouse.drag(from_x, from_y, to_x, to_y, used, timeout=timeout)

    @_deprecated("mouse.scroll")
    def scroll(
        self,
        x: int,
        y: int,
        direction: ScrollDirection | str | None = None,
        amount: int = 1,
        *,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> BoolResult:
        """Call ``computer.mouse.scroll``; no direction is up."""
        del kwargs
        used = ScrollDirection.UP if direction is None else direction
        return self.mouse.scroll(x, y, used, amount, timeout=timeout)

    @_deprecated("screen.get_size")
    def get_screen_size(
        self, *, timeout: float | None = None, **kwargs: Any
    ) -> OperationSuccess[str] | OperationFailure:
        """Call ``computer.screen.get_size``, with the JSON text of the service as ``data``."""
        del kwargs
        call = get_screen_size_text(session_id=self.session.session_id)
        return tool_result(self.session, call, OperationResult, timeout=timeout)

    @_deprecated("screen.capture")
    def screenshot(self, *, timeout: float | None = None, **kwargs: Any) -> OperationSuccess[str] | OperationFailure:
        """Call ``computer.screen.capture``."""
        del kwargs
        return self.screen._capture_as("screenshot", timeout)
