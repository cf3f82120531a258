"""The desktop of one session: started when the session begins, again when it has ended, and asked by the tools."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from ..sandbox.helper import Helper, HelperDied, Reply
from ..sandbox.sandbox import Sandbox, SandboxGone
from ..sandbox.sockets import open_socket
from .programs import DesktopPrograms

_VNC = "vnc"
"""The VNC server's socket, in the session's directory of sockets."""
_START_SECONDS = 25.0
REPLY_SECONDS = 30.0
"""How long a call may take, if it has no limit of its own: less than clients wait."""
_X_SOCKETS = Path("/tmp/.X11-unix")
_DISPLAYS = range(1_000, 50_000)
"""Numbers of displays that share the machine's ``/tmp``; their servers are found by Unix sockets in it."""


@frozen
class ScreenSize:
    """Width and height in pixels."""

    width: int = 1920
    height: int = 1080


class Desktop:
    """One X server in a sandbox.

    Where the sandbox has its own ``/tmp`` its display is ``:0``. Else all sessions and the machine share the names of
    displays, so the number is a random one, and the cookie keeps other users out.
    """

    def __init__(self, sandbox: Sandbox, programs: DesktopPrograms, size: ScreenSize) -> None:
        self._sandbox = sandbox
        self._programs = programs
        self._size = size
        self._display = 0 if sandbox.is_isolated else secrets.choice(_DISPLAYS)
        self._starting = asyncio.Lock()
        self._helper: Helper | None = None
        self._has_failed = False
        """Whether the last start failed."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which programs of the session find the display; none where there is no desktop."""
        if self._programs.missing:
            return {}
        return {"DISPLAY": f":{self._display}", "XAUTHORITY": f"{self._sandbox.sockets}/xauthority"}

    async def start(self) -> None:
        """Start it unless it runs or could not be started before: then the next call tries again and reports why not.

        Programs that run after this find the display.
        """
        if self._programs.missing or self._has_failed:
            return
        with contextlib.suppress(OSError, SandboxGone, HelperDied):
            await self._started()

    async def call(self, tool: str, args: Mapping[str, Any], *, seconds: float = REPLY_SECONDS) -> Reply:
        """Run a tool; a failure is a reply. The desktop is started if it does not run. Raises ``SandboxGone``."""
        if self._programs.missing:
            return Reply.failure(f"{tool}: there is no desktop here: {self._programs.missing}")
        try:
            helper = await self._started()
        except (OSError, HelperDied) as error:
            return Reply.failure(f"{tool}: the desktop could not be started: {error}")
        try:
            async with asyncio.timeout(seconds):
                return await helper.request(tool, args)
        except TimeoutError:
            return Reply.failure(f"{tool}: the desktop has not answered within {seconds:g} s")
        except HelperDied:
            if self._sandbox.is_closed:
                raise SandboxGone("the session ended") from None
            why = _last_line(helper, "it was ended")
            return Reply.failure(
                f"{tool}: the desktop ended before it had answered ({why}); the next call starts it again"
            )

    async def connect_to_screen(self) -> socket.socket:
        """Return a non-blocking socket connected to the VNC server; the desktop is started if it does not run.

        Raises ``OSError``, also where there is no desktop.
        """
        if self._programs.missing:
            raise OSError(f"there is no desktop here: {self._programs.missing}")
        try:
            await self._started()
        except HelperDied as error:
            raise OSError(f"the desktop could not be started: {error}") from error
        fd = open_socket(self._sandbox.directories.sockets, _VNC)
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connected, f"/proc/self/fd/{fd}")
        except BaseException:
            connected.close()
            raise
        finally:
            os.close(fd)
        return connected

    async def close(self) -> None:
        """End it. May be called twice."""
        helper, self._helper = self._helper, None
        if helper is not None:
            await helper.close()
            if not self._sandbox.is_isolated:  # a server that was killed leaves its socket
                (_X_SOCKETS / f"X{self._display}").unlink(missing_ok=True)

    async def _started(self) -> Helper:
        async with self._starting:
            if self._helper is not None and not self._helper.is_alive:
                await self.close()
            if self._helper is None:
                try:
                    self._helper = await self._start()
                except (OSError, HelperDied):
                    self._has_failed = True
                    raise
                self._has_failed = False
            return self._helper

    async def _start(self) -> Helper:
        """Start it and return once it answers. Raises ``OSError``, ``HelperDied`` and ``SandboxGone``."""
        config = {
            "display": self._display,
            "width": self._size.width,
            "height": self._size.height,
            "authority": self.environment["XAUTHORITY"],
            "vnc": f"{self._sandbox.sockets}/{_VNC}",
            "programs": {name: self._sandbox.seen(path) for name, path in self._programs.found.items()},
        }
        # Not isolated from packages, as other helpers are: it needs those of the runtime.
        command = [self._sandbox.python, "-I", self._sandbox.program(""), "desktop_helper", json.dumps(config)]
        helper = await Helper.start(self._sandbox, command)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await helper.request("get_screen_size", {})
        except HelperDied:
            why = _last_line(helper, "it ended at once")
            await helper.close()
            if self._sandbox.is_closed:
                raise SandboxGone("the session ended") from None
            raise HelperDied(why) from None
        except BaseException:
            await helper.close()
            raise
        return helper


def _last_line(helper: Helper, otherwise: str) -> str:
    """Return the last line of what a helper wrote, which is the reason of its end."""
    lines = helper.diagnostics.strip().splitlines()
    return lines[-1] if lines else otherwise
