"""The mouse of a session's desktop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...._ops.tools.computer import mouse as ops
from ....desktop import MouseButton, ScrollDirection
from ....results.base import BoolResult, OperationResult
from ..tools import tool_result

if TYPE_CHECKING:
    from ....desktop import CursorPosition
    from ....results.narrowed import OperationFailure, OperationSuccess
    from ..protocols import AsyncSessionAccess


class AsyncMouseController:
    """The mouse; available as ``session.computer.mouse``.

    Coordinates are pixels of the screen, from its upper left corner. Every method returns a result, and raises for
    wrong arguments only; ``timeout`` is the time for the whole call in seconds, without it the client's time-out.
    """

    def __init__(self, session: AsyncSessionAccess) -> None:
        self.session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    async def click(
        self, x: int, y: int, button: MouseButton | str = MouseButton.LEFT, *, timeout: float | None = None
    ) -> BoolResult:
        """Move the pointer to a point and click there once; ``double_left`` clicks twice.

        Args:
            x: the point, in pixels from the left.
            y: the point, in pixels from the top.
            button: ``left``, ``right``, ``middle`` or ``double_left``.
            timeout: seconds for the whole call.

        Returns:
            A success if the desktop did it. A point off the screen is a failure.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     result = await session.computer.mouse.click(300, 200, "right")
            ...     print(result.success)
            True

        API: the tool ``click_mouse``.
        """
        call = ops.click_mouse(x, y, button, session_id=self.session.session_id)
        return await tool_result(self.session, call, BoolResult, timeout=timeout)

    async def move(self, x: int, y: int, *, timeout: float | None = None) -> BoolResult:
        """Move the pointer to a point.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        API: the tool ``move_mouse``.
        """
        call = ops.move_mouse(x, y, session_id=self.session.session_id)
        return await tool_result(self.session, call, BoolResult, timeout=timeout)

    async def drag(
        self,
        x1: int,
        y1: int,
        x2: int,
        y2: int,
        button: MouseButton | str = MouseButton.LEFT,
        *,
        timeout: float | None = None,
    ) -> BoolResult:
        """Press a button at ``(x1, y1)``, move the pointer to ``(x2, y2)`` and release the button there.

        Args:
            x1: the beginning, in pixels from the left.
            y1: the beginning, in pixels from the top.
            x2: the end.
            y2: the end.
            button: ``left``, ``right`` or ``middle``.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        API: the tool ``drag_mouse``.
        """
        call = ops.drag_mouse(x1, y1, x2, y2, button, session_id=self.session.session_id)
        return await tool_result(self.session, call, BoolResult, timeout=timeout)

    async def scroll(
        self,
        x: int,
        y: int,
        direction: ScrollDirection | str = ScrollDirection.UP,
        amount: int = 1,
        *,
        timeout: float | None = None,
    ) -> BoolResult:
        """Move the pointer to a point and turn the wheel there.

        Args:
            x: the point, in pixels from the left.
            y: the point, in pixels from the top.
            direction: ``up``, ``down``, ``left`` or ``right``.
            amount: by how many notches, 1 to 1,000.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        API: the tool ``scroll``.
        """
        call = ops.scroll(x, y, direction, amount, session_id=self.session.session_id)
        return await tool_result(self.session, call, BoolResult, timeout=timeout)

    async def get_position(
        self, *, timeout: float | None = None
    ) -> OperationSuccess[CursorPosition] | OperationFailure:
        """Return where the pointer is, as ``data``: the JSON text of the service, with ``x`` and ``y`` as attributes.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     moved = await session.computer.mouse.move(512, 384)
            ...     position = (await session.computer.mouse.get_position()).raise_for_error().data
            ...     print(position.x, position.y)
            512 384

        API: the tool ``get_cursor_position``.
        """
        call = ops.get_cursor_position(session_id=self.session.session_id)
        return await tool_result(self.session, call, OperationResult, timeout=timeout)
