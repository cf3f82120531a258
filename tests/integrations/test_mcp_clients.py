"""``agb mcp`` as a process: clients that come and go, cancellation, isolation of clients, and who may connect."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

pytest.importorskip("mcp")

from mcp.client.streamable_http import StreamableHTTPTransport

from agb import AGB, Config
from agb.local import LocalServer

from .mcp_servers import (
    PROGRAM,
    SECONDS,
    Agent,
    Sessions,
    environment,
    http_server,
    over_http,
    over_stdio,
    pictures_of,
)

pytestmark = pytest.mark.anyio
TOKEN = "a-token-of-the-tests-1234"
VERSION = "2025-06-18"
FOREVER = "sleep 98765"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sessions(runtime: LocalServer) -> Iterator[Sessions]:
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb:
        yield Sessions(agb)


@asynccontextmanager
async def connected(runtime: LocalServer, way: str, *arguments: str) -> AsyncIterator[tuple[Agent, dict[str, Any]]]:
    """Connect a client in one of the ways; yield it, and what each call needs to name its session."""
    transport, mode = way.split("-")
    if transport == "stdio":
        async with over_stdio(runtime, *arguments, mode=mode) as agent:
            yield agent, {}
        return
    with http_server(runtime, *arguments) as (url, _):
        async with over_http(url, mode=mode) as agent:
            named = {}
            if mode == "auto":
                created = (await agent.ask("create_session")).structured_content
                assert created is not None
                named = {"session_id": created["session_id"]}
            yield agent, named


WAYS = ["stdio-auto", "stdio-legacy", "http-auto", "http-legacy"]
"""Transport and protocol: ``legacy`` begins with a handshake, ``auto`` is that of 2026, where each request is alone."""


# --- what clients do ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_the_tools_in_one_conversation(runtime: LocalServer, sessions: Sessions, way: str) -> None:
    async with connected(runtime, way, "--name", sessions.name) as (agent, named):
        assert await agent.text("run_code", code="6 * 7", **named) == "42"
        assert await agent.text("run_command", command="echo hello", **named) == "hello"
        await agent.ask("write_file", path="site/index.html", content="<h1>hello</h1>", **named)
        assert await agent.text("read_file", path="site/index.html", **named) == "<h1>hello</h1>"
        assert await agent.text("list_files", **named) == "site/"
        assert await agent.text("search_files", pattern="hello", **named) == "site/index.html:1: <h1>hello</h1>"
        picture = "from PIL import Image; Image.new('RGB', (20, 10), 'red')"
        assert pictures_of(await agent.ask("run_code", code=picture, **named))[0].size == (20, 10)
        server = "python3 -u -m http.server 30100 -d site"
        started = (await agent.ask("start_command", command=server, **named)).structured_content
        assert started is not None
        wait = f"until grep -q Serving {started['log']}; do sleep 0.05; done"
        await agent.ask("run_command", command=wait, **named)
        url = await agent.text("make_link", port=30100, **named)
        async with httpx.AsyncClient() as http:
            assert (await http.get(url)).text == "<h1>hello</h1>"
        assert len(sessions.ids) == 1
        await agent.ask("delete_session", **named)
        assert sessions.ids == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("run_command", {"command": f"{FOREVER} & {FOREVER}"}),
        ("run_code", {"code": f"import subprocess; subprocess.run({FOREVER.split()})"}),
    ],
    ids=["command", "code"],
)
async def test_cancelled_call_ends_its_work_in_the_session(
    runtime: LocalServer, sessions: Sessions, way: str, tool: str, arguments: dict[str, Any]
) -> None:
    async with connected(runtime, way, "--name", sessions.name) as (agent, named):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(agent.ask, tool, timeout=3000, **arguments, **named))
            await sessions.until(lambda: len(sessions.ids) == 1 and sessions.runs(FOREVER))
            tasks.cancel_scope.cancel()
        await sessions.until(lambda: not sessions.runs(FOREVER))
        assert await agent.text("run_command", command="echo still here", **named) == "still here"


# --- clients that leave -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["stdio-auto", "stdio-legacy", "http-legacy"])
async def test_session_is_released_when_the_client_leaves(runtime: LocalServer, sessions: Sessions, way: str) -> None:
    transport, mode = way.split("-")
    if transport == "stdio":
        async with over_stdio(runtime, "--name", sessions.name, mode=mode) as agent:
            await agent.ask("list_files")
        await sessions.until_gone()
        return
    with http_server(runtime, "--name", sessions.name) as (url, process):
        async with over_http(url) as agent:
            await agent.ask("list_files")
            assert len(sessions.ids) == 1
        await sessions.until_gone()
        assert process.poll() is None  # the server goes on


async def test_session_is_released_when_the_client_is_killed(
    runtime: LocalServer, sessions: Sessions, tmp_path: Path
) -> None:
    """A client of stdio that is killed in the middle of a call."""
    program = tmp_path / "client.py"
    command = [*PROGRAM, "--name", sessions.name]
    program.write_text(
        "import anyio\n"
        "from mcp import Client, StdioServerParameters\n"
        "async def main():\n"
        f"    server = StdioServerParameters(command={command[0]!r}, args={command[1:]!r}, "
        f"env={environment(runtime)!r})\n"
        "    async with Client(server) as client:\n"
        f"        await client.call_tool('run_command', {{'command': {FOREVER!r}, 'timeout': 3000}})\n"
        "anyio.run(main)\n"
    )
    with subprocess.Popen([sys.executable, str(program)]) as client:
        await sessions.until(lambda: len(sessions.ids) == 1 and sessions.runs(FOREVER))
        client.kill()
    await sessions.until_gone()


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_session_is_released_when_a_client_of_http_is_gone(
    runtime: LocalServer, sessions: Sessions, mode: str
) -> None:
    """It does not say goodbye, so its session ends by its idle time."""
    with http_server(runtime, "--name", sessions.name, "--idle-time", "3s") as (url, _):
        async with over_http(url, mode=mode, says_goodbye=False) as agent:
            created = (await agent.ask("create_session")).structured_content
            assert created is not None
            assert len(sessions.ids) == 1
        await sessions.until_gone()


@pytest.mark.parametrize("way", ["stdio", "http"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_releases_the_sessions(
    runtime: LocalServer, sessions: Sessions, way: str, number: signal.Signals
) -> None:
    if way == "http":
        with http_server(runtime, "--name", sessions.name) as (url, process):
            async with over_http(url, says_goodbye=False) as agent:
                await agent.ask("list_files")
                process.send_signal(number)
                await sessions.until_gone()
            await anyio.to_thread.run_sync(process.wait, SECONDS)
        return
    with raw_client(runtime, "--name", sessions.name) as (process, ask):
        ask("initialize", protocolVersion=VERSION, capabilities={}, clientInfo={"name": "test", "version": "1"})
        ask("tools/call", name="list_files", arguments={})
        assert len(sessions.ids) == 1
        process.send_signal(number)  # its standard input stays open
        process.wait(SECONDS)
        assert sessions.ids == []


async def test_sessions_of_a_killed_server_are_found_by_their_owner(runtime: LocalServer, sessions: Sessions) -> None:
    with raw_client(runtime, "--name", sessions.name) as (process, ask):
        ask("initialize", protocolVersion=VERSION, capabilities={}, clientInfo={"name": "test", "version": "1"})
        ask("tools/call", name="list_files", arguments={})
        assert len(sessions.agb.reap(f"mcp:{sessions.name}").kept) == 1
        process.kill()
        process.wait(SECONDS)
    assert len(sessions.agb.reap(f"mcp:{sessions.name}").deleted) == 1


# --- isolation ----------------------------------------------------------------------------------------------------


async def test_clients_do_not_see_each_other(runtime: LocalServer, sessions: Sessions) -> None:
    with http_server(runtime, "--name", sessions.name) as (url, _):
        async with over_http(url) as one, over_http(url) as other, over_http(url, mode="auto") as alone:
            created = (await one.ask("create_session")).structured_content
            assert created is not None
            session_id = created["session_id"]
            await one.ask("write_file", path="secret", content="of one")
            for client in (other, alone):
                for tool, arguments in (
                    ("read_file", {"path": "secret"}),
                    ("run_command", {"command": "cat secret"}),
                    ("delete_session", {}),
                ):
                    text = await client.failure(tool, session_id=session_id, **arguments)
                    assert text.startswith("there is no session")
            assert await other.text("list_files") == "no entries"
            assert len(sessions.ids) == 2
            assert "pass the session_id" in await alone.failure("list_files")
            assert await one.text("read_file", path="secret") == "of one"


async def test_session_of_a_client_without_a_conversation_cannot_be_guessed(
    runtime: LocalServer, sessions: Sessions
) -> None:
    """Neither the service's id of a session leads to it, nor the header of another client's MCP session."""
    with http_server(runtime, "--name", sessions.name) as (url, _):
        async with over_http(url) as one, over_http(url, mode="auto") as alone:
            created = (await alone.ask("create_session")).structured_content
            assert created is not None
            service_id, _, secret = created["session_id"].partition(".")
            assert sessions.ids == [service_id]
            assert len(secret) == 32
            assert (await alone.failure("list_files", session_id=service_id)).startswith("there is no session")
            assert (await one.failure("list_files", session_id=created["session_id"])).startswith("there is no session")
            await one.ask("write_file", path="secret", content="of one")
            header = {"mcp-session-id": _mcp_session_of_the_client()}
            async with over_http(url, mode="auto", headers=header) as thief:
                assert "pass the session_id" in await thief.failure("read_file", path="secret")


def _mcp_session_of_the_client() -> str:
    """Return the id of the MCP session of the only client with one, which only that client knows."""
    transports = [one for one in gc.get_objects() if isinstance(one, StreamableHTTPTransport)]
    (found,) = {str(one.session_id) for one in transports if one.session_id}
    return found


# --- who may connect ----------------------------------------------------------------------------------------------


def _initialize(url: str, **headers: str) -> int:
    """Return the status of a request that begins an MCP session."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    }
    accept = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    return httpx.post(url, json=message, headers={**accept, **headers}).status_code


