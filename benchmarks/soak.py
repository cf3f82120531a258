"""A soak of the local runtime: many sessions are made, used and deleted; what the runtime keeps has to stay the same.

``python -m benchmarks.soak [SESSIONS]``. Each session has a label, a mounted context, a command, a file and a request
through a link; every tenth one also runs Python code. The server is measured when no session is left, after each tenth
of the sessions. The exit code is 1 if it has grown between the second measurement, when everything is loaded that is
loaded on demand, and the last one.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
from attrs import asdict, frozen

import agb.local
from agb import AsyncAGB, AsyncSession, Config, Context, ContextSync, CreateSessionParams

AT_A_TIME = 8
TENTHS = 10
MEMORY_PER_SESSION = 4096
"""Bytes that the server may grow by for each session: the rest of its memory is not exact to the page."""
MEMORY_NOISE = 4 << 20
"""Bytes by which two samples may differ in any case: the allocator keeps what was used a moment before."""
SERVER = "nohup python3 -m http.server 30100 --bind 127.0.0.1 > /dev/null 2>&1 &"


@frozen
class Sample:
    """What the server holds while it has no session."""

    sessions: int
    """Sessions that were made and deleted before."""
    memory: int
    """Bytes of private memory of the server."""
    descriptors: int
    processes: int
    """The server and all below it."""
    threads: int
    files: int
    """Files below the data directory, those of the ended sessions included."""
    stored: int
    """Bytes in them."""


def sample(pid: int, data_dir: Path, sessions: int) -> Sample:
    """Measure the server."""
    server = psutil.Process(pid)
    # The network programs of ended sessions may still be in their exit, and their files in their removal.
    psutil.wait_procs(server.children(recursive=True), timeout=10)
    files = list(_files(data_dir))
    return Sample(
        sessions,
        server.memory_full_info().uss,
        server.num_fds(),
        1 + len(server.children(recursive=True)),
        server.num_threads(),
        len(files),
        sum(files),
    )


def _files(directory: Path) -> Iterator[int]:
    """Yield the sizes of all files; a write-ahead log is as large as its last transactions, and is left out."""
    for path in directory.rglob("*"):
        if path.is_file() and not path.name.endswith(("-wal", "-shm")):
            yield path.stat().st_size


async def use(agb: AsyncAGB, http: httpx.AsyncClient, context: Context, number: int) -> None:
    """Make one session, use it, and delete it."""
    mount = ContextSync(context.id, "/home/user/data")
    params = CreateSessionParams({"number": str(number)}, "agb-code-space-1", context_syncs=[mount])
    async with agb.session(params) as session:
        await _use(session, http, number)


async def _use(session: AsyncSession, http: httpx.AsyncClient, number: int) -> None:
    (await session.command.execute(SERVER, timeout_ms=60_000)).raise_for_error()
    (await session.file.write("/home/user/data/last", str(number))).raise_for_error()
    link = str((await session.get_link(port=30100)).raise_for_error().data)
    await http.get(link)  # whether the server inside is up already does not matter
    if number % 10 == 0:
        (await session.code.run("1 + 1", "python", timeout_s=120)).raise_for_error()


async def soak(sessions: int) -> list[Sample]:
    """Return the samples, each printed when it is taken."""
    samples = []
    with tempfile.TemporaryDirectory(prefix="agb-soak-") as directory:
        data_dir = Path(directory)
        async with agb.local.aserve(data_dir=data_dir, allow_none=True, warm=0) as server:
            limits = httpx.Limits(max_connections=AT_A_TIME)
            config = Config(server.endpoint, 120_000)
            async with (
                AsyncAGB(server.api_key, config) as client,
                httpx.AsyncClient(timeout=120, limits=limits) as http,
            ):
                made = (await client.context.create("soak")).raise_for_error().context
                assert made is not None
                for tenth in range(TENTHS):
                    numbers = iter(range(tenth * sessions // TENTHS, (tenth + 1) * sessions // TENTHS))

                    async def work(numbers: Iterator[int] = numbers, context: Context = made) -> None:
                        for number in numbers:
                            await use(client, http, context, number)

                    begun = time.monotonic()
                    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
                    await _until_gone(server.pid, data_dir)
                    samples.append(sample(server.pid, data_dir, (tenth + 1) * sessions // TENTHS))
                    print(f"{time.monotonic() - begun:6.1f} s", asdict(samples[-1]), flush=True)
    return samples


async def _until_gone(pid: int, data_dir: Path) -> None:
    """Return when the last sessions are gone: a deletion is answered when it begins."""
    gc.collect()
    while any(any((data_dir / name).iterdir()) for name in ("sessions", "removed")) or psutil.Process(pid).children():
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # and their descriptors


def growth(samples: list[Sample]) -> list[str]:
    """Return what has grown between the second sample and the last one."""
    first, last = samples[1], samples[-1]
    allowed = {
        "memory": max(MEMORY_NOISE, MEMORY_PER_SESSION * (last.sessions - first.sessions)),
        "descriptors": AT_A_TIME,  # connections that the client keeps
        "processes": 0,
        "threads": 16,  # pools of threads are filled on demand
        "files": 0,
        "stored": 65_536,  # pages of the database
    }
    grown = {name: getattr(last, name) - getattr(first, name) for name in allowed}
    return [f"{name}: {grown[name]:+,}" for name, most in allowed.items() if grown[name] > most]


def main() -> int:
    samples = asyncio.run(soak(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
    found = growth(samples)
    print("\n".join(["grown:", *found]) if found else "flat")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
