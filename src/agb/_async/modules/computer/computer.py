"""The desktop of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .app import AsyncApplicationManager
from .flat import AsyncFlatNames
from .keyboard import AsyncKeyboardController
from .mouse import AsyncMouseController
from .screen import AsyncScreenController
from .window import AsyncWindowManager

if TYPE_CHECKING:
    from ..protocols import AsyncSessionAccess


class AsyncComputer(AsyncFlatNames):
    """The desktop of a session; available as ``session.computer``.

    Its five parts have the methods. The methods of this class itself are the deprecated names of agbcloud-sdk 0.12.

    Attributes:
        mouse: moves the pointer, clicks and scrolls.
        keyboard: types text and presses keys.
        window: lists, moves and closes windows.
        app: starts and stops applications.
        screen: pictures of the screen, and its size.
    """

    def __init__(self, session: AsyncSessionAccess) -> None:
        self.session = session
        self.mouse = AsyncMouseController(session)
        self.keyboard = AsyncKeyboardController(session)
        self.window = AsyncWindowManager(session)
        self.app = AsyncApplicationManager(session)
        self.screen = AsyncScreenController(session)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"