def test_names_are_checked(runtime: LocalServer) -> None:
    with http_server(runtime) as (url, _):
        port = httpx.URL(url).port
        assert url == f"http://127.0.0.1:{port}/mcp"
        assert _initialize(url) == 200
        assert _initialize(url, host=f"localhost:{port}") == 200
        assert _initialize(url, host=f"evil.example:{port}") == 421
        assert _initialize(url, host="127.0.0.1.evil.example") == 421
        assert _initialize(url, origin="http://evil.example") == 403
        assert _initialize(url, origin=f"http://localhost:{port}") == 200


async def test_token_is_asked_for(runtime: LocalServer, sessions: Sessions) -> None:
    with http_server(runtime, "--name", sessions.name, variables={"AGB_MCP_TOKEN": TOKEN}) as (url, _):
        assert _initialize(url) == 401
        assert _initialize(url, authorization=f"Bearer {TOKEN}x") == 401
        assert _initialize(url, authorization=TOKEN) == 401
        for mode in ("legacy", "auto"):
            async with over_http(url, mode=mode, headers={"authorization": f"Bearer {TOKEN}"}) as agent:
                await agent.ask("create_session")
        assert httpx.delete(url, headers={"mcp-session-id": "x"}).status_code == 401


def test_other_addresses_with_a_token_and_a_name(runtime: LocalServer) -> None:
    arguments = ("--host", "0.0.0.0", "--allow-host", "sandboxes.example")
    with http_server(runtime, *arguments, variables={"AGB_MCP_TOKEN": TOKEN}) as (url, _):
        port = httpx.URL(url).port
        here, token = f"http://127.0.0.1:{port}/mcp", f"Bearer {TOKEN}"
        assert url == f"http://sandboxes.example:{port}/mcp"
        assert _initialize(here, host="sandboxes.example", authorization=token) == 200
        assert _initialize(here, host=f"sandboxes.example:{port}", authorization=token) == 200
        assert _initialize(here, authorization=token) == 421
        assert (
            _initialize(here, host="sandboxes.example", authorization=token, origin="http://sandboxes.example") == 403
        )
        assert _initialize(here, host="sandboxes.example") == 401


