"""The OpenAI Agents SDK with scripted models, on the local runtime."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("agents")

from agents import Agent, ApplyPatchTool, ComputerTool, RunConfig, Runner, RunResult, ShellTool
from agents.editor import ApplyPatchOperation
from agents.run_context import RunContextWrapper
from agents.sandbox import Manifest, SandboxAgent, SandboxRunConfig
from agents.sandbox.entries import File
from agents.sandbox.errors import (
    ExecTimeoutError,
    ExecTransportError,
    ExposedPortUnavailableError,
    InvalidManifestPathError,
    WorkspaceArchiveReadError,
    WorkspaceArchiveWriteError,
    WorkspaceReadNotFoundError,
    WorkspaceWriteTypeError,
)
from agents.sandbox.session import SandboxSession
from agents.sandbox.snapshot import LocalSnapshotSpec
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tool import ShellActionRequest, ShellCallData, ShellCommandRequest
from openai.types.responses import ResponseComputerToolCall

from agb import AGBError, AsyncAGB, AsyncSession, CreateSessionParams
from agb.integrations.openai_agents import (
    AGBComputer,
    AGBSandboxClient,
    AGBSandboxClientOptions,
    AGBSandboxSessionState,
    AGBTools,
    apply_patch_tool,
    function_tools,
    shell_tool,
)
from agb.local import LocalServer

from .agent_sessions import SLEEP, SLEEP_IN_CODE, client, sessions_of, sleeps, until

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
QUIET = RunConfig(tracing_disabled=True)
Call = tuple[str, dict[str, Any]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def agb(runtime: LocalServer) -> AsyncIterator[AsyncAGB]:
    async with client(runtime) as agb:
        yield agb


@pytest.fixture
async def session(agb: AsyncAGB) -> AsyncIterator[AsyncSession]:
    async with agb.session(PARAMS) as session:
        yield session


def script(*steps: Call | list[Call]) -> ScriptedModel:
    """Return a model that asks for calls, step by step, and then says that it is done."""
    numbers = iter(range(100))
    lists = [step if isinstance(step, list) else [step] for step in steps]
    calls = [[function_call(name, values, call_id=f"call-{next(numbers)}") for name, values in one] for one in lists]
    return ScriptedModel([*calls, [assistant_message("done")]])


def outputs(result: RunResult) -> list[Any]:
    """Return what the model reads as the results of its calls."""
    items = [dict(item) for item in result.to_input_list()]
    return [item["output"] for item in items if str(item.get("type")).endswith("_output")]


async def results(session: AsyncSession, *steps: Call | list[Call], **options: Any) -> list[Any]:
    """Return the results of calls of function tools."""
    agent = Agent("coder", model=script(*steps), tools=[*function_tools(session, **options)])
    return outputs(await Runner.run(agent, "go", run_config=QUIET, max_turns=30))


# --- function tools --------------------------------------------------------------------------------------------------


async def test_function_tools(session: AsyncSession) -> None:
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    picture = f"from IPython.display import Image\nimport base64\nImage(base64.b64decode({png!r}))"
    found = await results(
        session,
        ("write_file", {"path": "src/a.py", "content": "one = 1\n"}),
        ("edit_file", {"path": "src/a.py", "old": "one", "new": "eins", "replace_all": False}),
        ("read_file", {"path": "src/a.py", "offset": 0}),
        ("list_files", {"path": "src"}),
        ("find_files", {"pattern": "*.py", "path": "src"}),
        ("search_files", {"pattern": "e[a-z]+s", "path": "src", "regex": True}),
        [("run_code", {"code": "x = 20\nx + 1"}), ("run_command", {"command": "echo bad >&2; exit 3"})],
        ("run_code", {"code": "x * 2", "language": "python", "timeout": None}),
        ("run_code", {"code": picture}),
        ("make_link", {"port": 30100}),
    )
    assert found[:4] == ["Wrote 8 bytes to src/a.py.", "Replaced 1 occurrence in src/a.py.", "eins = 1\n", "a.py  9"]
    assert found[4].endswith("src/a.py")
    assert found[5].endswith("src/a.py:1: eins = 1")
    assert found[6:9] == ["21", "[stderr]\nbad\n[exit code 3]", "40"]
    assert [part["type"] for part in found[9]] == ["input_text", "input_image"]
    assert found[9][1]["image_url"].startswith("data:image/png;base64,iVBOR")
    assert found[10].startswith("http")


async def test_errors_and_limits(session: AsyncSession) -> None:
    found = await results(
        session,
        ("read_file", {"path": "/no/such"}),
        ("make_link", {"port": -1}),
        ("run_command", {"command": "sleep 600", "timeout": 0.5}),
        ("run_command", {"command": "seq 100000"}),
        text_limit=1000,
    )
    assert found[0].startswith("Error: ")
    assert "/no/such" in found[0]
    assert found[1].startswith("Error: port must be")
    assert "ended after 0.5 seconds" in found[2]
    assert len(found[3]) < 1200


async def test_failure_of_the_service_ends_the_run(agb: AsyncAGB) -> None:
    async with agb.session(PARAMS) as session:
        await session.delete()
        with pytest.raises(Exception, match="run_command") as raised:
            await results(session, ("run_command", {"command": "true"}))
        assert isinstance(raised.value.__cause__, AGBError)


def test_schemas() -> None:
    tools = {tool.name: tool for tool in function_tools(object())}  # type: ignore[arg-type]
    assert list(tools) == [
        "run_code",
        "run_command",
        "read_file",
        "write_file",
        "edit_file",
        "list_files",
        "find_files",
        "search_files",
        "make_link",
    ]
    schema = tools["run_code"].params_json_schema
    assert schema["properties"]["language"]["enum"] == ["python", "javascript", "java", "r"]
    assert all(
        one.get("description") for tool in tools.values() for one in tool.params_json_schema["properties"].values()
    )
    assert tools["run_code"].description.startswith("Run code in the sandbox")


async def test_session_is_created_by_the_first_call(agb: AsyncAGB) -> None:
    async with AGBTools(CreateSessionParams(image_id="no-such-image"), agb=agb) as tools:
        assert len(tools) == 9
        agent = Agent("coder", model=script(("run_command", {"command": "true"})), tools=[*tools])
        with pytest.raises(Exception, match="run_command") as raised:
            await Runner.run(agent, "go", run_config=QUIET)
        assert "no-such-image" in str(raised.value.__cause__)


async def test_streaming_run(session: AsyncSession) -> None:
    agent = Agent(
        "coder", model=script(("run_command", {"command": "echo streamed"})), tools=[*function_tools(session)]
    )
    run = Runner.run_streamed(agent, "go", run_config=QUIET)
    seen = [
        event.item.output
        async for event in run.stream_events()
        if event.type == "run_item_stream_event" and event.name == "tool_output"
    ]
    assert (seen, run.final_output) == (["streamed"], "done")


@pytest.mark.parametrize("call", [("run_command", {"command": SLEEP}), ("run_code", {"code": SLEEP_IN_CODE})])
async def test_cancelled_run_ends_what_runs(session: AsyncSession, call: Call) -> None:
    agent = Agent("coder", model=script(call), tools=[*function_tools(session)])
    run = asyncio.create_task(Runner.run(agent, "go", run_config=QUIET))
    await until(lambda: sleeps(session))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    async def is_over() -> bool:
        return not await sleeps(session)

    await until(is_over)


# --- shell, patches, computer ----------------------------------------------------------------------------------------


def requested(*commands: str, **options: Any) -> ShellCommandRequest:
    call = ShellCallData("call", ShellActionRequest(list(commands), **options))
    return ShellCommandRequest(RunContextWrapper(None), call)


async def test_shell_tool(session: AsyncSession) -> None:
    tool = shell_tool(session, cwd="/tmp", needs_approval=True)
    assert isinstance(tool, ShellTool)
    assert tool.needs_approval is True
    assert tool.executor is not None
    result = await _awaited(tool.executor(requested("pwd", "echo bad >&2; exit 3", max_output_length=100)))
    assert [(one.stdout, one.stderr, one.exit_code, one.command) for one in result.output] == [
        ("/tmp\n", "", 0, "pwd"),
        ("", "bad\n", 3, "echo bad >&2; exit 3"),
    ]
    result = await _awaited(tool.executor(requested("echo begun; sleep 600", timeout_ms=500)))
    assert (result.output[0].status, result.output[0].stdout) == ("timeout", "begun\n")


async def _awaited(value: Any) -> Any:
    return await value


async def test_apply_patch_tool(session: AsyncSession) -> None:
    tool = apply_patch_tool(session, cwd="/tmp")
    assert isinstance(tool, ApplyPatchTool)
    editor = tool.editor
    created = await _awaited(editor.create_file(ApplyPatchOperation("create_file", "d/a.txt", "+one\n+two")))
    assert created.status == "completed"
    await _awaited(
        editor.update_file(ApplyPatchOperation("update_file", "d/a.txt", " one\n-two\n+drei", move_to="d/b.txt"))
    )
    assert (await session.file.read("/tmp/d/b.txt")).content.splitlines() == ["one", "drei"]
    for operation in (
        ApplyPatchOperation("update_file", "d/a.txt", " one\n-two\n+drei"),
        ApplyPatchOperation("update_file", "d/b.txt", " nowhere\n-two\n+drei"),
    ):
        failed = await _awaited(editor.update_file(operation))
        assert failed.status == "failed"
        assert operation.path in failed.output
    assert (await _awaited(editor.delete_file(ApplyPatchOperation("delete_file", "d/b.txt")))).status == "completed"
    assert not await session.file.exists("/tmp/d/b.txt")


async def test_computer(agb: AsyncAGB) -> None:
    async with agb.session(CreateSessionParams(image_id="agb-computer-use-ubuntu-2204")) as session:
        computer = await AGBComputer.open(session)
        assert computer.environment == "ubuntu"
        assert computer.dimensions is not None
        assert min(computer.dimensions) > 100
        await computer.click(200, 100, "left", keys=["SHIFT"])
        await computer.double_click(200, 100)
        await computer.scroll(200, 100, 0, 250)
        await computer.scroll(200, 100, -10, 0)
        await computer.type("text")
        await computer.keypress(["CTRL", "a"])
        for key in ("ARROWUP", "BACKSPACE", "ENTER", "ESC", "PAGEDOWN", "SPACE", "TAB", "DELETE", "CMD", "ALT", "HOME"):
            await computer.keypress([key])
        await computer.drag([(10, 10), (20, 20), (60, 60)])
        await computer.wait()
        with pytest.raises(ValueError, match="not back"):
            await computer.click(1, 1, "back")
        with pytest.raises(ValueError, match="two points"):
            await computer.drag([(1, 1)])
        call = ResponseComputerToolCall.model_validate(
            {
                "id": "1",
                "call_id": "1",
                "type": "computer_call",
                "status": "completed",
                "pending_safety_checks": [],
                "action": {"type": "move", "x": 320, "y": 240},
            }
        )
        agent = Agent(
            "user", model=ScriptedModel([[call], [assistant_message("done")]]), tools=[ComputerTool(computer)]
        )
        (output,) = outputs(await Runner.run(agent, "go", run_config=QUIET))
        assert base64.b64decode(output["image_url"].partition(",")[2]).startswith(b"\x89PNG")
        position = (await session.computer.mouse.get_position()).raise_for_error().data
        assert (position.x, position.y) == (320, 240)


# --- sandboxes -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def sandbox(agb: AsyncAGB) -> AsyncIterator[SandboxSession]:
    sandboxes = AGBSandboxClient(agb)
    sandbox = await sandboxes.create()
    async with sandbox:
        yield sandbox
    await sandboxes.delete(sandbox)


async def test_commands_of_a_sandbox(sandbox: SandboxSession) -> None:
    result = await sandbox.exec("pwd; echo bad >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code) == (
        f"{sandbox.state.manifest.root}\n".encode(),
        b"bad\n",
        3,
    )
    with pytest.raises(ExecTimeoutError):
        await sandbox.exec("sleep 600", timeout=0.5)
    assert await sandbox.running()


async def test_files_of_a_sandbox(sandbox: SandboxSession) -> None:
    path = Path("d/a.bin")
    await sandbox.write(path, io.BytesIO(b"\x00\xff\n"))
    await sandbox.write(Path("d/text"), io.StringIO("text"))
    assert (await sandbox.read(path)).read() == b"\x00\xff\n"
    assert await sandbox.read_bounded(path, max_bytes=2) == b"\x00\xff"
    assert sorted(Path(entry.path).name for entry in await sandbox.ls("d")) == ["a.bin", "text"]
    await sandbox.mkdir("e")
    await sandbox.mv("d/text", "e/text")
    await sandbox.rm("d", recursive=True)
    with pytest.raises(WorkspaceReadNotFoundError):
        await sandbox.read(path)
    with pytest.raises(WorkspaceArchiveReadError):
        await sandbox.read(Path("e"))
    with pytest.raises(WorkspaceArchiveWriteError):
        await sandbox.write(Path("e"), io.BytesIO(b""))
    with pytest.raises(WorkspaceWriteTypeError):
        await sandbox.write(path, _Numbers())
    with pytest.raises(InvalidManifestPathError):
        await sandbox.read(Path("../../../etc/passwd"))
    await sandbox.exec("ln -s /etc/passwd out")
    with pytest.raises(InvalidManifestPathError):
        await sandbox.read(Path("out"))


class _Numbers(io.IOBase):
    def read(self) -> int:
        return 1


async def test_archives_of_a_workspace(sandbox: SandboxSession) -> None:
    await sandbox.write(Path("d/a"), io.BytesIO(b"a"))
    await sandbox.exec("chmod 750 d/a; mkdir skipped; touch skipped/x")
    sandbox.register_persist_workspace_skip_path("skipped")
    archive = (await sandbox.persist_workspace()).read()
    await sandbox.exec("rm -r d skipped")
    await sandbox.hydrate_workspace(io.BytesIO(archive))
    assert (await sandbox.exec("stat -c %a d/a; ls")).stdout == b"750\nd\n"
    with pytest.raises(WorkspaceArchiveWriteError):
        await sandbox.hydrate_workspace(io.BytesIO(_leading_out()))
    assert (await sandbox.exec("ls /tmp/agb-*")).exit_code != 0


def _leading_out() -> bytes:
    import tarfile

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../out"))
    return data.getvalue()


async def test_ports_of_a_sandbox(agb: AsyncAGB) -> None:
    sandboxes = AGBSandboxClient(agb)
    async with await sandboxes.create(options=AGBSandboxClientOptions(exposed_ports=(30100,))) as sandbox:
        with pytest.raises(ExposedPortUnavailableError):
            await sandbox.resolve_exposed_port(30101)
        endpoint = await sandbox.resolve_exposed_port(30100)
        assert endpoint.url_for("http").startswith("http")


async def test_agent_with_a_sandbox(agb: AsyncAGB) -> None:
    """The tools of the Agents SDK: a command, a patch, and a file of the manifest."""
    model = script(
        ("exec_command", {"cmd": "cat data/numbers.txt && pwd"}),
        ("exec_command", {"cmd": "echo 42 > answer.txt && cat answer.txt"}),
    )
    manifest = Manifest(
        root="/tmp/work", entries={"data/numbers.txt": File(content=b"6 7\n")}, environment={"value": {"A": "b"}}
    )
    agent = SandboxAgent("coder", model=model, default_manifest=manifest)
    sandboxes = AGBSandboxClient(agb)
    config = RunConfig(
        tracing_disabled=True, sandbox=SandboxRunConfig(client=sandboxes, options=AGBSandboxClientOptions())
    )
    found = outputs(await Runner.run(agent, "go", run_config=config))
    assert "6 7\n/tmp/work" in found[0]
    assert "42" in found[1]
    assert await sessions_of(agb, "openai-agents:*") == []


async def test_state_is_resumed(agb: AsyncAGB, tmp_path: Path) -> None:
    sandboxes = AGBSandboxClient(agb)
    first = await sandboxes.create(snapshot=LocalSnapshotSpec(base_path=tmp_path))
    await first.start()
    await first.write(Path("a"), io.BytesIO(b"kept"))
    stored = json.dumps(sandboxes.serialize_session_state(first.state))
    again = await sandboxes.resume(sandboxes.deserialize_session_state(json.loads(stored)))
    async with again:
        assert (await again.read(Path("a"))).read() == b"kept"
        state = again.state
        assert isinstance(state, AGBSandboxSessionState)
        before = state.sandbox_id
    assert not await again.running()
    async with await sandboxes.resume(
        sandboxes.deserialize_session_state(sandboxes.serialize_session_state(again.state))
    ) as restored:
        assert isinstance(restored.state, AGBSandboxSessionState)
        assert restored.state.sandbox_id != before
        assert (await restored.read(Path("a"))).read() == b"kept"
    with pytest.raises(TypeError, match="session of AGB"):
        await sandboxes.resume(object())  # type: ignore[arg-type]


async def test_cancelled_run_deletes_its_session(agb: AsyncAGB) -> None:
    sandboxes = AGBSandboxClient(agb)
    agent = SandboxAgent("coder", model=script(("exec_command", {"cmd": SLEEP, "yield_time_ms": 300_000})))
    options = AGBSandboxClientOptions(labels={"test": "cancelled"})
    config = RunConfig(tracing_disabled=True, sandbox=SandboxRunConfig(client=sandboxes, options=options))
    run = asyncio.create_task(Runner.run(agent, "go", run_config=config))

    async def ids() -> list[str]:
        return (await agb.list({"test": "cancelled"})).raise_for_error().session_ids

    async def has_begun() -> bool:
        found = await ids()
        return bool(found) and await sleeps(agb.attach(found[0]))

    await until(has_begun)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    async def is_gone() -> bool:
        return not await ids()

    await until(is_gone)


async def test_creation_that_fails_leaves_nothing(agb: AsyncAGB, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise AGBError("no answer")

    monkeypatch.setattr("agb.integrations.sandbox.Sandbox.exec", fail)
    options = AGBSandboxClientOptions(labels={"test": "failed"})
    with pytest.raises(AGBError, match="no answer"):
        await AGBSandboxClient(agb).create(options=options)
    assert (await agb.list({"test": "failed"})).raise_for_error().session_ids == []


async def test_session_that_is_gone(agb: AsyncAGB) -> None:
    sandboxes = AGBSandboxClient(agb)
    sandbox = await sandboxes.create()
    await sandbox.start()
    assert isinstance(sandbox.state, AGBSandboxSessionState)
    await agb.attach(sandbox.state.sandbox_id).delete()
    with pytest.raises(ExecTransportError):
        await sandbox.exec("true")
    assert not await sandbox.running()
    await sandboxes.delete(sandbox)
