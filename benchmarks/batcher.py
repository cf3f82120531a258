"""A client of the benchmarks: creates sessions by the hundred, by ``agb.map`` or by hand, and says what CPU that took.

    python -m benchmarks.batcher FLAVOUR URL CONCURRENCY

For each line of standard input, a way and a number, it does that many items: a session is created, asked for a link,
and deleted. It prints a line of JSON with ``cpu``, the seconds this process has spent, and ``wall``, those that have
gone. One process does both ways in turn, with the same client, so that nothing else differs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from time import perf_counter, process_time
from typing import Any

from agb import AGB, AsyncAGB, AsyncSession, Config, CreateSessionParams, Session

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
API_KEY = "ako-benchmark"
PORT = 30100


async def map_async(agb: AsyncAGB, items: int, concurrency: int) -> int:
    """`AsyncAGB.map`."""

    async def link(session: AsyncSession, _: int) -> Any:
        return (await session.get_link(port=PORT)).data

    async with agb.map(link, range(items), params=PARAMS, concurrency=concurrency) as batch:
        return sum([outcome.ok async for outcome in batch])


async def bare_async(agb: AsyncAGB, items: int, concurrency: int) -> int:
    """The same calls, made by as many tasks."""
    numbers = iter(range(items))
    done: list[int] = []

    async def work() -> None:
        for number in numbers:
            session = (await agb.create(PARAMS)).session
            assert session is not None
            link = (await session.get_link(port=PORT)).data
            if link and (await session.delete()).success:
                done.append(number)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return len(done)


def map_sync(agb: AGB, items: int, concurrency: int) -> int:
    """`AGB.map`."""

    def link(session: Session, _: int) -> Any:
        return session.get_link(port=PORT).data

    with agb.map(link, range(items), params=PARAMS, concurrency=concurrency) as batch:
        return sum(outcome.ok for outcome in batch)


def bare_sync(agb: AGB, items: int, concurrency: int) -> int:
    """The same calls, made by as many threads."""
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: list[int] = []
    for number in range(items):
        numbers.put(number)

    def taken() -> Iterator[int]:
        while True:
            try:
                yield numbers.get_nowait()
            except queue.Empty:
                return

    def work() -> None:
        for number in taken():
            session = agb.create(PARAMS).session
            assert session is not None
            if session.get_link(port=PORT).data and session.delete().success:
                done.append(number)

    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(done)


CLIENTS: dict[str, Callable[..., Any]] = {
    client.__name__: client for client in (map_async, bare_async, map_sync, bare_sync)
}


def main(flavour: str, url: str, concurrency: int) -> None:
    """Measure for as long as lines come in."""
    config = Config(url, 60_000)
    agb = AsyncAGB(API_KEY, config) if flavour == "async" else AGB(API_KEY, config)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            way, items = line.split()[0], int(line.split()[1])
            gc.collect()
            cpu, wall = process_time(), perf_counter()
            work = CLIENTS[f"{way}_{flavour}"](agb, items, concurrency)
            done = runner.run(work) if flavour == "async" else work
            cpu, wall = process_time() - cpu, perf_counter() - wall
            if done != items:
                raise SystemExit(f"{way} has done {done} of {items} items")
            print(json.dumps({"cpu": cpu, "wall": wall}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
