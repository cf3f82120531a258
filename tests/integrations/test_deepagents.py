"""The adapter for Deep Agents: the framework's own suite, unmodified, on both flavours; and what it leaves out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import Any

import pytest

pytest.importorskip("deepagents")
pytest.importorskip("langchain_tests")

from deepagents import create_deep_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_tests.integration_tests import SandboxIntegrationTests

from agb import AGB, AsyncAGB, AsyncSession, CommandError, Config, CreateSessionParams
from agb.integrations.deepagents import AGBSandbox
from agb.local import LocalServer, serve

pytestmark = pytest.mark.anyio

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
CHANGED = {
    "test_glob": "paths are absolute",
    "test_glob_basic_pattern": "paths are absolute",
    "test_glob_with_directories": "paths are absolute",
    "test_glob_hidden_files_explicitly": "paths are absolute",
    "test_glob_with_character_class": "paths are absolute",
    "test_glob_with_question_mark": "paths are absolute",
    "test_write_existing_file_fails": "a file that exists is overwritten",
}
"""What langchain-tests 1.1.9 expects of Deep Agents 0.6, and Deep Agents 0.7 documents otherwise."""
IS_CHANGED = tuple(map(int, version("deepagents").split(".")[:2])) >= (0, 7)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Deep Agents is for asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def changed(request: pytest.FixtureRequest) -> None:
    """Expect the failure of the tests that Deep Agents 0.7 contradicts."""
    name = request.node.name.partition("[")[0]
    if IS_CHANGED and request.cls is not None and name in CHANGED:
        request.node.add_marker(pytest.mark.xfail(reason=f"since Deep Agents 0.7, {CHANGED[name]}", strict=True))


@pytest.fixture(scope="module")
def local() -> Iterator[LocalServer]:
    with serve() as server:
        yield server


class TestSession(SandboxIntegrationTests):
    """The suite of Deep Agents with a synchronous session."""

    @pytest.fixture(scope="class")
    def sandbox(self, local: LocalServer) -> Iterator[AGBSandbox]:
        """Yield the sandbox of a new session."""
        with AGB(local.api_key, Config(local.endpoint, 60_000)) as agb, agb.session(PARAMS) as session:
            yield AGBSandbox(session)


class TestAsyncSession(SandboxIntegrationTests):
    """The suite of Deep Agents with an asynchronous session."""

    @pytest.fixture(scope="class")
    def sandbox(self, local: LocalServer) -> Iterator[AGBSandbox]:
        """Yield the sandbox of a new session; its client is used in the event loop of each test."""
        agb = AsyncAGB(local.api_key, Config(local.endpoint, 60_000))

        async def create() -> AGBSandbox:
            return AGBSandbox((await agb.create(PARAMS)).raise_for_error().session)

        sandbox = asyncio.run(create())
        try:
            yield sandbox
        finally:
            sandbox.close()
            asyncio.run(_end(agb, sandbox))


async def _end(agb: AsyncAGB, sandbox: AGBSandbox) -> None:
    assert isinstance(sandbox.session, AsyncSession)
    await agb.delete(sandbox.session)
    await agb.aclose()


@pytest.fixture
async def sandbox(local: LocalServer) -> AsyncIterator[AGBSandbox]:
    async with AsyncAGB(local.api_key, Config(local.endpoint, 60_000)) as agb, agb.session(PARAMS) as session:
        sandbox = AGBSandbox(session)
        yield sandbox
        sandbox.close()


async def test_output_in_order_and_time_out(sandbox: AGBSandbox) -> None:
    response = await sandbox.aexecute("echo 1; echo 2 >&2; echo 3; exit 5")
    assert (response.output, response.exit_code, response.truncated) == ("1\n2\n3\n", 5, False)
    response = await sandbox.aexecute("echo begun; setsid sleep 600 & sleep 600", timeout=1)
    assert (response.output, response.exit_code) == ("begun\nCommand timed out after 1 seconds", 124)
    assert (await sandbox.aexecute("ps -eo args | grep -c '^sleep'")).output == "0\n"
    assert (await sandbox.aexecute("cat <<'END'\n" + "x" * 300_000 + "\nEND", timeout=0)).output == "x" * 300_000 + "\n"


async def test_asynchronous_calls_use_no_threads(sandbox: AGBSandbox) -> None:
    before = threading.active_count()
    await asyncio.gather(*(sandbox.aexecute("echo a") for _ in range(5)))
    uploaded = await sandbox.aupload_files([("/tmp/a", b"1"), ("relative", b"2"), ("/proc/b", b"3"), ("/tmp/d/c", b"")])
    assert [response.error for response in uploaded][:2] == [None, "invalid_path"]
    assert uploaded[2].error is not None
    downloaded = await sandbox.adownload_files(["/tmp/d/c", "no", "/tmp/a", "/tmp", "/none", "/tmp/a/b"])
    assert [response.content for response in downloaded] == [b"", None, b"1", None, None, None]
    errors = [response.error for response in downloaded]
    assert errors == [None, "invalid_path", None, "is_directory", "file_not_found", "invalid_path"]
    assert threading.active_count() <= before


async def test_command_that_cannot_be_run(sandbox: AGBSandbox) -> None:
    await sandbox.session.delete()  # type: ignore[misc]
    with pytest.raises(CommandError, match="not found"):
        await sandbox.aexecute("true")
    responses = await sandbox.adownload_files(["/tmp/a"])
    assert responses[0].content is None


def test_something_else_than_a_session() -> None:
    with pytest.raises(TypeError, match="must be a Session"):
        AGBSandbox("s-1")  # type: ignore[arg-type]


class _Model(GenericFakeChatModel):
    """A model whose answers are written before."""

    def bind_tools(self, tools: Any, **options: Any) -> _Model:
        """Return itself: its answers name the tools."""
        return self


def _calls(*calls: tuple[str, dict[str, Any]]) -> list[AIMessage]:
    answers = [
        AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call-{number}"}])
        for number, (name, args) in enumerate(calls)
    ]
    return [*answers, AIMessage("done")]


async def test_agent_that_writes_edits_and_runs_a_program(sandbox: AGBSandbox) -> None:
    answers = _calls(
        ("write_file", {"file_path": "/tmp/work/main.py", "content": "print('hello, wrld')\n"}),
        ("edit_file", {"file_path": "/tmp/work/main.py", "old_string": "wrld", "new_string": "world"}),
        ("execute", {"command": "python3 /tmp/work/main.py"}),
        ("grep", {"pattern": "world", "path": "/tmp/work"}),
    )
    agent = create_deep_agent(model=_Model(messages=iter(answers)), backend=sandbox)
    result = await agent.ainvoke({"messages": [{"role": "user", "content": "begin"}]})
    said = [message.text for message in result["messages"] if isinstance(message, ToolMessage)]
    assert "hello, world" in said[2]
    assert "/tmp/work/main.py" in said[3]
    assert (await sandbox.aexecute("cat /tmp/work/main.py")).output == "print('hello, world')\n"
