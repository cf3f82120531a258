"""``agb doctor``: what is installed, which settings are in use, and whether the service answers."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Final

import click
from attrs import asdict, frozen

from .._version import __version__
from ..config import DEFAULT_ENDPOINT
from ..exceptions import AGBError
from .config import masked_key
from .output import FAILED, CommandFailed, Output, clean
from .parser import Shared, command
from .settings import client, setting

_EXTRAS: Final = {
    "local": (("starlette", "uvicorn", "jupyter_client", "ipykernel", "psutil", "msgspec", "jinja2"), "local runtime"),
    "browser": (("playwright",), "driving a session's browser"),
    "fast": (("msgspec",), "live output at a higher rate"),
    "executor": (("cloudpickle",), "sessions as an executor"),
    "dask": (("distributed",), "batches on a dask cluster"),
    "mcp": (("mcp",), "serving sessions to agents: agb mcp"),
    "progress": (("rich",), "progress bars"),
    "socks": (("socksio",), "SOCKS5 proxies"),
}
"""Extra -> the modules it brings, and what it is for."""
_PROGRAMS: Final = {
    "bubblewrap": (("bwrap",), "isolation of local sessions"),
    "passt": (("pasta",), "network of local sessions"),
    "nodejs": (("node",), "JavaScript in local sessions"),
    "default-jdk-headless": (("jshell",), "Java in local sessions"),
    "r-base-core": (("Rscript",), "R in local sessions"),
    "chromium": (("chromium",), "browser of local sessions"),
    "tigervnc-standalone-server": (("Xvnc",), "desktop of local sessions"),
    "openbox": (("openbox",), "desktop of local sessions"),
}
"""Debian's package -> the programs in it, and what they are for."""


@frozen
class Check:
    """One line: whether it is well, what was found, and how to mend it."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    required: bool = True


@command("agb doctor", "agb doctor --json", "agb doctor --strict")
@click.option("--strict", is_flag=True, help="Fail also if something optional is missing.")
@click.pass_obj
def doctor(shared: Shared, strict: bool) -> int:
    """Check Python, packages, programs, settings and the service. One line each, with the command that mends it.

    The exit code is 0 if all that is required is well: Python, a key, and a service that answers. With --quiet only
    what is missing is printed.
    """
    out = Output(shared)
    checks: list[Check] = []
    for check in _checks(shared):
        checks.append(check)
        if not out.is_json and not (shared.quiet and check.ok):
            mark = "ok" if check.ok else "MISSING" if check.required else "missing"
            remedy = "" if check.ok or not check.remedy else f"  ->  {check.remedy}"
            click.echo(f"{mark:<8}{check.name:<36}{clean(check.found)}{remedy}".rstrip())
    if out.is_json:
        out.data([asdict(check) for check in checks])
    return FAILED if any(not check.ok and (check.required or strict) for check in checks) else 0


def _checks(shared: Shared) -> Iterator[Check]:
    yield Check("Python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or later")
    yield Check("agb", True, __version__)
    for extra, (modules, purpose) in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        found = purpose if not missing else f"{purpose}: no {', '.join(missing)}"
        yield Check(f"extra {extra}", not missing, found, f"pip install 'agb[{extra}]'", required=False)
    for package, (programs, purpose) in _PROGRAMS.items():
        missing = [name for name in programs if shutil.which(name) is None]
        yield Check(f"program {package}", not missing, purpose, f"apt install {package}", required=False)
    yield from _service(shared)


def _service(shared: Shared) -> Iterator[Check]:
    try:
        key, endpoint = setting(shared, "api_key"), setting(shared, "endpoint")
    except CommandFailed as error:  # the profiles cannot be read, or there is none of that name
        yield Check("settings", False, str(error), "agb config ls")
        return
    where = f"{endpoint.value} ({endpoint.source})" if endpoint is not None else f"{DEFAULT_ENDPOINT} (default)"
    yield Check("endpoint", True, where)
    found = "not set" if key is None else f"{masked_key(key.value)} ({key.source})"
    yield Check("API key", key is not None, found, "agb config set, or export AGB_API_KEY=...")
    if key is None:
        return
    started = time.perf_counter()
    try:
        with client(shared) as agb:
            count = agb.list(timeout=shared.timeout or 10).raise_for_error().total_count
    except (AGBError, CommandFailed) as error:
        yield Check("service", False, str(error), "check the endpoint and the key; 'agb serve' runs one here")
    else:
        milliseconds = (time.perf_counter() - started) * 1000
        yield Check("service", True, f"answers in {milliseconds:.0f} ms; {count} active sessions")
