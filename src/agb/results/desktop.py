"""Results of the desktop."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from ..desktop import InstalledApp, Picture, Process, Window, byte_count
from ..exceptions import AGBError
from .base import Result, entries, error_field, message_field


@frozen(slots=False, repr=False)
class AppOperationResult(Result):
    """The result of ending an application."""

    error_message: str = message_field()
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class InstalledAppListResult(Result):
    """The applications that can be started, as ``data``."""

    data: list[InstalledApp] = field(default=None, converter=entries)
    error_message: str = message_field()
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class ProcessListResult(Result):
    """The processes of applications, as ``data``."""

    data: list[Process] = field(default=None, converter=entries)
    error_message: str = message_field()
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class WindowInfoResult(Result):
    """A window, None if there is none."""

    window: Window | None = None
    error_message: str = message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"window": value}


@frozen(slots=False, repr=False)
class WindowListResult(Result):
    """The windows of a desktop."""

    windows: list[Window] = field(default=None, converter=entries)
    error_message: str = message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"windows": value}


@frozen(slots=False, repr=False)
class ScreenshotResult(Picture, Result):
    """A picture of the screen, ``width`` by ``height`` pixels; ``data`` holds its bytes.

    A notebook shows it, and ``save`` writes it to a file.
    """

    error_message: str = message_field()
    type: str = ""
    data: bytes | None = field(default=None, repr=byte_count)
    mime_type: str = ""
    width: int | None = None
    height: int | None = None
    error: AGBError | None = error_field()
