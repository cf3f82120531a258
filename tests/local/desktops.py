"""A desktop for tests: one session with an X server for all tests of a module, and what is looked up in it."""

from __future__ import annotations

import base64
import io
import json
import shlex
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from agb.local.desktop.programs import DesktopPrograms

from .conftest import Api

IMAGE = "agb-computer-use-ubuntu-2204"
_PROGRAMS = ("xterm", "xdotool", "wmctrl", "xprop", "xset")
_MISSING = DesktopPrograms.find().missing or ", ".join(name for name in _PROGRAMS if shutil.which(name) is None)
needs_desktop = pytest.mark.skipif(bool(_MISSING), reason=f"needs a desktop: {_MISSING}")


class Desk:
    """The desktop of a session."""

    def __init__(self, api: Api, session_id: str) -> None:
        self.api = api
        self.id = session_id

    def call(self, tool: str, **args: Any) -> Any:
        """Return what a tool answers, as a value."""
        result = self.api.tool(self.id, tool, **args)
        assert not result["isError"], result
        text = result["content"][0]["text"]
        return json.loads(text) if text else None

    def call_until_answered(self, tool: str, **args: Any) -> Any:
        """Return the same, after a call that may have reached a desktop whose end was not noticed yet."""
        result = self.api.tool(self.id, tool, **args)
        if result["isError"]:
            assert "the next call starts it again" in result["content"][0]["text"]
            return self.call(tool, **args)
        text = result["content"][0]["text"]
        return json.loads(text) if text else None

    def error(self, tool: str, **args: Any) -> str:
        """Return why a tool fails."""
        result = self.api.tool(self.id, tool, **args)
        assert result["isError"], result
        return str(result["content"][0]["text"])

    def shell(self, command: str) -> str:
        return self.api.shell(self.id, command)

    def position(self) -> tuple[int, int]:
        found = self.call("get_cursor_position")
        return found["x"], found["y"]

    def picture(self, format: str = "png") -> Any:
        """Return a picture of the screen, decoded."""
        from PIL import Image

        found = self.call("screenshot", format=format)
        image = Image.open(io.BytesIO(base64.b64decode(found["data"])))
        assert (found["mime_type"], image.format) == (f"image/{format}", format.upper())
        assert (found["width"], found["height"]) == image.size
        return image.convert("RGB")

    def wait_for(self, condition: str) -> None:
        """Return once a shell command succeeds in the session."""
        self.shell(f"timeout 60 sh -c {shlex.quote(f'until {condition}; do sleep 0.02; done')}")

    def terminal(self, file: str = "typed") -> None:
        """Open a terminal that has the focus and writes what is typed, with Enter at its end, to a file."""
        program = f"stty -echo; exec cat > {file}"
        self.shell(f"rm -f {file}; xterm -T {file} -geometry 60x10+300+300 -e sh -c {shlex.quote(program)} &")
        # The window manager makes it the active window first, and then adds it to its list.
        shown = f"xdotool getactivewindow getwindowname | grep -qx {file} && wmctrl -l | grep -q '{file}$'"
        self.wait_for(f"test -e {file} && {shown}")

    def close_terminals(self) -> None:
        """End the terminals, and return once the screen shows none of them.

        The window manager removes the frame of a window from the screen after the end of its program, and then the
        window from its list.
        """
        self.shell("pkill -x xterm; true")
        self.wait_for("! wmctrl -lx | grep -q xterm")

    def typed(self, like: str, file: str = "typed") -> str:
        """Return what a terminal has received, once that is as long as what is expected."""
        self.wait_for(f"test $(stat -c %s {file}) -ge {len(like.encode())}")
        return self.shell(f"cat {file}")


@pytest.fixture(scope="module")
def desk(api: Api) -> Iterator[Desk]:
    data = api.post("/mcp/createSession", {"imageId": IMAGE})
    yield Desk(api, data["sessionId"])
    api.release(data["sessionId"])
