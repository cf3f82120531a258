"""Desktops for tests: a session that the tests of a module share, and what is looked up in its pictures."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agb import AGB, Config, CreateSessionParams, Screenshot
from agb.local import LocalServer
from agb.local.desktop.programs import DesktopPrograms
from tests.waiting import pause

IMAGE = "agb-computer-use-ubuntu-2204"
"""Its sessions have a ``link_url``."""
PLAIN_IMAGE = "agb-computer-use-1"
"""Its sessions have none."""
_MISSING = DesktopPrograms.find().missing or ("" if shutil.which("xterm") else "xterm is not installed")
needs_desktop = pytest.mark.skipif(bool(_MISSING), reason=f"needs a desktop: {_MISSING}")


@contextmanager
def shared_desktop(runtime: LocalServer, image: str = IMAGE) -> Iterator[str]:
    """Return the id of a session with a desktop, which is deleted at the end."""
    params = CreateSessionParams(image_id=image)
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb, agb.session(params) as session:
        yield session.session_id


@contextmanager
def empty_desktop(runtime: LocalServer, session_id: str) -> Iterator[str]:
    """Return the id of a session with a desktop, and close its terminals at the end.

    A program that was started late has not got its name yet, and a window that the list no longer names may still be
    seen. So terminals are stopped until the picture is that of the time before.
    """
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as client:
        computer = client.get(session_id).raise_for_error().session.computer
        before = computer.screen.screenshot()
        yield session_id
        end = time.monotonic() + 60
        while computer.window.list_root_windows().windows or not computer.screen.screenshot().shows_same_as(before):
            assert time.monotonic() < end
            pause()
            computer.app.stop_by_pname("xterm")


def pixel(shot: Screenshot, x: int, y: int) -> tuple[int, int, int]:
    """Return the colour of a point in a picture."""
    from PIL import Image

    with Image.open(io.BytesIO(shot.data)) as image:
        assert image.size == (shot.width, shot.height)
        colour = image.convert("RGB").getpixel((x, y))
    assert isinstance(colour, tuple)
    red, green, blue = colour
    return red, green, blue
