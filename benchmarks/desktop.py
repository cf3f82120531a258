"""The desktop of a session of the local runtime: its start, a click, pictures of the screen, and its memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import perf_counter
from unittest.mock import patch

from agb import AGB, Config, CreateSessionParams
from agb.local.desktop.programs import DesktopPrograms
from agb.session import Session

from .caller import TIMEOUT_MS
from .processes import ENVIRONMENT
from .table import Row

_IMAGE = "agb-computer-use-ubuntu-2204"
_TERMINAL = "xterm -fullscreen -e sh -c 'ls -lR /usr/lib | head -20000; touch filled; exec sleep 1000'"
_MEMORY = """
until test -e filled; do sleep 0.1; done
for pid in $(pgrep -x 'Xvnc|openbox') $(pgrep -f desktop_helper | head -1); do cat /proc/$pid/smaps_rollup; done |
    awk '/^Pss:/ {kb += $2} END {print kb / 1000}'
"""


def measure(url: str, api_key: str, rounds: int) -> Iterator[Row]:
    """Yield the figures; nothing where a desktop cannot run. The screen shows a terminal full of text."""
    if DesktopPrograms.find().missing:
        return
    with patch.dict(os.environ, ENVIRONMENT, clear=True), AGB(api_key, Config(url, TIMEOUT_MS)) as client:
        starts = []
        for _ in range(min(rounds, 7)):
            with client.session(CreateSessionParams(image_id=_IMAGE)) as session:
                starts.append(_milliseconds(lambda: _call(session, "get_screen_size")))
        yield Row("start of a desktop, after the session's", "ms", median(starts), goal=1500)
        with client.session(CreateSessionParams(image_id=_IMAGE)) as session:
            _call(session, "start_app", start_cmd=_TERMINAL)
            megabytes = float(session.command.execute(_MEMORY, timeout_ms=60_000).raise_for_error().output)
            clicks = [_milliseconds(lambda: _call(session, "click_mouse", x=900, y=500)) for _ in range(4 * rounds)]
            yield Row("click", "ms", median(clicks), goal=15)
            for form in ("png", "jpeg"):
                take = partial(_call, session, "screenshot", format=form)
                pictures = [_milliseconds(take) for _ in range(rounds)]
                yield Row(f"picture of 1920x1080, {form}", "ms", median(pictures), goal=120)
            yield Row("memory of a desktop (PSS)", "MB", megabytes)


def _call(session: Session, tool: str, **arguments: object) -> None:
    session.call_mcp_tool(tool, arguments).raise_for_error()


def _milliseconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return (perf_counter() - started) * 1e3
