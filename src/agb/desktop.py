"""The words and values of a session's desktop: buttons, windows, applications, processes, pictures of the screen."""

from __future__ import annotations

import json
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Any, NotRequired, Self, TypedDict

from attrs import field, frozen

from ._wire.picture import JPEG, PNG, content_of, format_of, size_of
from .results.base import Shown, entries


class MouseButton(StrEnum):
    """A button of the mouse; ``DOUBLE_LEFT`` is a double click, which no drag can be."""

    LEFT = "left"
    RIGHT = "right"
    MIDDLE = "middle"
    DOUBLE_LEFT = "double_left"


class ScrollDirection(StrEnum):
    """Where the wheel of the mouse is turned."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"


class CursorPosition(str):
    """Where the pointer is, in pixels from the upper left corner of the screen.

    It is the JSON text of the service, as ``data`` was in 0.12, with the two numbers in it as attributes.

    Attributes:
        x: pixels from the left edge.
        y: pixels from the upper edge.

    Raises:
        ValueError: the text is not JSON with two whole numbers.

    Example:
        >>> from agb import CursorPosition
        >>> position = CursorPosition('{"x": 512, "y": 384}')
        >>> position.x, position.y, position.point
        (512, 384, (512, 384))
    """

    x: int
    y: int

    def __new__(cls, text: str) -> Self:
        """Return the position that a JSON text describes."""
        value = json.loads(text)
        x, y = (value.get("x"), value.get("y")) if isinstance(value, dict) else (None, None)
        if type(x) is not int or type(y) is not int:
            raise ValueError("a position is an object with the whole numbers x and y")
        position = super().__new__(cls, text)
        position.x, position.y = x, y
        return position

    @property
    def point(self) -> tuple[int, int]:
        """The position as ``(x, y)``, such as for ``mouse.move(*position.point)``."""
        return self.x, self.y


class ScreenSize(TypedDict):
    """The size of the screen in pixels, and how much larger than usual text is drawn, if the service reports it."""

    width: int
    height: int
    dpiScalingFactor: NotRequired[float]


@frozen(slots=False, repr=False)
class Window(Shown):
    """A window of the desktop; place and size are in pixels of the screen, None if the service does not report them.

    Attributes:
        window_id: the id by which windows are activated, closed and so on.
        title: the text of its title bar.
        absolute_upper_left_x: pixels between the left edges of screen and window.
        absolute_upper_left_y: pixels between the upper edges of screen and window.
        width: pixels.
        height: pixels.
        pid: the id of the process that it belongs to.
        pname: the name of that process.
        child_windows: the windows inside.
    """

    window_id: int
    title: str
    absolute_upper_left_x: int | None = None
    absolute_upper_left_y: int | None = None
    width: int | None = None
    height: int | None = None
    pid: int | None = None
    pname: str | None = None
    child_windows: list[Window] = field(default=None, converter=entries, hash=False)

    @property
    def center(self) -> tuple[int, int]:
        """The middle of the window, such as for ``mouse.click(*window.center)``.

        Raises:
            ValueError: the service does not report where the window is.
        """
        left, top, width, height = (
            self.absolute_upper_left_x,
            self.absolute_upper_left_y,
            self.width,
            self.height,
        )
        if left is None or top is None or width is None or height is None:
            raise ValueError(f"the place and the size of the window {self.window_id} are not known")
        return left + width // 2, top + height // 2


@frozen(slots=False, repr=False)
class InstalledApp(Shown):
    """An application that can be started.

    Attributes:
        name: its name in the menu.
        start_cmd: the command that starts it, for ``app.start`` and ``app.launch``.
        stop_cmd: the command that ends it, None if there is none.
        work_directory: the directory that it is started in, None for the usual one.
    """

    name: str
    start_cmd: str
    stop_cmd: str | None = None
    work_directory: str | None = None


@frozen(slots=False, repr=False)
class Process(Shown):
    """A process of an application: its name, its id, and its command line if the service reports it."""

    pname: str
    pid: int
    cmdline: str | None = None


@frozen(slots=False, repr=False)
class LaunchedApp(Shown):
    """An application that was started and whose window has appeared."""

    window: Window
    processes: list[Process] = field(default=None, converter=entries, hash=False)
    request_id: str = ""


class Picture(Shown):
    """Base of values with a picture, as bytes in ``data``: they show themselves in a notebook, and can be saved."""

    data: Any  # bytes, or None where a result may have no picture

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the picture to a file of this machine, and return its path.

        Raises:
            ValueError: the suffix is that of another format, or there is no picture; nothing was written.
            OSError: the file cannot be written.
        """
        data, target = self._bytes(), Path(path)
        suffixes = {PNG: (".png",), JPEG: (".jpg", ".jpeg")}.get(format_of(data), ())
        if not suffixes:
            raise ValueError(f"{target.name}: there is no picture to save")
        if target.suffix.lower() not in suffixes:
            raise ValueError(f"{target.name}: the picture is saved with the suffix {' or '.join(suffixes)}")
        target.write_bytes(data)
        return target

    def _repr_html_(self) -> None:
        """Return None: it is shown as a picture."""

    def _repr_png_(self) -> bytes | None:
        return self._in_format(PNG)

    def _repr_jpeg_(self) -> bytes | None:
        return self._in_format(JPEG)

    def _in_format(self, mime_type: str) -> bytes | None:
        return self._bytes() if format_of(self._bytes()) == mime_type else None

    def _bytes(self) -> bytes:
        return self.data or b""


def byte_count(data: bytes | None) -> str:
    """Return a text for a `repr` in place of bytes."""
    return "None" if data is None else f"<{len(data):,} bytes>"


@frozen(slots=False, repr=False)
class Screenshot(Picture):
    """A picture of the screen.

    A notebook shows it; ``PIL.Image.open(io.BytesIO(shot.data))`` gives its pixels to a program.

    Attributes:
        data: the bytes of the picture.
        width: pixels, as many as those of the screen.
        height: pixels, as many as those of the screen.
        mime_type: ``image/png`` or ``image/jpeg``.
        request_id: the service's id of the request.
    """

    data: bytes = field(repr=byte_count)
    width: int
    height: int
    mime_type: str = PNG
    request_id: str = field(default="", eq=False)

    @classmethod
    def from_bytes(cls, data: bytes, request_id: str = "") -> Self:
        """Return the value for the bytes of a picture.

        Raises:
            ValueError: they are not those of a PNG or JPEG.
        """
        width, height = size_of(data)
        return cls(data, width, height, format_of(data), request_id)

    def shows_same_as(self, other: Screenshot) -> bool:
        """Return whether two pictures of one format show the same; texts and times inside the files do not count."""
        return content_of(self.data) == content_of(other.data)