# --- standard output ----------------------------------------------------------------------------------------------


Ask = Callable[..., dict[str, Any]]


class raw_client:  # noqa: N801
    """A client that reads each line of standard output itself; every one must be a message of the protocol."""

    def __init__(self, runtime: LocalServer, *arguments: str) -> None:
        self._command = [*PROGRAM, *arguments]
        self._env = environment(runtime)
        self._number = 0

    def __enter__(self) -> tuple[subprocess.Popen[str], Ask]:
        self._process = subprocess.Popen(
            self._command, env=self._env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self._process, self._ask

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        with self._process.stdout as rest:
            for line in rest:
                assert json.loads(line)["jsonrpc"] == "2.0"

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        while True:
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            if answer.get("id") == self._number:
                return answer


def test_standard_output_has_the_protocol_only(runtime: LocalServer) -> None:
    """Also with a log, and with a local runtime of its own."""
    with raw_client(runtime, "--local", "--verbose", "--json") as (process, ask):
        ask("initialize", protocolVersion=VERSION, capabilities={}, clientInfo={"name": "test", "version": "1"})
        ran = ask("tools/call", name="run_code", arguments={"code": "print('out')"})
        assert ran["result"]["content"] == [{"type": "text", "text": "out"}]
        failed = ask("tools/call", name="read_file", arguments={"path": "nothing"})
        assert failed["result"]["isError"] is True
        assert "error" in ask("nonsense/method")
    assert process.returncode == 0


def test_client_that_says_nothing(runtime: LocalServer) -> None:
    """Its input is empty, or a file, for which no event loop can wait."""
    for source in (os.devnull, __file__):
        with Path(source).open("rb") as stdin:
            done = subprocess.run(
                PROGRAM,
                stdin=stdin,
                env=environment(runtime),
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in done.stdout.splitlines())
