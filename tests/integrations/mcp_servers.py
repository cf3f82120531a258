"""What the tests of the MCP server share: clients in this process and as real processes, and a view of the sessions."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from typing import Any
from uuid import uuid4

import anyio
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ImageContent
from PIL import Image

from agb import AGB, AsyncAGB, Config, Session
from agb._wire.labels import OWNER
from agb.integrations.mcp import Options, create_server
from agb.local import LocalServer

SECONDS = 120
"""Limit of each wait; a machine under load may need long."""
PROGRAM = [sys.executable, "-m", "agb", "mcp"]


def text_of(result: CallToolResult) -> str:
    """Return the texts of an answer."""
    return "\n".join(part.text for part in result.content if part.type == "text")


def pictures_of(result: CallToolResult) -> list[Image.Image]:
    """Return the pictures of an answer, decoded."""
    parts = [part for part in result.content if isinstance(part, ImageContent)]
    pictures: list[Image.Image] = []
    for part in parts:
        picture = Image.open(BytesIO(base64.b64decode(part.data)))
        picture.load()
        assert Image.MIME[picture.format or ""] == part.mime_type
        pictures.append(picture)
    return pictures


class Agent:
    """A client, as an agent uses it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, tool: str, **arguments: Any) -> CallToolResult:
        """Call a tool, which must succeed."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        return result

    async def text(self, tool: str, **arguments: Any) -> str:
        """Return the text of a tool that succeeds."""
        return text_of(await self.ask(tool, **arguments))

    async def failure(self, tool: str, **arguments: Any) -> str:
        """Return the text of a tool that fails."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, text_of(result)
        return text_of(result)


@asynccontextmanager
async def in_process(runtime: LocalServer, *, mode: str = "auto", **options: Any) -> AsyncIterator[Agent]:
    """Connect the official client to a server in this process."""

    def connect() -> AsyncAGB:
        return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 60_000))

    async with Client(create_server(connect, Options(**options)), mode=mode) as client:
        yield Agent(client)


# --- processes ----------------------------------------------------------------------------------------------------


def environment(runtime: LocalServer) -> dict[str, str]:
    """Return the variables of a server's process."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return {**kept, "AGB_ENDPOINT": runtime.endpoint, "AGB_API_KEY": runtime.api_key}


def stdio_server(runtime: LocalServer, *arguments: str) -> StdioServerParameters:
    """Return how a client starts ``agb mcp``."""
    command, *words = [*PROGRAM, *arguments]
    return StdioServerParameters(command=command, args=words, env=environment(runtime))


@asynccontextmanager
async def over_stdio(runtime: LocalServer, *arguments: str, mode: str = "auto") -> AsyncIterator[Agent]:
    """Connect the official client to ``agb mcp``, which it starts."""
    async with Client(stdio_server(runtime, *arguments), mode=mode) as client:
        yield Agent(client)


@contextmanager
def http_server(
    runtime: LocalServer, *arguments: str, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``agb mcp`` over HTTP; yield its URL and its process, which is ended like by Ctrl-C."""
    command = [*PROGRAM, "--transport", "http", "--json", *arguments]
    env = {**environment(runtime), **(variables or {})}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["data"]["url"], process
        finally:
            process.terminate()
            process.wait(SECONDS)


@asynccontextmanager
async def over_http(
    url: str, *, mode: str = "legacy", headers: Mapping[str, str] | None = None, says_goodbye: bool = True
) -> AsyncIterator[Agent]:
    """Connect the official client to a URL; ``legacy`` is with an MCP session, ``auto`` without one."""
    http = httpx2.AsyncClient(headers=dict(headers or {}), timeout=SECONDS)
    transport = streamable_http_client(url, http_client=http, terminate_on_close=says_goodbye)
    async with http, Client(transport, mode=mode) as client:
        yield Agent(client)


# --- sessions -----------------------------------------------------------------------------------------------------


class Sessions:
    """The sessions of one server, as the service knows them."""

    def __init__(self, agb: AGB) -> None:
        self.agb = agb
        self.name = uuid4().hex

    @property
    def ids(self) -> list[str]:
        """The ids of those that exist."""
        return self.agb.list({OWNER: f"mcp:{self.name}"}, limit=50).raise_for_error().session_ids

    @property
    def only(self) -> Session:
        """The one session."""
        (session_id,) = self.ids
        return self.agb.attach(session_id)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        with anyio.fail_after(SECONDS):
            while not await anyio.to_thread.run_sync(holds):
                await anyio.sleep(0.05)  # waits on purpose: the service announces no such change

    async def until_gone(self) -> None:
        """Wait until no session is left."""
        await self.until(lambda: not self.ids)

    def runs(self, what: str) -> bool:
        """Return whether a process with this word in its command line runs in the one session."""
        command = f"pgrep -f '[{what[0]}]{what[1:]}'"
        return bool(self.only.command.execute(command, timeout_ms=60_000).stdout)
