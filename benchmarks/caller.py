"""A client of the benchmarks: calls get_link as often as it is told, and says what CPU time that took.

    python -m benchmarks.caller CLIENT URL

For each number on a line of standard input it makes that many calls, and prints a line of JSON with ``calls`` and
``cpu``, the seconds this process has spent. Each client has a process of its own: agbcloud-sdk because it is imported
as ``agb`` too and lives in another environment, the others so that all are measured alike.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import process_time
from typing import Any

API_KEY = "ako-benchmark"
SESSION_ID = "s-0123456789abcdef"
PORT = 30100
TIMEOUT_MS = 60_000
HEADERS = {"Authorization": f"Bearer {API_KEY}"}
PARAMS = {"sessionId": SESSION_ID, "port": str(PORT)}

Call = Callable[[], Any]
"""Make one call and return the link; asynchronous clients return it as an awaitable."""


# --- the clients: each is made once and used for all calls -------------------------------------------------------


def agb_sync(url: str) -> Call:
    """`Session.get_link` of this package."""
    from agb import AGB, Config

    session = AGB(API_KEY, Config(url, TIMEOUT_MS)).attach(SESSION_ID)
    return lambda: session.get_link(port=PORT).data


def agb_async(url: str) -> Call:
    """`AsyncSession.get_link` of this package."""
    from agb import AsyncAGB, Config

    session = AsyncAGB(API_KEY, Config(url, TIMEOUT_MS)).attach(SESSION_ID)

    async def call() -> Any:
        return (await session.get_link(port=PORT)).data

    return call


def httpx_sync(url: str) -> Call:
    """The same request by a bare `httpx.Client`."""
    import httpx

    client = httpx.Client(headers=HEADERS)
    return lambda: client.get(f"{url}/internet/getLink", params=PARAMS).json()["data"]["url"]


def httpx_async(url: str) -> Call:
    """The same request by a bare `httpx.AsyncClient`."""
    import httpx

    client = httpx.AsyncClient(headers=HEADERS)

    async def call() -> Any:
        return (await client.get(f"{url}/internet/getLink", params=PARAMS)).json()["data"]["url"]

    return call


def agbcloud_sync(url: str) -> Call:
    """`Session.get_link` of agbcloud-sdk."""
    session = agbcloud_session(url)
    return lambda: session.get_link(port=PORT).data


def agbcloud_async(url: str) -> Call:
    """`Client.get_link_async` of agbcloud-sdk, whose session has no asynchronous method for it."""
    client = agbcloud_session(url).agb.client
    request = import_module("agb.api.models").GetLinkRequest(HEADERS["Authorization"], PORT, None, SESSION_ID)

    async def call() -> Any:
        return (await client.get_link_async(request)).get_url()

    return call


def agbcloud_session(url: str) -> Any:
    agb = import_module("agb.agb").AGB(API_KEY, import_module("agb.config").Config(url, TIMEOUT_MS))
    return import_module("agb.session").Session(agb, SESSION_ID)


CLIENTS: dict[str, Callable[[str], Call]] = {
    client.__name__: client for client in (agb_sync, agb_async, httpx_sync, httpx_async, agbcloud_sync, agbcloud_async)
}

# --- measuring ---------------------------------------------------------------------------------------------------


def _seconds(call: Call, calls: int) -> float:
    started = process_time()
    for _ in range(calls):
        call()
    return process_time() - started


async def _seconds_async(call: Callable[[], Awaitable[Any]], calls: int) -> float:
    started = process_time()
    for _ in range(calls):
        await call()
    return process_time() - started


async def _link(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


def main(client: str, url: str) -> None:
    """Measure one client for as long as numbers come in."""
    call = CLIENTS[client](url)
    with asyncio.Runner() as runner:
        asynchronous = client.endswith("_async")
        link = runner.run(_link(call)) if asynchronous else call()
        if not (isinstance(link, str) and link.startswith("https://")):
            raise SystemExit(f"{client} does not get a link from the server, but {link!r}")
        for line in sys.stdin:
            calls = int(line)
            cpu = runner.run(_seconds_async(call, calls)) if asynchronous else _seconds(call, calls)
            print(json.dumps({"calls": calls, "cpu": cpu}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
