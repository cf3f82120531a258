"""The MCP server in short: an agent over stdio gets a session for its time, and what the command line refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mcp")

from agb import AGB, Config
from agb.cli import main
from agb.local import LocalServer

from .mcp_servers import Sessions, over_stdio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_agent_over_stdio_gets_a_session_for_its_time(runtime: LocalServer) -> None:
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb:
        sessions = Sessions(agb)
        async with over_stdio(runtime, "--name", sessions.name) as agent:
            assert await agent.text("run_command", command="echo hello") == "hello"
            assert len(sessions.ids) == 1
        await sessions.until_gone()


HTTP = ["--transport", "http"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "there is no API key"),
        (["--port", "1"], "--host, --port and --allow-host are for --transport http"),
        (["--transport", "sse"], "is not one of 'stdio', 'http'"),
        ([*HTTP, "--host", "192.0.2.1"], "other machines reach 192.0.2.1, and a client needs no key"),
        ([*HTTP, "--host", "0.0.0.0", "--token", "x" * 16], "0.0.0.0 is every address of this machine: name those"),
        ([*HTTP, "--token", "short"], "the token has less than 16 characters"),
        ([*HTTP, "--port", "70000"], "70000 is not in the range"),
        (["--answer-limit", "10"], "answer_limit is a number of characters from 1000, not 10"),
        (["--max-sessions", "0"], "max_sessions is a number above zero, not 0"),
        (["--idle-time", "never"], "'never' is not a time above zero"),
        (["--name", " "], "is one line of 1 to 128 characters"),
    ],
)
def test_refused_arguments(
    arguments: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("AGB_MCP_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["mcp", *arguments]) == 2
    printed = capsys.readouterr()
    assert reason in printed.err
    assert printed.out == ""
