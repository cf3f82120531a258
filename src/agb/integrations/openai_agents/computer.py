"""The desktop of a session as the computer of an agent."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from agents import AsyncComputer, Button, Environment

from ..._async.session import AsyncSession

PIXELS_OF_A_NOTCH = 100
"""Pixels that a model expects of one notch of the wheel."""
PAUSE = 1.0
"""Seconds that ``wait`` takes."""
_BUTTONS = {"left": "left", "right": "right", "wheel": "middle"}
_KEYS = {
    "alt": "Alt",
    "arrowdown": "Down",
    "arrowleft": "Left",
    "arrowright": "Right",
    "arrowup": "Up",
    "backspace": "BackSpace",
    "capslock": "Caps_Lock",
    "cmd": "Super",
    "ctrl": "Ctrl",
    "control": "Ctrl",
    "delete": "Delete",
    "down": "Down",
    "end": "End",
    "enter": "Enter",
    "esc": "Escape",
    "escape": "Escape",
    "home": "Home",
    "insert": "Insert",
    "left": "Left",
    "meta": "Super",
    "option": "Alt",
    "pagedown": "Page_Down",
    "pageup": "Page_Up",
    "return": "Enter",
    "right": "Right",
    "shift": "Shift",
    "space": "space",
    "super": "Super",
    "tab": "Tab",
    "up": "Up",
    "win": "Super",
}
"""The names of keys that models use, in lower case, and those of a session."""


class AGBComputer(AsyncComputer):
    """The desktop of a session as the computer of an agent: ``ComputerTool(AGBComputer(session))``.

    Args:
        session: a session with a desktop; it stays the caller's.
        environment: the kind of computer, for models that need it.
        dimensions: the width and height of the screen, where the model needs them; see `open`.

    Example:
        >>> from agents import Agent, ComputerTool
        >>> from agb.integrations.openai_agents import AGBComputer
        >>> async with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
        ...     computer = await AGBComputer.open(session)
        ...     agent = Agent("user", tools=[ComputerTool(computer)])
        ...     print(computer.dimensions)
        (1920, 1080)
    """

    def __init__(
        self,
        session: AsyncSession,
        *,
        environment: Environment = "ubuntu",
        dimensions: tuple[int, int] | None = None,
    ) -> None:
        self.session = session
        self._environment = environment
        self._dimensions = dimensions

    @classmethod
    async def open(cls, session: AsyncSession, *, environment: Environment = "ubuntu") -> AGBComputer:
        """Return the computer with the dimensions of its screen.

        Raises:
            AGBError: the session has no screen.
        """
        size = (await session.computer.screen.get_size()).raise_for_error().data
        return cls(session, environment=environment, dimensions=(size["width"], size["height"]))

    @property
    def environment(self) -> Environment:
        """The kind of computer, for the model."""
        return self._environment

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """The width and height of the screen, if they are known."""
        return self._dimensions

    async def screenshot(self) -> str:
        """Return the screen as a PNG in base64."""
        return base64.b64encode((await self.session.computer.screen.screenshot()).data).decode()

    async def click(self, x: int, y: int, button: Button = "left", *, keys: Sequence[str] | None = None) -> None:
        """Click at a point; ``keys`` are held meanwhile.

        Raises:
            ValueError: a mouse of a session has no such button.
            AGBError: the desktop did not do it.
        """
        if button not in _BUTTONS:
            raise ValueError(f"the mouse has the buttons left, right and wheel, not {button}")
        async with self._held(keys):
            (await self.session.computer.mouse.click(x, y, _BUTTONS[button])).raise_for_error()

    async def double_click(self, x: int, y: int, *, keys: Sequence[str] | None = None) -> None:
        """Click twice at a point."""
        async with self._held(keys):
            (await self.session.computer.mouse.click(x, y, "double_left")).raise_for_error()

    async def scroll(self, x: int, y: int, scroll_x: int, scroll_y: int, *, keys: Sequence[str] | None = None) -> None:
        """Turn the wheel at a point: by pixels, of which a notch has 100."""
        async with self._held(keys):
            for pixels, directions in ((scroll_x, ("left", "right")), (scroll_y, ("up", "down"))):
                if pixels:
                    notches = max(1, round(abs(pixels) / PIXELS_OF_A_NOTCH))
                    scrolled = await self.session.computer.mouse.scroll(x, y, directions[pixels > 0], notches)
                    scrolled.raise_for_error()

    async def type(self, text: str) -> None:
        """Type a text."""
        (await self.session.computer.keyboard.type(text)).raise_for_error()

    async def wait(self) -> None:
        """Wait for a second."""
        await asyncio.sleep(PAUSE)

    async def move(self, x: int, y: int, *, keys: Sequence[str] | None = None) -> None:
        """Move the pointer to a point."""
        async with self._held(keys):
            (await self.session.computer.mouse.move(x, y)).raise_for_error()

    async def keypress(self, keys: list[str]) -> None:
        """Press keys together, such as ``["CTRL", "c"]``."""
        (await self.session.computer.keyboard.press(_names(keys))).raise_for_error()

    async def drag(self, path: list[tuple[int, int]], *, keys: Sequence[str] | None = None) -> None:
        """Drag from the first point of a path to its last one; the points between are left out.

        Raises:
            ValueError: the path has less than two points.
            AGBError: the desktop did not do it.
        """
        if len(path) < 2:
            raise ValueError("a path has two points or more")
        async with self._held(keys):
            (await self.session.computer.mouse.drag(*path[0], *path[-1])).raise_for_error()

    @asynccontextmanager
    async def _held(self, keys: Sequence[str] | None) -> AsyncIterator[None]:
        """Hold keys for the time of a block."""
        if not keys:
            yield
            return
        keyboard, names = self.session.computer.keyboard, _names(keys)
        (await keyboard.press(names, hold=True)).raise_for_error()
        try:
            yield
        finally:
            (await keyboard.release(names)).raise_for_error()


def _names(keys: Sequence[str]) -> list[str]:
    return [_KEYS.get(key.lower(), key) for key in keys]
