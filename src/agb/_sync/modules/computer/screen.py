# Generated from src/agb/_async/modules/computer/screen.py by tools/unasync.py. Do not edit.
"""The screen of a session's desktop: its size, and pictures of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...._ops.tools.computer import screen as ops
from ...._wire.call import Call
from ...._wire.picture import PNG
from ...._wire.signed import signed_call
from ....desktop import Screenshot
from ....exceptions import AGBError, ErrorKind, ScreenError
from ....results.base import OperationResult
from ..tools import run_tool, tool_result
from .polling import DesktopCalls

if TYPE_CHECKING:
    from ....desktop import ScreenSize
    from ....results.desktop import ScreenshotResult
    from ....results.narrowed import OperationFailure, OperationSuccess
    from ..protocols import SessionAccess

LARGEST_PICTURE = 64 << 20
"""Bytes of a picture that are downloaded at most, as many as an answer of the API may have."""


class ScreenController:
    """The screen; available as ``session.computer.screen``.

    `screenshot` works in every session with a desktop. `capture` and `beta_take_screenshot` are those of 0.12, of which
    each session has one: the first without a ``link_url``, the second with it.
    """

    def __init__(self, session: SessionAccess) -> None:
        self.session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    def get_size(self, *, timeout: float | None = None) -> OperationSuccess[ScreenSize] | OperationFailure:
        """Return the size of the screen as ``data``: a dict with ``width``, ``height`` and ``dpiScalingFactor``.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     size = (session.computer.screen.get_size()).raise_for_error().data
            ...     print(size["width"], size["height"])
            1920 1080

        API: the tool ``get_screen_size``.
        """
        call = ops.get_screen_size(session_id=self.session.session_id)
        return tool_result(self.session, call, OperationResult, timeout=timeout)

    def screenshot(self, format: str = "png", *, timeout: float | None = None) -> Screenshot:
        """Take a picture of the screen, by the way that the session offers.

        Args:
            format: ``png``, ``jpeg`` or ``jpg``. Sessions that return pictures by an address have PNG only.
            timeout: seconds for everything; without it, the client's time-out.

        Returns:
            The picture: its bytes as ``data``, with ``width`` and ``height``. A notebook shows it, and ``save`` writes
            it to a file.

        Raises:
            ScreenError: there is no picture, or not in this format.
            ValueError: the format is unknown; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     shot = session.computer.screen.screenshot()
            ...     print(shot.width, shot.height, shot.save("screen.png").name)
            1920 1080 screen.png

        API: the tool ``screenshot`` if the session has a ``link_url``, otherwise ``system_screenshot``; the other one
        if the first is refused.
        """
        return self._take(ops.check_format(format), DesktopCalls(self.session, timeout))

    def wait_for_change(self, since: Screenshot | None = None, *, timeout: float | None = None) -> Screenshot:
        """Wait until the screen shows something else, and return the picture.

        A blinking cursor and a clock are changes as well. To see the effect of an action, take the picture ``since``
        before it: the change may be over when this method is called.

        Args:
            since: the picture to compare with; without it, one that is taken now.
            timeout: seconds; without it, the client's time-out.

        Raises:
            ScreenError: there was no change in time (its ``kind`` is ``TIMED_OUT``), or no picture.
            TypeError: ``since`` is not a `Screenshot`; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
            ...     before = session.computer.screen.screenshot()
            ...     started = session.computer.app.start("xterm")
            ...     after = session.computer.screen.wait_for_change(before, timeout=30)
            ...     print(after.shows_same_as(before))
            False

        API: as `screenshot`.
        """
        if since is not None and not isinstance(since, Screenshot):
            raise TypeError(f"since is a picture that screenshot() has returned, not {type(since).__name__}")
        calls = DesktopCalls(self.session, timeout)
        mime_type = PNG if since is None else since.mime_type
        before = self._take(mime_type, calls) if since is None else since

        def changed() -> Screenshot | None:
            shot = self._take(mime_type, calls)
            return None if shot.shows_same_as(before) else shot

        shot = calls.poll(changed)
        if shot is None:
            raise ScreenError(
                f"The screen did not change {calls.deadline.description}",
                kind=ErrorKind.TIMED_OUT,
                session_id=self.session.session_id,
                retryable=True,
            )
        return shot

    def capture(self, *, timeout: float | None = None) -> OperationSuccess[str] | OperationFailure:
        """Take a picture of the screen and return its address as ``data``, as 0.12 does; `screenshot` returns bytes.

        The address is a secret: it is good for the picture without another credential.

        Returns:
            A failure if the session has a ``link_url``; nothing is sent then. Never raises for a failed call.

        API: the tool ``system_screenshot``.
        """
        return self._capture_as("screen.capture", timeout)

    def _capture_as(self, name: str, timeout: float | None) -> OperationSuccess[str] | OperationFailure:
        """Do what `capture` does; ``name`` is that of the method in the text of a refusal."""
        if self.session.link_url:
            return OperationResult.failed(self._needs_other(name, "beta_take_screenshot"))
        call = ops.system_screenshot(session_id=self.session.session_id)
        return tool_result(self.session, call, OperationResult, timeout=timeout)

    def beta_take_screenshot(self, format: str = "png", *, timeout: float | None = None) -> ScreenshotResult:
        """Take a picture of the screen and return its bytes, in sessions with a ``link_url``, as 0.12 does.

        Args:
            format: ``png``, ``jpeg`` or ``jpg``.
            timeout: seconds for the whole call.

        Raises:
            ScreenError: the session has no ``link_url``, or there is no picture.
            ValueError: the format is unknown; nothing was sent.

        API: the tool ``screenshot``.
        """
        if not self.session.link_url:
            raise self._needs_other("beta_take_screenshot", "capture")
        call = ops.screenshot(ops.check_format(format), session_id=self.session.session_id)
        return run_tool(self.session, call, timeout=timeout)

    def _needs_other(self, name: str, other: str) -> ScreenError:
        return ScreenError(ops.NEEDS_OTHER.format(name, other), session_id=self.session.session_id)

    # --- pictures ------------------------------------------------------------------------------------------------

    def _take(self, mime_type: str, calls: DesktopCalls) -> Screenshot:
        """Return a picture by the tool that fits the session, or by the other one if that is refused.

        An object that was attached to by its id knows no ``link_url``, so the first choice may be the wrong one.
        """
        ways = [self._by_tool, self._by_address]
        if not self.session.link_url and mime_type == PNG:
            ways.reverse()
        try:
            return ways[0](mime_type, calls)
        except AGBError as error:
            if error.kind is not ErrorKind.REFUSED:
                raise
            try:
                return ways[1](mime_type, calls)
            except AGBError as other:
                if other.kind is ErrorKind.REFUSED:
                    raise error from None
                raise

    def _by_tool(self, mime_type: str, calls: DesktopCalls) -> Screenshot:
        return calls.run(ops.picture(mime_type, session_id=calls.session_id))

    def _by_address(self, mime_type: str, calls: DesktopCalls) -> Screenshot:
        result = calls.run(ops.system_screenshot(session_id=calls.session_id))
        url = result.data or ""
        if url.startswith("data:"):
            data = ops.data_url_of(url, result.request_id, calls.session_id)
        else:
            data = _download(url, calls)
        return ops.picture_of(data, mime_type, result.request_id, calls.session_id)


def _download(url: str, calls: DesktopCalls) -> bytes:
    """Return the file at a pre-signed URL, with as many attempts as the retry policy allows, within the deadline."""
    call = signed_call("GET", "download the screenshot", error=ScreenError, session_id=calls.session_id)
    attempt = 1
    while True:
        try:
            return _received(url, call, calls)
        except AGBError as error:
            pause = calls.api.next_try(error, attempt, calls.deadline)
        calls.api.sleep(pause)
        attempt += 1


def _received(url: str, call: Call[None], calls: DesktopCalls) -> bytes:
    parts: list[bytes] = []
    size = 0
    with calls.api.download(url, call, calls.deadline.part()) as download:
        while piece := download.receive():
            parts.append(piece)
            size += len(piece)
            if size > LARGEST_PICTURE:
                raise ScreenError(
                    f"Could not download the screenshot: it has more than {LARGEST_PICTURE:,} bytes",
                    kind=ErrorKind.TOO_LARGE,
                    session_id=calls.session_id,
                )
    return b"".join(parts)
