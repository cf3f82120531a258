"""Fixtures: a small client that speaks the raw protocol, and what tests of the runtime need of the machine."""

from __future__ import annotations

import functools
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agb.local import LocalServer
from agb.local.browser import chromium as chromium_program
from agb.local.kernels import interpreters
from agb.local.limits import Limits
from agb.local.sandbox import bubblewrap, isolation
from agb.local.sandbox.launch import Isolation
from agb.local.sandbox.pasta import Pasta

from .browser import Browser, chromium, new_visitor

IMAGE = "agb-code-space-1"


class Api:
    """The control plane as it is on the wire: plain requests, plain JSON."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.http = httpx.Client(
            base_url=server.endpoint, headers={"authorization": f"Bearer {server.api_key}"}, timeout=300
        )

    def ask(self, method: str, path: str, query: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """Return the envelope of an answer, whatever it says."""
        answer = self.http.request(method, path, params=query, **more)
        envelope = answer.json()
        assert envelope["requestId"] == answer.headers["x-request-id"]
        assert isinstance(envelope, dict)
        return envelope

    def get(self, path: str, **query: str) -> Any:
        """Return the data of a GET that succeeds."""
        return _data(self.ask("GET", path, query))

    def post(self, path: str, query: dict[str, str] | None = None, **body: Any) -> Any:
        """Return the data of a POST that succeeds."""
        return _data(self.ask("POST", path, query, json=body))

    def create(self, **body: Any) -> dict[str, Any]:
        data = self.post("/mcp/createSession", {"imageId": IMAGE}, **body)
        assert isinstance(data, dict)
        return data

    def release(self, session_id: str) -> None:
        self.post("/mcp/releaseSession", sessionId=session_id)

    def status(self, session_id: str) -> str:
        return str(self.post("/mcp/getSessionInfo", sessionId=session_id)["status"])

    def tool(self, session_id: str, name: str, **args: Any) -> dict[str, Any]:
        """Return the result of a tool called by the API."""
        result = self.post("/mcp", {"autoGenSession": "false"}, sessionId=session_id, name=name, args=json.dumps(args))
        assert [item["type"] for item in result["content"]] == ["text"]
        return dict(result)

    def shell(self, session_id: str, command: str) -> str:
        """Return the output of a command that succeeds."""
        result = self.tool(session_id, "shell", command=command, timeout_ms=120_000)
        assert not result["isError"], result
        return str(json.loads(result["content"][0]["text"])["stdout"])

    def link(self, session_id: str, port: int = 30100, protocol: str = "http") -> str:
        """Return a link in the form that this machine allows."""
        return str(self.get("/internet/getLink", sessionId=session_id, port=str(port), protocolType=protocol)["url"])

    def link_by_path(self, session_id: str, port: int = 30100, protocol: str = "http") -> str:
        """Return a link by path, as a caller behind a forwarded port gets it on every machine."""
        query = {"sessionId": session_id, "port": str(port), "protocolType": protocol}
        data = _data(self.ask("GET", "/internet/getLink", query, headers={"host": "localhost:1"}))
        return str(data["url"]).replace("localhost:1", self.server.endpoint.partition("://")[2])

    def start(self, session_id: str, program: str, port: int = 30100) -> None:
        """Start a Python program inside a session and return when something listens on the port."""
        self.shell(
            session_id,
            f"nohup python3 -c {shlex.quote(program)} > log 2>&1 &\n"
            f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do kill -0 $! || {{ cat log; exit 1; }}; done",
        )


def _data(envelope: dict[str, Any]) -> Any:
    assert envelope["success"] is True, envelope
    assert envelope["httpStatusCode"] == 200
    return envelope["data"]


read_version = functools.cache(interpreters._version_output)
read_version_of_a_browser = functools.cache(chromium_program._version)
can_limit_size = functools.cache(bubblewrap.can_limit_size)
try_sandbox = isolation._try
working: set[tuple[str, str, Pasta | None]] = set()
"""What a sandbox was started with in this process: bubblewrap, the network, and what connects it."""


async def try_once(kind: Isolation, area: Path, limits: Limits) -> None:
    """Start a sandbox and end it, unless one of its kind has worked."""
    bubblewrap = kind.bubblewrap
    key = (bubblewrap.path, bubblewrap.network, kind.pasta) if bubblewrap is not None else ("", "", None)
    if key not in working:
        await try_sandbox(kind, area, limits)
        working.add(key)


@pytest.fixture(autouse=True)
def _machine_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read versions of programs and try a sandbox once per process, not for each of some hundred runtimes in it."""
    monkeypatch.setattr(interpreters, "_version_output", read_version)
    monkeypatch.setattr(chromium_program, "_version", read_version_of_a_browser)
    monkeypatch.setattr(bubblewrap, "can_limit_size", can_limit_size)
    monkeypatch.setattr(isolation, "_try", try_once)


@pytest.fixture(scope="session")
def api(runtime: LocalServer) -> Iterator[Api]:
    api = Api(runtime)
    with api.http:
        yield api


@pytest.fixture
def session(api: Api) -> Iterator[str]:
    """The id of a new session, released afterwards."""
    session_id = api.create()["sessionId"]
    yield session_id
    api.ask("POST", "/mcp/releaseSession", json={"sessionId": session_id})  # unless the test has done so


@pytest.fixture(scope="module")
def shared_session(api: Api) -> Iterator[str]:
    """The id of a session for those tests of a module that leave nothing behind by which another could notice them."""
    session_id = api.create()["sessionId"]
    yield session_id
    api.release(session_id)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of 16 MiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(directory)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs a small file system, and there is no program mount")
    if mounted.returncode != 0:
        pytest.skip(f"needs a small file system, and cannot mount one: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@pytest.fixture(scope="session")
def address_of_a_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One browser for all tests of a process in which a person looks at pages."""
    with chromium(tmp_path_factory.mktemp("visitors")) as address:
        yield address


@pytest.fixture
def visitor(address_of_a_browser: str) -> Iterator[Browser]:
    """The browser of a person who comes for the first time."""
    with new_visitor(address_of_a_browser) as browser:
        yield browser


# --- runtime ---

from .mounted import context  # noqa: E402, F401
from .runtimes import box, local_runtime, shared_box, shared_runtime  # noqa: E402, F401
