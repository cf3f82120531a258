"""What tests of a session's browser share: when they can run, pages to look at, and what must not be left behind."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from uuid import uuid4

import psutil
import pytest

from agb import CreateSessionParams
from tests.local.browser import PROGRAM

needs_browser = pytest.mark.skipif(
    PROGRAM is None or find_spec("playwright") is None, reason="needs Chromium and Playwright"
)
BROWSING = CreateSessionParams(image_id="agb-browser-use-1")

TALL_PAGE = """
<title>Tall</title>
<style>body { margin: 0 } div { height: 1500px } .last { background: rgb(255, 0, 0) }</style>
<div></div><div></div>
<img data-src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="">
<script>
  addEventListener("scroll", () => {
    const added = document.createElement("div");
    added.className = "last";
    document.body.append(added);
  }, { once: true });
</script>
"""
"""A page that grows once, when it is scrolled."""


def size_of(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG."""
    assert png.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def drivers() -> list[int]:
    """Return the ids of this process's children that are drivers of Playwright."""
    found = []
    for child in psutil.Process().children():
        try:
            if "playwright" in " ".join(child.cmdline()):
                found.append(child.pid)
        except psutil.NoSuchProcess:  # it has ended just now
            continue
    return found


def new_name() -> str:
    """Return the name of a context that no other test has."""
    return f"browser-test-{uuid4().hex[:8]}"
