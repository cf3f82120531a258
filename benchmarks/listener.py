"""A client of the benchmarks: receives streams of events, and says what time that took.

    python -m benchmarks.listener CLIENT URL

For each line of standard input it prints a line of JSON. A number asks for a stream of so many events: ``cpu`` and
``duration`` are the seconds it took, from the request to the last event. ``first N`` asks for N streams of one event
each: ``first`` is the median of the seconds from request to event, on a socket that is open already.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any

from .caller import API_KEY, SESSION_ID, TIMEOUT_MS, agbcloud_session

Listen = Callable[[int], Any]
"""Take a stream of so many events; return their number and when the first came, or that as an awaitable."""

Heard = tuple[int, float]
REQUEST = {"method": "run_code", "mode": "stream", "params": {"language": "python", "timeoutS": 60}}
TOKEN = "benchmark"


def agb_sync(url: str) -> Listen:
    """`Session.code.stream` of this package."""
    from agb import AGB, Config, Stdout

    session = AGB(API_KEY, Config("http://127.0.0.1:1", TIMEOUT_MS)).attach(SESSION_ID)
    session.ws_url, session.token = url, TOKEN

    def listen(count: int) -> Heard:
        heard, first = 0, 0.0
        with session.code.stream(str(count), "python") as events:
            for event in events:
                first = first or perf_counter()
                heard += isinstance(event, Stdout)
        return heard, first

    return listen


def agb_async(url: str) -> Listen:
    """`AsyncSession.code.stream` of this package."""
    from agb import AsyncAGB, Config, Stdout

    session = AsyncAGB(API_KEY, Config("http://127.0.0.1:1", TIMEOUT_MS)).attach(SESSION_ID)
    session.ws_url, session.token = url, TOKEN

    async def listen(count: int) -> Heard:
        heard, first = 0, 0.0
        async with session.code.stream(str(count), "python") as events:
            async for event in events:
                first = first or perf_counter()
                heard += isinstance(event, Stdout)
        return heard, first

    return listen


def websockets_sync(url: str) -> Listen:
    """A bare connection of `websockets.sync`, and `json.loads`."""
    from websockets.sync.client import connect

    socket = connect(url, compression=None, max_size=None)

    def listen(count: int) -> Heard:
        socket.send(_request(count))
        heard, first = 0, 0.0
        while json.loads(socket.recv())["data"]["phase"] == "event":
            first = first or perf_counter()
            heard += 1
        return heard, first

    return listen


def websockets_async(url: str) -> Listen:
    """A bare connection of `websockets.asyncio`, and `json.loads`."""
    from websockets.asyncio.client import ClientConnection, connect

    sockets: list[ClientConnection] = []

    async def listen(count: int) -> Heard:
        if not sockets:
            sockets.append(await connect(url, compression=None, max_size=None))
        socket = sockets[0]
        await socket.send(_request(count))
        heard, first = 0, 0.0
        while json.loads(await socket.recv())["data"]["phase"] == "event":
            first = first or perf_counter()
            heard += 1
        return heard, first

    return listen


def echo_sync(url: str) -> Listen:
    """A message and its echo by a bare connection of `websockets.sync`."""
    from websockets.sync.client import connect

    socket = connect(url, compression=None)

    def listen(count: int) -> Heard:
        for _ in range(count):
            socket.send("echo")
            socket.recv()
        return count, perf_counter()

    return listen


def echo_async(url: str) -> Listen:
    """A message and its echo by a bare connection of `websockets.asyncio`."""
    from websockets.asyncio.client import ClientConnection, connect

    sockets: list[ClientConnection] = []

    async def listen(count: int) -> Heard:
        if not sockets:
            sockets.append(await connect(url, compression=None))
        for _ in range(count):
            await sockets[0].send("echo")
            await sockets[0].recv()
        return count, perf_counter()

    return listen


def agbcloud_sync(url: str) -> Listen:
    """`Session.code.run` of agbcloud-sdk with a callback; it streams in no other way, and not asynchronously."""
    session = agbcloud_session("http://127.0.0.1:1")
    session.ws_url, session.token = url, TOKEN

    def listen(count: int) -> Heard:
        heard: list[str] = []
        first = 0.0

        def on_stdout(chunk: str) -> None:
            nonlocal first
            first = first or perf_counter()
            heard.append(chunk)

        result = session.code.run(str(count), "python", stream_beta=True, on_stdout=on_stdout)
        if not result.success:
            raise SystemExit(result.error_message)
        return len(heard), first

    return listen


def _request(count: int) -> str:
    data = {**REQUEST, "params": {"language": "python", "timeoutS": 60, "code": str(count)}}
    return json.dumps({"invocationId": "f" * 32, "source": "SDK", "target": "wuying_codespace", "data": data})


_ALL = (agb_sync, agb_async, websockets_sync, websockets_async, echo_sync, echo_async, agbcloud_sync)
CLIENTS: dict[str, Callable[[str], Listen]] = {client.__name__: client for client in _ALL}

# --- measuring ---------------------------------------------------------------------------------------------------


def main(client: str, url: str) -> None:
    """Measure one client for as long as lines come in."""
    listen = CLIENTS[client](url)
    with asyncio.Runner() as runner:

        def heard(count: int) -> Heard:
            told: Heard = runner.run(_awaited(listen, count)) if client.endswith("_async") else listen(count)
            if told[0] != count:
                raise SystemExit(f"{client} heard {told[0]} events of {count}")
            return told

        heard(1)
        for line in sys.stdin:
            figures = _first(heard, int(line.split()[1])) if line.startswith("first") else _all(heard, int(line))
            print(json.dumps(figures), flush=True)


def _all(heard: Callable[[int], Heard], count: int) -> dict[str, float]:
    cpu, started = process_time(), perf_counter()
    heard(count)
    return {"cpu": process_time() - cpu, "duration": perf_counter() - started}


def _first(heard: Callable[[int], Heard], times: int) -> dict[str, float]:
    waits = []
    for _ in range(times):
        started = perf_counter()
        waits.append(heard(1)[1] - started)
    return {"first": median(waits)}


async def _awaited(listen: Callable[[int], Awaitable[Heard]], count: int) -> Heard:
    return await listen(count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
