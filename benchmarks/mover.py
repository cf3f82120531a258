"""A client of the benchmarks: moves files into and out of a session, and says what time and memory that took.

    python -m benchmarks.mover CLIENT URL API_KEY DIRECTORY

For each line of standard input, an operation and a number of bytes, it prints a line of JSON: ``duration`` in
seconds, and ``grown``, the bytes by which the process was larger at its peak than before its first such operation.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from .caller import TIMEOUT_MS

IMAGE = "agb-code-space-1"
CHUNK = b"0123456789abcdef" * 4096
SOURCE = "/tmp/source"

Move = Callable[[int], Any]


def agb(url: str, api_key: str, directory: Path) -> AbstractContextManager[dict[str, Move]]:
    """`Session.file` of this package: streams and directories."""
    from agb import AGB, Config, CreateSessionParams

    def read(session: Any, size: int) -> None:
        with session.file.read_stream(f"{SOURCE}-{size}") as chunks:
            _check(sum(map(len, chunks)), size)

    def write(session: Any, size: int) -> None:
        session.file.write_stream("/tmp/target", _chunks(size)).raise_for_error()

    def upload(session: Any, size: int) -> None:
        session.file.upload_dir(directory / f"{size}", "/tmp/uploaded").raise_for_error()

    @contextmanager
    def moves() -> Iterator[dict[str, Move]]:
        with (
            AGB(api_key, Config(url, TIMEOUT_MS)) as client,
            client.session(CreateSessionParams(image_id=IMAGE)) as session,
        ):
            yield _bound(session, read, write, upload)

    return moves()


def agbcloud(url: str, api_key: str, _: Path) -> AbstractContextManager[dict[str, Move]]:
    """`Session.file` of agbcloud-sdk: whole files, ``bytes`` when read and text when written; no directories."""
    client = import_module("agb.agb").AGB(api_key, import_module("agb.config").Config(url, TIMEOUT_MS))
    params = import_module("agb.session_params").CreateSessionParams(image_id=IMAGE)

    def read(session: Any, size: int) -> None:
        _check(len(session.file.read(f"{SOURCE}-{size}", format="bytes").content), size)

    def write(session: Any, size: int) -> None:
        result = session.file.write("/tmp/target", b"".join(_chunks(size)).decode())
        if not result.success:
            raise SystemExit(result.error_message)

    @contextmanager
    def moves() -> Iterator[dict[str, Move]]:
        session = client.create(params).session
        try:
            yield _bound(session, read, write)
        finally:
            client.delete(session)

    return moves()


CLIENTS = {client.__name__: client for client in (agb, agbcloud)}


def _bound(session: Any, *moves: Callable[[Any, int], None]) -> dict[str, Move]:
    def source(size: int) -> None:
        made = session.command.execute(f"head -c {size} /dev/urandom > {SOURCE}-{size}", timeout_ms=60_000)
        if not made.success:
            raise SystemExit(made.error_message)

    def bound(move: Callable[[Any, int], None]) -> Move:
        return lambda size: move(session, size)

    return {"source": source} | {move.__name__: bound(move) for move in moves}


def _chunks(size: int) -> Iterator[bytes]:
    for at in range(0, size, len(CHUNK)):
        yield CHUNK[: size - at]


def _check(moved: int, size: int) -> None:
    if moved != size:
        raise SystemExit(f"{moved} bytes came of {size}")


# --- measuring ---------------------------------------------------------------------------------------------------


def peak() -> int:
    """Return the bytes this process had at most.

    What getrusage tells is, on Linux, never less than its parent had when it started this one.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def main(client: str, url: str, api_key: str, directory: str) -> None:
    """Measure one client for as long as lines come in."""
    with CLIENTS[client](url, api_key, Path(directory)) as moves:
        before = None
        for line in sys.stdin:
            name, size = line.split()
            before = before if before is not None or name == "source" else peak()
            started = perf_counter()
            moves[name](int(size))
            duration = perf_counter() - started
            print(json.dumps({"duration": duration, "grown": peak() - (before or 0)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:5])
