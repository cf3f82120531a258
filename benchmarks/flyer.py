"""A client of the benchmarks of many calls at a time.

    python -m benchmarks.flyer CLIENT URL

For each line of standard input, "calls in flight, calls that each caller makes one after the other, port", it makes
those calls of get_link, and prints a line of JSON: ``cpu`` and ``wall`` seconds, ``memory``, the most this process has
had so far in MB, and ``opened``, the connections so far where they are known. "crowd N" makes N callers wait for one
connection, cancels all but some, and tells the CPU time of each that was cancelled and of each that was admitted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import threading
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import perf_counter, process_time
from typing import Any

from tests.pools import pool_of

from .caller import API_KEY, HEADERS, PARAMS, SESSION_ID, TIMEOUT_MS, agbcloud_session

MOST = 10_000
Call = Callable[[int], Any]
Opened = Callable[[], int]


def _unknown() -> int:
    return -1


# --- the clients -------------------------------------------------------------------------------------------------


def agb_async(url: str) -> tuple[Call, Opened]:
    from agb import AsyncAGB, Config, Limits

    agb = AsyncAGB(API_KEY, Config(url, TIMEOUT_MS), limits=Limits(connections=MOST))
    session = agb.attach(SESSION_ID)

    async def call(port: int) -> Any:
        return (await session.get_link(port=port)).data

    return call, lambda: agb.stats().connections.opened


def agb_sync(url: str) -> tuple[Call, Opened]:
    from agb import AGB, Config, Limits

    agb = AGB(API_KEY, Config(url, TIMEOUT_MS), limits=Limits(connections=MOST))
    session = agb.attach(SESSION_ID)
    return lambda port: session.get_link(port=port).data, lambda: agb.stats().connections.opened


def _httpx(library: Any, url: str) -> tuple[Call, Opened]:
    limits = library.Limits(max_connections=None, max_keepalive_connections=None)
    client = library.AsyncClient(headers=HEADERS, limits=limits, timeout=TIMEOUT_MS / 1000)

    async def call(port: int) -> Any:
        params = {**PARAMS, "port": str(port)}
        return (await client.get(f"{url}/internet/getLink", params=params)).json()["data"]["url"]

    return call, _unknown


def httpx_async(url: str) -> tuple[Call, Opened]:
    return _httpx(import_module("httpx"), url)


def httpx2_async(url: str) -> tuple[Call, Opened]:
    return _httpx(import_module("httpx2"), url)


def pooled_async(url: str) -> tuple[Call, Opened]:
    """httpx over this package's transport."""
    import httpx

    from agb import AsyncPoolTransport, Limits

    transport = AsyncPoolTransport(limits=Limits(connections=MOST))
    client = httpx.AsyncClient(headers=HEADERS, transport=transport, timeout=TIMEOUT_MS / 1000)

    async def call(port: int) -> Any:
        params = {**PARAMS, "port": str(port)}
        return (await client.get(f"{url}/internet/getLink", params=params)).json()["data"]["url"]

    return call, lambda: transport.pools[0].stats().opened


def httpx_sync(url: str) -> tuple[Call, Opened]:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx.Client(headers=HEADERS, limits=limits, timeout=TIMEOUT_MS / 1000)

    def call(port: int) -> Any:
        params = {**PARAMS, "port": str(port)}
        return client.get(f"{url}/internet/getLink", params=params).json()["data"]["url"]

    return call, _unknown


def aiohttp_async(url: str) -> tuple[Call, Opened]:
    aiohttp = import_module("aiohttp")
    clients: list[Any] = []

    async def call(port: int) -> Any:
        if not clients:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
            limit = aiohttp.ClientTimeout(total=TIMEOUT_MS / 1000)
            clients.append(aiohttp.ClientSession(headers=HEADERS, connector=connector, timeout=limit))
        params = {**PARAMS, "port": str(port)}
        async with clients[0].get(f"{url}/internet/getLink", params=params) as response:
            return (await response.json())["data"]["url"]

    return call, _unknown


def agbcloud_async(url: str) -> tuple[Call, Opened]:
    client = agbcloud_session(url).agb.client
    model = import_module("agb.api.models").GetLinkRequest

    async def call(port: int) -> Any:
        return (await client.get_link_async(model(HEADERS["Authorization"], port, None, SESSION_ID))).get_url()

    return call, _unknown


CLIENTS: dict[str, Callable[[str], tuple[Call, Opened]]] = {
    client.__name__: client
    for client in (
        agb_async,
        agb_sync,
        httpx_async,
        httpx2_async,
        pooled_async,
        httpx_sync,
        aiohttp_async,
        agbcloud_async,
    )
}

# --- measuring ---------------------------------------------------------------------------------------------------


async def _fly(call: Callable[[int], Awaitable[Any]], flight: int, calls: int, port: int) -> None:
    async def work() -> None:
        for _ in range(calls):
            assert await call(port)

    await asyncio.gather(*(work() for _ in range(flight)))


def _fly_in_threads(call: Call, flight: int, calls: int, port: int) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(calls):
                assert call(port)
        except BaseException as error:  # raised below
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


async def _crowd(url: str, count: int) -> dict[str, float]:
    """Let callers wait for one connection, cancel nine of ten, and admit the rest."""
    from agb import AsyncAGB, Config, Limits

    gc.disable()  # what it costs grows with all that a program holds, ten thousand tasks among it
    async with AsyncAGB(API_KEY, Config(url, TIMEOUT_MS), limits=Limits(connections=1)) as agb:
        session = agb.attach(SESSION_ID)
        await session.get_link(port=30100)
        pool = pool_of(agb)
        first = asyncio.ensure_future(session.get_link(port=30150))  # one second; then the line moves
        order: list[int] = []

        async def wait(number: int) -> None:
            await session.get_link(port=30100)
            order.append(number)

        while not pool.stats().in_use:
            await asyncio.sleep(0)
        started = process_time()
        tasks = [asyncio.ensure_future(wait(number)) for number in range(count)]
        while pool.stats().waiting < count:
            await asyncio.sleep(0)
        lined = process_time()
        left = [task for number, task in enumerate(tasks) if number % 10]
        for task in left:
            task.cancel()
        await asyncio.wait(left)
        cancelled = process_time()
        await asyncio.gather(first, *tasks[::10])
        over = process_time()
        assert order == sorted(order)
    return {
        "line": (lined - started) / count,
        "cancel": (cancelled - lined) / len(left),
        "admit": (over - cancelled) / len(order),
    }


def main(client: str, url: str) -> None:
    """Measure one client for as long as lines come in."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    call, opened = CLIENTS[client](url)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            if line.startswith("crowd"):
                print(json.dumps(runner.run(_crowd(url, int(line.split()[1])))), flush=True)
                continue
            flight, calls, port = map(int, line.split())
            wall, cpu = perf_counter(), process_time()
            if client.endswith("_async"):
                runner.run(_fly(call, flight, calls, port))
            else:
                _fly_in_threads(call, flight, calls, port)
            cpu, wall = process_time() - cpu, perf_counter() - wall
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"cpu": cpu, "wall": wall, "memory": memory, "opened": opened()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
