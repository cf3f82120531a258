# Generated from src/agb/_async/modules/computer/computer.py by tools/unasync.py. Do not edit.
"""The desktop of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .app import ApplicationManager
from .flat import FlatNames
from .keyboard import KeyboardController
from .mouse import MouseController
from .screen import ScreenController
from .window import WindowManager

if TYPE_CHECKING:
    from ..protocols import SessionAccess


class Computer(FlatNames):
    """The desktop of a session; available as ``session.computer``.

    Its five parts have the methods. The methods of this class itself are the deprecated names of agbcloud-sdk 0.12.

    Attributes:
        mouse: moves the pointer, clicks and scrolls.
        keyboard: types text and presses keys.
        window: lists, moves and closes windows.
        app: starts and stops applications.
        screen: pictures of the screen, and its size.
    """

    def __init__(self, session: SessionAccess) -> None:
        self.session = session
        self.mouse = MouseController(session)
        self.keyboard = KeyboardController(session)
        self.window = WindowManager(session)
        self.app = ApplicationManager(session)
        self.screen = ScreenController(session)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"
