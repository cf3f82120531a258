"""A client of the benchmarks: makes a session, uses it for the first time and deletes it.

    python -m benchmarks.opener CLIENT URL API_KEY

For each line of standard input, the seconds to wait after the session was made, it prints a line of JSON with the
milliseconds of each step. It waits as long after the end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from time import perf_counter, sleep
from typing import Any

from .caller import TIMEOUT_MS
from .mover import IMAGE


def agb(url: str, api_key: str) -> tuple[Any, Any]:
    """Return a client of this package, and its parameters of a session."""
    from agb import AGB, Config, CreateSessionParams

    return AGB(api_key, Config(url, TIMEOUT_MS)), CreateSessionParams(image_id=IMAGE)


def agbcloud(url: str, api_key: str) -> tuple[Any, Any]:
    """Return the same of agbcloud-sdk."""
    client = import_module("agb.agb").AGB(api_key, import_module("agb.config").Config(url, TIMEOUT_MS))
    return client, import_module("agb.session_params").CreateSessionParams(image_id=IMAGE)


CLIENTS = {client.__name__: client for client in (agb, agbcloud)}


def _timed(figures: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    started = perf_counter()
    result = work()
    figures[name] = (perf_counter() - started) * 1e3
    if not result.success:
        raise SystemExit(result.error_message)
    return result


def main(client: str, url: str, api_key: str) -> None:
    """Measure one client for as long as lines come in."""
    api, params = CLIENTS[client](url, api_key)
    for line in sys.stdin:
        figures: dict[str, float] = {}
        session = _timed(figures, "create", lambda: api.create(params)).session
        sleep(float(line))
        for name, step in {
            "write": lambda: session.file.write("/tmp/first", "text"),  # noqa: B023 - called at once
            "cell": lambda: session.code.run("1 + 1", "python"),  # noqa: B023
            "call": lambda: session.command.execute("true"),  # noqa: B023
            "delete": lambda: api.delete(session),  # noqa: B023
        }.items():
            _timed(figures, name, step)
        sleep(float(line))
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4])
