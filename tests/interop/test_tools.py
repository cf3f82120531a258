"""Tools in general: the list, metrics, any tool by name, and which route a call takes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from .harness import API_KEY, IMAGE

if TYPE_CHECKING:
    from agb import Session


def test_routes_are_what_they_say(session: Session, api_session: Session) -> None:
    """The client makes the request id on the link route, the service on the other: it shows who answered."""
    assert session.command.execute("true").request_id.startswith("link-")
    assert not api_session.command.execute("true").request_id.startswith("link-")


def test_tool_list(session: Session) -> None:
    result = session.list_mcp_tools()

    assert result.success, result.error_message
    assert result.request_id
    tools = {tool.name: tool for tool in result.tools}
    assert {"run_code", "shell", "get_metrics"} <= tools.keys()
    for tool in result.tools:
        assert tool.description
        assert tool.server
        assert tool.input_schema["type"] == "object"
        assert set(tool.input_schema["required"]) <= set(tool.input_schema["properties"])
    assert tools["shell"].input_schema["required"] == ["command"]
    assert set(tools["run_code"].input_schema["required"]) == {"code", "language"}
    assert tools["run_code"].server == "wuying_codespace"


def test_listed_tools_are_the_sessions(session: Session) -> None:
    listed = {(tool.name, tool.server) for tool in session.list_mcp_tools(IMAGE).tools}

    assert listed == {(tool.name, tool.server) for tool in session.tool_list}


def test_metrics(routed: Session) -> None:
    result = routed.get_metrics()

    assert result.success, result.error_message
    metrics = result.metrics
    assert metrics is not None
    assert metrics.cpu_count >= 1
    assert metrics.cpu_used_pct >= 0
    assert 0 < metrics.mem_used < metrics.mem_total
    assert metrics.disk_total > 0
    assert 0 <= metrics.disk_used <= metrics.disk_total
    assert metrics.rx_rate_kbyte_per_s >= 0
    assert metrics.tx_used_kbyte >= 0
    assert datetime.fromisoformat(metrics.timestamp).tzinfo is not None


def test_metrics_show_what_a_session_uses(routed: Session) -> None:
    before = routed.get_metrics().metrics
    assert before is not None
    assert routed.code.run("block = bytearray(64 * 1024 * 1024)", "python").success

    after = routed.get_metrics().metrics

    assert after is not None
    assert after.mem_used - before.mem_used > 32 * 1024 * 1024
    assert routed.code.run("del block", "python").success


def test_any_tool_by_name(routed: Session) -> None:
    result = routed.call_mcp_tool("shell", {"command": "echo größe", "timeout_ms": 5000, "unknown": {"ü": [None]}})

    assert result.success, result.error_message
    assert result.data is not None
    assert "größe" in result.data


@pytest.mark.parametrize("name", ["no_such_tool", "screenshot", "größe"])
def test_unknown_tool(routed: Session, name: str) -> None:
    result = routed.call_mcp_tool(name, {})

    assert not result.success
    assert name in result.error_message


@pytest.mark.parametrize(
    ("name", "args", "argument"),
    [
        ("shell", {}, "command"),
        ("shell", {"command": 1}, "command"),
        ("shell", {"command": "true", "timeout_ms": "soon"}, "timeout_ms"),
        ("shell", {"command": "true", "envs": {"A": 1}}, "envs"),
        ("run_code", {"code": "1"}, "language"),
    ],
)
def test_bad_arguments_are_named(routed: Session, name: str, args: dict[str, Any], argument: str) -> None:
    result = routed.call_mcp_tool(name, args)

    assert not result.success
    assert argument in result.error_message


def test_arguments_as_an_object(session: Session, low_level: Any, models: Any) -> None:
    request = models.CallMcpToolRequest(
        {"command": "echo object"}, f"Bearer {API_KEY}", IMAGE, "shell", "wuying_shell", session.session_id
    )

    response = low_level.call_mcp_tool(request)

    assert response.is_successful()
    assert "object" in response.get_tool_result()


def test_calls_at_the_same_time(routed: Session) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: routed.command.execute(f"echo {number}", 10_000), range(24)))

    assert [result.stdout for result in results] == [f"{number}\n" for number in range(24)]


def test_a_command_while_code_runs(session: Session, api_session: Session) -> None:
    assert session.command.execute("rm -f /tmp/gate; mkfifo /tmp/gate").success
    with ThreadPoolExecutor(1) as threads:
        # Opening a pipe waits for the other side, so the code can only end if the command runs beside it.
        code = threads.submit(session.code.run, "open('/tmp/gate').read()", "python", 20)
        assert api_session.command.execute("echo -n opened > /tmp/gate", 20_000).success

        assert code.result().result == "'opened'"
