# Generated from src/agb/_async/modules/computer/keyboard.py by tools/unasync.py. Do not edit.
"""The keyboard of a session's desktop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...._ops.tools.computer import keyboard as ops
from ...._wire.deadline import Deadline, check_timeout
from ....exceptions import AGBError
from ....results.base import BoolResult
from ..tools import run_tool, tool_result

if TYPE_CHECKING:
    from ..protocols import SessionAccess


class KeyboardController:
    """The keyboard; available as ``session.computer.keyboard``.

    What is typed and pressed goes to the active window. Every method returns a result, and raises for wrong arguments
    only; ``timeout`` is the time for the whole call in seconds.
    """

    def __init__(self, session: SessionAccess) -> None:
        self.session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    def type(self, text: str, *, timeout: float | None = None) -> BoolResult:
        r"""Type a text in any language, each end of a line as Enter and a tab as Tab.

        A long text is typed in parts of 500 characters. No log and no error contains the text.

        Args:
            text: at most 100,000 characters, without other control characters; those are keys, for `press`.
            timeout: seconds for everything; without it, the client's time-out on top of what a part takes, for each.

        Returns:
            A success if everything was typed. Otherwise ``error.extra["typed"]`` is how many characters were typed by
            the parts before the one that failed.

        Raises:
            ValueError, TypeError: the text is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     app = session.computer.app.launch("xterm")
            ...     result = session.computer.keyboard.type("echo größer > /tmp/typed\n")
            ...     print(result.success)
            True

        API: the tool ``input_text``.
        """
        check_timeout(timeout)
        text = ops.check_typed(text)
        deadline = None if timeout is None else Deadline(timeout)
        result = BoolResult()
        for typed in range(0, len(text) or 1, ops.PART):
            part = text[typed : typed + ops.PART]
            call = ops.input_text(part, typed, len(text), session_id=self.session.session_id)
            left = None if deadline is None else deadline.part()
            try:
                result = run_tool(self.session, call, deadline=left)
            except AGBError as error:
                result = BoolResult.failed(error)
            if result.error is not None:
                result.error.extra["typed"] = typed
                break
        return result

    def press(self, keys: list[str], hold: bool = False, *, timeout: float | None = None) -> BoolResult:
        """Press keys together, such as ``["Ctrl", "c"]``, and release them.

        Args:
            keys: names such as ``Ctrl``, ``Alt``, ``Shift``, ``Enter``, ``Delete``, ``space``, ``F5`` or ``a``.
            hold: keep them down until `release`.
            timeout: seconds for the whole call.

        Returns:
            A success if the desktop did it. A key that the desktop does not know is a failure.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     result = session.computer.keyboard.press(["Ctrl", "a"])
            ...     print(result.success)
            True

        API: the tool ``press_keys``.
        """
        call = ops.press_keys(keys, hold, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)

    def release(self, keys: list[str], *, timeout: float | None = None) -> BoolResult:
        """Release keys that `press` holds.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        API: the tool ``release_keys``.
        """
        call = ops.release_keys(keys, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)
