"""A client of the benchmarks: moves files to and from a context, and says what time and memory that took.

    python -m benchmarks.courier CLIENT URL API_KEY CONTEXT_ID DIRECTORY

For each line of standard input, an operation and the name of a file or directory in DIRECTORY, it prints a line of
JSON: ``duration`` in seconds, and ``grown``, the bytes by which the process was larger at its peak than before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from .caller import TIMEOUT_MS
from .mover import peak

Moves = dict[str, Callable[[str], Any]]


def agb(url: str, api_key: str, context_id: str, directory: Path) -> AbstractContextManager[Moves]:
    """`AGB.context` of this package."""
    from agb import AGB, Config

    @contextmanager
    def moves() -> Iterator[Moves]:
        with AGB(api_key, Config(url, TIMEOUT_MS)) as client:

            def upload(name: str) -> None:
                client.context.upload(context_id, directory / name, f"/tmp/{name}").raise_for_error()

            def download(name: str) -> None:
                client.context.download(context_id, f"/tmp/{name}", directory / "got" / name).raise_for_error()

            yield {"upload": upload, "download": download}

    return moves()


def agbcloud(url: str, api_key: str, context_id: str, directory: Path) -> AbstractContextManager[Moves]:
    """`AGB.context` of agbcloud-sdk, which gives URLs; what is done with them is left to requests, which it brings."""
    client = import_module("agb.agb").AGB(api_key, import_module("agb.config").Config(url, TIMEOUT_MS))
    requests = import_module("requests")

    @contextmanager
    def moves() -> Iterator[Moves]:
        def upload(name: str) -> None:
            for path in sorted((directory / name).iterdir()):
                given = client.context.get_file_upload_url(context_id, f"/tmp/{name}/{path.name}")
                if not given.success:
                    raise SystemExit(given.error_message)
                with path.open("rb") as file:
                    requests.put(given.url, data=file, timeout=60).raise_for_status()

        yield {"upload": upload}

    return moves()


CLIENTS = {client.__name__: client for client in (agb, agbcloud)}


def main(client: str, url: str, api_key: str, context_id: str, directory: str) -> None:
    """Measure one client for as long as lines come in."""
    with CLIENTS[client](url, api_key, context_id, Path(directory)) as moves:
        for line in sys.stdin:
            operation, name = line.split()
            before = peak()
            started = perf_counter()
            moves[operation](name)
            duration = perf_counter() - started
            print(json.dumps({"duration": duration, "grown": peak() - before}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:6])
