"""Pydantic AI with scripted models, and its suite for workspaces, on the local runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("pydantic_ai")

from pydantic_ai import Agent, BinaryContent, RunContext, UnexpectedModelBehavior
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    WorkspaceRef,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.workspaces import Workspace, WorkspaceUnavailableError
from pydantic_ai.workspaces.conformance import WorkspaceBackendSuite

from agb import AGBError, AsyncAGB, AsyncSession, CreateSessionParams
from agb.integrations.pydantic_ai import AGBToolset, AGBWorkspace, AGBWorkspaceBackend
from agb.local import LocalServer

from .agent_sessions import SLEEP, SLEEP_IN_CODE, client, sessions_of, sleeps, until

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
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


def script(*steps: Call | list[Call]) -> FunctionModel:
    """Return a model that asks for calls, step by step, and then answers with the last result as text."""

    def next_step(messages: list[ModelMessage]) -> list[Call] | None:
        number = sum(isinstance(message, ModelResponse) for message in messages)
        if number == len(steps):
            return None
        step = steps[number]
        return step if isinstance(step, list) else [step]

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        calls = next_step(messages)
        if calls is None:
            return ModelResponse([TextPart(str(getattr(messages[-1].parts[-1], "content", "")))])
        return ModelResponse([ToolCallPart(name, arguments) for name, arguments in calls])

    async def stream(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
        calls = next_step(messages)
        if calls is None:
            yield str(getattr(messages[-1].parts[-1], "content", ""))
            return
        for number, (name, arguments) in enumerate(calls):
            yield {
                number: DeltaToolCall(name, ToolCallPart(name, arguments).args_as_json_str(), tool_call_id=f"{number}")
            }

    return FunctionModel(answer, stream_function=stream)


async def results(session: AsyncSession, *steps: Call | list[Call], **options: Any) -> list[Any]:
    """Return the parts that the model sees as results of its calls."""
    run = await Agent(script(*steps), toolsets=[AGBToolset(session, **options)]).run("go")
    return [
        part
        for message in run.all_messages()
        for part in message.parts
        if isinstance(part, ToolReturnPart | RetryPromptPart)
    ]


async def test_tools(session: AsyncSession) -> None:
    found = await results(
        session,
        ("write_file", {"path": "src/a.py", "content": "one = 1\ntwo = 2\n"}),
        ("edit_file", {"path": "src/a.py", "old": "one", "new": "eins"}),
        ("read_file", {"path": "src/a.py"}),
        ("list_files", {"path": "src"}),
        ("find_files", {"pattern": "*.py", "path": "src"}),
        ("search_files", {"pattern": "EINS", "path": "src", "ignore_case": True}),
        ("run_code", {"code": "x = 20\nprint('out')\nx + 1"}),
        ("run_code", {"code": "x * 2"}),
        ("run_code", {"code": "1 / 0"}),
        ("run_command", {"command": "cat; echo bad >&2; exit 3", "stdin": "in\n"}),
        ("make_link", {"port": 30100}),
    )
    texts = [part.content for part in found]
    assert texts[:4] == [
        "Wrote 16 bytes to src/a.py.",
        "Replaced 1 occurrence in src/a.py.",
        "eins = 1\ntwo = 2\n",
        "a.py  17",
    ]
    assert texts[4].endswith("src/a.py")
    assert texts[5].endswith("src/a.py:1: eins = 1")
    assert texts[6:8] == ["out\n21", "40"]
    assert "ZeroDivisionError" in texts[8]
    assert texts[9] == "in\n[stderr]\nbad\n[exit code 3]"
    assert texts[10].startswith("http")


async def test_pictures(session: AsyncSession) -> None:
    code = "from IPython.display import Image\nimport base64\nImage(base64.b64decode(PNG))"
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    (shown,) = await results(session, ("run_code", {"code": code.replace("PNG", repr(png))}))
    pictures = [item for item in shown.content if isinstance(item, BinaryContent)]
    assert [picture.media_type for picture in pictures] == ["image/png"]


async def test_errors_and_limits(session: AsyncSession) -> None:
    found = await results(
        session,
        ("read_file", {"path": "/no/such"}),
        ("run_command", {"command": "sleep 600", "timeout": 0.5}),
        ("run_command", {"command": "seq 100000"}),
        ("run_code", {"code": "1", "language": "cobol"}),
        text_limit=1000,
    )
    assert (found[0].outcome, "/no/such" in found[0].content) == ("failed", True)
    assert "ended after 0.5 seconds" in found[1].content
    assert len(found[2].content) < 1200
    assert found[2].content.endswith("\n99999\n100000")
    assert found[3].outcome == "retried"


async def test_failure_of_the_service_ends_the_run(agb: AsyncAGB) -> None:
    async with agb.session(PARAMS) as session:
        await session.delete()
        with pytest.raises(AGBError):
            await results(session, ("run_command", {"command": "true"}))


async def test_missing_api_key_ends_the_run() -> None:
    agent = Agent(script(("run_command", {"command": "true"})), toolsets=[AGBToolset()])
    with pytest.raises(AGBError, match="API key"):
        await agent.run("go")


async def test_parallel_calls_share_the_session_of_a_run(agb: AsyncAGB) -> None:
    toolset = AGBToolset(agb=agb, cwd="/tmp")
    agent = Agent(
        script([("run_command", {"command": "echo $$ >> pids"})] * 3, ("run_command", {"command": "wc -l < pids"})),
        toolsets=[toolset],
    )
    assert (await agent.run("go")).output == "3"
    async with agent:
        assert (await agent.run("go")).output == "3"
        assert (await agent.run("go")).output == "6"
    assert (await agent.run("go")).output == "3"


async def test_no_session_without_a_call(agb: AsyncAGB) -> None:
    toolset = AGBToolset(agb=agb, params=CreateSessionParams(image_id="no-such-image"))
    assert (await Agent(TestModel(call_tools=[]), toolsets=[toolset]).run("go")).output
    with pytest.raises(AGBError, match="no-such-image"):
        await Agent(script(("run_command", {"command": "true"})), toolsets=[toolset]).run("go")


async def test_streaming_run(session: AsyncSession) -> None:
    agent = Agent(script(("run_command", {"command": "echo streamed"})), toolsets=[AGBToolset(session)])
    async with agent.run_stream("go") as run:
        assert "".join([text async for text in run.stream_text(delta=True)]) == "streamed"


@pytest.mark.parametrize("call", [("run_command", {"command": SLEEP}), ("run_code", {"code": SLEEP_IN_CODE})])
async def test_cancelled_run_ends_what_runs(session: AsyncSession, call: Call) -> None:
    agent = Agent(script(call), toolsets=[AGBToolset(session)])
    run = asyncio.create_task(agent.run("go"))
    await until(lambda: sleeps(session))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    async def is_over() -> bool:
        return not await sleeps(session)

    await until(is_over)


async def test_cancelled_run_deletes_its_session(agb: AsyncAGB) -> None:
    run_ids: list[str] = []

    async def answer(_: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        return ModelResponse([ToolCallPart("run_command", {"command": SLEEP})])

    agent = Agent(FunctionModel(answer), toolsets=[AGBToolset(agb=agb)])

    @agent.instructions
    def note(ctx: RunContext[None]) -> str:
        run_ids.append(ctx.run_id or "")
        return ""

    run = asyncio.create_task(agent.run("go"))

    async def has_begun() -> bool:
        found = await sessions_of(agb, f"pydantic-ai:{run_ids[0]}") if run_ids else []
        return bool(found) and await sleeps(found[0])

    await until(has_begun)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await sessions_of(agb, f"pydantic-ai:{run_ids[0]}") == []


async def test_repeated_invalid_arguments_end_the_run(session: AsyncSession) -> None:
    bad: Call = ("make_link", {"port": -1})
    with pytest.raises(UnexpectedModelBehavior, match="make_link"):
        await results(session, bad, bad, max_retries=1)


def test_arguments() -> None:
    with pytest.raises(TypeError, match="session is used as it is"):
        AGBToolset(object(), params=PARAMS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a workspace of 'agb'"):
        AGBWorkspaceBackend(object(), ref=WorkspaceRef(provider="other", id="1"))  # type: ignore[arg-type]


async def test_capability_continues_in_the_workspace_of_a_run(agb: AsyncAGB) -> None:
    agent = Agent(script(("store", {})), capabilities=[AGBWorkspace(agb, cwd="work")])

    @agent.tool
    async def store(ctx: RunContext[None]) -> str:
        await ctx.workspace.write_text("lines", await read(ctx) + "line\n")
        return str(await ctx.workspace.working_dir())

    async def read(ctx: RunContext[None]) -> str:
        return await ctx.workspace.read_text("lines") if await ctx.workspace.exists("lines") else ""

    first = await agent.run("go")
    assert first.output.endswith("/work")
    ref = next(
        m.workspace_ref for m in reversed(first.all_messages()) if isinstance(m, ModelResponse) and m.workspace_ref
    )
    assert ref.provider == "agb"
    try:
        await agent.run("go", workspace=ref)
        assert await Workspace(AGBWorkspaceBackend(agb, ref=ref, cwd="work")).read_text("lines") == "line\nline\n"
    finally:
        await agb.attach(ref.id).delete()
    with pytest.raises(WorkspaceUnavailableError):
        await AGBWorkspaceBackend(agb, ref=ref).working_dir()


class TestWorkspaceSuite(WorkspaceBackendSuite):
    """The suite of Pydantic AI for workspaces."""

    @pytest.fixture
    def backend(self, session: AsyncSession, agb: AsyncAGB) -> AGBWorkspaceBackend:
        return AGBWorkspaceBackend(agb, ref=WorkspaceRef(provider="agb", id=session.session_id))

    @pytest.fixture
    async def fresh_backend(self, agb: AsyncAGB) -> AsyncIterator[Callable[[], AGBWorkspaceBackend]]:
        made: list[AGBWorkspaceBackend] = []

        def make() -> AGBWorkspaceBackend:
            made.append(AGBWorkspaceBackend(agb))
            return made[-1]

        yield make
        for backend in made:
            if backend.ref is not None:
                await agb.attach(backend.ref.id).delete()

    @pytest.fixture
    def attach_backend(self, agb: AsyncAGB) -> Callable[[WorkspaceRef], AGBWorkspaceBackend]:
        return lambda ref: AGBWorkspaceBackend(agb, ref=ref)

    @pytest.fixture
    def destroy_environment(self, agb: AsyncAGB) -> Callable[[AGBWorkspaceBackend], Awaitable[None]]:
        async def destroy(backend: AGBWorkspaceBackend) -> None:
            assert backend.ref is not None
            await agb.attach(backend.ref.id).delete()

        return destroy
