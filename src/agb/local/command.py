"""A runtime as a process of its own: the banner of ``agb serve``, and how a program starts a runtime."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import asdict

from .._version import __version__
from .errors import CannotStart
from .options import Options

if TYPE_CHECKING:
    from .server import Listening

CANNOT_START = 2
"""The exit code when nothing was served."""

_NEEDED = ("starlette", "uvicorn", "h11", "psutil", "jupyter_client", "msgspec", "jinja2")


def serve_here(
    options: Options,
    ready: Callable[[Listening], None],
    lifeline: int | None = None,
    *,
    outlives_parent: bool = False,
) -> None:
    """Serve in this process until a signal comes, or ``lifeline`` ends; call ``ready`` once it listens.

    With a ``lifeline`` the end of the parent process counts as well, unless it ``outlives_parent``.

    Raises:
        CannotStart: that is not possible here.
    """
    if sys.platform != "linux":
        raise CannotStart(
            f"the local runtime needs Linux: its sessions are made of Linux namespaces and processes, and this is "
            f"{sys.platform}. Run it in a Linux container or a virtual machine (on Windows: WSL), or use the cloud"
        )
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CannotStart(f"the local runtime needs more packages ({', '.join(missing)}): pip install 'agb[local]'")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from .server import serve

    asyncio.run(serve(options, ready, lifeline=lifeline, outlives_parent=outlives_parent))


# --- the banner --------------------------------------------------------------------------------------------------


def banner(options: Options, listening: Listening, *, shows_key: bool) -> str:
    """Return the text for a server that listens; it shows the key only if that is a new one.

    A shell can execute the indented lines at its end: in place of a key that is not shown there is a comment.
    """
    report = listening.report
    lines = [f"agb {__version__}: the local runtime listens on {listening.url}", ""]
    isolated = "" if report.isolation == "none" else f"isolated with {report.isolation}, "
    lines += _rows("sessions", [isolated + report.isolation_note])
    lines += _rows("network", [_NETWORKS.get(report.network, report.network)])
    lines += _rows("links", [report.links_note])
    lines += _rows("languages", [f"{name} ({found})" for name, found in report.languages.items()] or ["none"])
    lines += _rows("planner", [] if options.planner is None else [options.planner])
    lines += _rows("browser", [report.browser] if report.browser else [])
    lines += _rows("desktop", [report.desktop] if report.desktop else [])
    lines += _rows("images", [f"{image}: {abilities}" for image, abilities in report.images.items()])
    lines += _rows("missing", [f"{name}: {install}" for name, install in report.missing.items()])
    if not options.is_loopback:
        lines += [
            "",
            f"  Warning: {options.host} can be reached from other machines, and there is no encryption: a",
            "  listener on the network can read the API key, and run programs here. Use it in a network you trust.",
        ]
    key = f"export AGB_API_KEY={options.api_key}" if shows_key else "# AGB_API_KEY: the key that this server was given"
    lines += ["", f"The dashboard, for one browser: {listening.dashboard_url}"]
    lines += ["", "Connect from another terminal:", ""]
    lines += [f"  export AGB_ENDPOINT={listening.url}", f"  {key}", ""]
    lines += ["Ctrl-C stops it and releases all sessions."]
    return "\n".join(lines)


_NETWORKS = {
    "pasta": "each session has its own, with a way out through pasta",
    "isolated": "each session has its own, without a way out",
    "host": "sessions share this machine's",
}


def _rows(title: str, values: list[str]) -> list[str]:
    return [f"  {title if number == 0 else '':<11}{value}" for number, value in enumerate(values)]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# --- started by a program ----------------------------------------------------------------------------------------


def serve_child(*, is_shared: bool = False) -> int:
    """Serve for the program that started this one, and only as long as it lives.

    It writes one line of JSON with the options to stdin, which keeps the key out of sight, and keeps stdin open; one
    line comes back on stdout: ``{"url", "api_key", "report"}`` once the server listens, or ``{"error"}``. A shared one
    serves as long as any program holds the other end of stdin.
    """
    try:
        options = Options.from_mapping(_options_from(sys.stdin.fileno()))
        serve_here(
            options,
            lambda listening: _announce(_known(options, listening)),
            sys.stdin.fileno(),
            outlives_parent=is_shared,
        )
    except CannotStart as error:
        _announce({"error": str(error)})
        return CANNOT_START
    return 0


def _options_from(descriptor: int) -> dict[str, Any]:
    """Return the options in the first line; read byte by byte, since what follows belongs to the event loop."""
    line = bytearray()
    while not line.endswith(b"\n") and (byte := os.read(descriptor, 1)):
        line += byte
    try:
        options = json.loads(line)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise CannotStart("--child expects one line with a JSON object on standard input")
    return options


def _known(options: Options, listening: Listening) -> dict[str, Any]:
    return {"url": listening.url, "api_key": options.api_key, "report": asdict(listening.report)}


def _announce(line: dict[str, Any]) -> None:
    """Write the one line that is expected, then point stdout to the null device: its reader is gone."""
    _say(json.dumps(line))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
