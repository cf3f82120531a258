"""Results of the desktop, which programs written for 0.12 import; no method of this version returns one."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from ..exceptions import AGBError
from .base import Result, entries, error_field


@frozen(slots=False, repr=False)
class AppOperationResult(Result):
    """The result of starting or stopping an application."""

    error_message: str = ""
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class InstalledAppListResult(Result):
    """The installed applications."""

    data: list[Any] = field(default=None, converter=entries)
    error_message: str = ""
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class ProcessListResult(Result):
    """The processes of applications."""

    data: list[Any] = field(default=None, converter=entries)
    error_message: str = ""
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class WindowInfoResult(Result):
    """A window."""

    window: Any = None
    error_message: str = ""
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class WindowListResult(Result):
    """The windows of a desktop."""

    windows: list[Any] = field(default=None, converter=entries)
    error_message: str = ""
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class ScreenshotResult(Result):
    """A picture of the screen, ``width`` by ``height`` pixels; ``data`` holds its bytes."""

    error_message: str = ""
    type: str = ""
    data: bytes | None = None
    mime_type: str = ""
    width: int | None = None
    height: int | None = None
    error: AGBError | None = error_field()
