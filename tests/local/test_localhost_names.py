"""Names below localhost: what the resolver of the machine has for them, and the form of links that follows."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from agb.local.api import localhost_names
from agb.local.api.localhost_names import localhost_addresses
from agb.local.command import banner
from agb.local.options import Options
from agb.local.server import Listening, serve

from .runtimes import IMAGE

BOTH = frozenset({"127.0.0.1", "::1"})
FORMS = {
    "name": r"{scheme}://{port}-{session}-[0-9a-f]{{32}}\.localhost:{server}/",
    "path": r"{scheme}://127\.0\.0\.1:{server}/link/{session}/{port}/[0-9a-f]{{32}}/",
}


# --- the resolver ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "addresses"),
    [
        (["::1", "127.0.0.1"], {"::1", "127.0.0.1"}),
        (["127.0.0.1"], {"127.0.0.1"}),
        (["127.0.0.1", "192.0.2.1"], set()),  # a search domain with a wildcard
        (["fe80::1%lo"], set()),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), set()),
    ],
)
def test_only_loopback_addresses_count(
    monkeypatch: pytest.MonkeyPatch, answer: list[str] | OSError, addresses: set[str]
) -> None:
    def getaddrinfo(name: str, *_: object, **__: object) -> list[Any]:
        assert name.endswith(".localhost")
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answer]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert localhost_addresses() == addresses


def test_slow_resolver_is_not_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def resolved() -> frozenset[str]:
        answered.wait()
        return BOTH

    monkeypatch.setattr(localhost_names, "resolved", resolved)
    assert localhost_addresses(0.01) == frozenset()
    answered.set()
    assert localhost_addresses(120) == BOTH


# --- a server ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(options: Options) -> AsyncIterator[Listening]:
    """A server in this process, so that its resolver can be replaced."""
    ready = asyncio.get_running_loop().create_future()
    read_end, write_end = os.pipe()
    try:
        serving = asyncio.create_task(serve(options, ready.set_result, lifeline=read_end))
        try:
            await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                await serving  # raises why
            yield ready.result()
        finally:
            os.close(write_end)
            await serving
    finally:
        os.close(read_end)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("addresses", "public_url", "form", "note"),
    [
        (BOTH, None, "name", "by host name"),
        (frozenset(), None, "path", "apt install libnss-myhostname"),
        (BOTH, "http://localhost:9000", "path", "below the public URL"),
        (frozenset({"::1"}), None, "path", "names below localhost do not lead to 127.0.0.1"),
    ],
)
async def test_links_of_a_server(
    monkeypatch: pytest.MonkeyPatch, addresses: frozenset[str], public_url: str | None, form: str, note: str
) -> None:
    monkeypatch.setattr(localhost_names, "resolved", lambda: addresses)
    options = Options(isolation="none", network="host", public_url=public_url)
    async with served(options) as listening:
        assert listening.report.links == form
        [line] = [line for line in banner(options, listening, shows_key=False).splitlines() if "  links " in line]
        assert note in line
        headers = {"authorization": f"Bearer {options.api_key}"}
        async with httpx.AsyncClient(base_url=listening.url, headers=headers, timeout=120) as caller:
            made = await caller.post("/mcp/createSession", params={"imageId": IMAGE}, json={})
            query = {"sessionId": made.json()["data"]["sessionId"], "port": "30150"}
            for protocol, scheme in (("http", "http"), ("https", "http"), ("ws", "ws"), ("wss", "ws")):
                answer = await caller.get("/mcp/getLink", params={**query, "protocolType": protocol})
                url = answer.json()["data"]["url"]
                if public_url:
                    assert url.startswith(f"{scheme}://localhost:9000/link/")
                    continue
                server = caller.base_url.port
                expected = FORMS[form].format(scheme=scheme, port=30150, session=query["sessionId"], server=server)
                assert re.fullmatch(expected, url)
