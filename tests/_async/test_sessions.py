"""Sessions on the local runtime: their life, labels, lists, links, status, tools."""

from __future__ import annotations

import json
from uuid import uuid4

import httpx
import pytest

from agb import (
    AsyncAGB,
    AsyncSession,
    Config,
    ContextSync,
    CreateSessionParams,
    DeleteResult,
    ErrorKind,
    OperationResult,
    SessionError,
    SessionRef,
    SessionResult,
    SessionStatusResult,
)
from agb.local import LocalServer

pytestmark = pytest.mark.anyio

IMAGE = "agb-code-space-1"
PARAMS = CreateSessionParams(image_id=IMAGE)
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


# --- life --------------------------------------------------------------------------------------------------------


async def test_life_of_a_session(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        created = await agb.create(CreateSessionParams({"test": "life"}, IMAGE))
        assert isinstance(created, SessionResult)
        assert created.success
        assert created.request_id
        session = created.session
        assert isinstance(session, AsyncSession)
        assert session.session_id
        assert session.image_id == IMAGE
        assert session.link_url
        assert session.token
        assert {tool.name for tool in session.tool_list} >= {"run_code", "shell", "get_metrics"}
        status = await session.get_status()
        assert isinstance(status, SessionStatusResult)
        assert (status.success, status.status) == (True, "RUNNING")
        assert (await session.keep_alive()).success

        found = (await agb.get(session.session_id)).session
        assert found is not None
        assert (found.link_url, found.token, found.image_id) == (session.link_url, session.token, IMAGE)
        data = (await agb.get_session(session.session_id)).data
        assert data is not None
        assert "resourceId=" in data.resource_url
        assert data.app_instance_id
        assert data.resource_id
        assert data.resource_url != session.resource_url  # a fresh auth code each time

        deleted = await session.delete()
        assert isinstance(deleted, DeleteResult)
        assert deleted.success
        assert deleted.request_id
        gone = await session.get_status()
        assert gone.status == "FINISH" or gone.code == "InvalidMcpSession.NotFound"
        assert "FINISH" in repr(session)


async def test_deleted_session_refuses_everything(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        session = (await agb.create(PARAMS)).raise_for_error().session
        assert session is not None
        assert (await agb.delete(session)).success
        for result in (
            await session.set_labels({"a": "b"}),
            await session.get_labels(),
            await session.info(),
            await session.get_link(port=30100),
            await session.keep_alive(),
            await session.get_metrics(),
            await session.command.execute("true", timeout_ms=LIMIT_MS),
            await session.code.run("1", "python"),
            await session.call_mcp_tool("shell", {"command": "true"}),
            await agb.get(session.session_id),
        ):
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.NOT_FOUND, result
            assert session.session_id in result.error_message
        by_api = await agb.attach(session.ref).command.execute("true", timeout_ms=LIMIT_MS)
        assert by_api.error is not None
        assert by_api.error.kind is ErrorKind.NOT_FOUND


@pytest.mark.one_event_loop
async def test_unknown_session(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        for result in (
            await agb.get("s-nowhere"),
            await agb.get_session("s-nowhere"),
            await agb.attach("s-nowhere").get_status(),
            await agb.attach("s-nowhere").delete(),
            await agb.attach("s-nowhere").get_labels(),
        ):
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.NOT_FOUND
            assert result.request_id
            assert result.request_id in result.error_message
        for nothing in ("", "  ", None):
            refused = await agb.get(nothing)  # type: ignore[arg-type]
            assert "session_id is required" in refused.error_message


@pytest.mark.one_event_loop
async def test_wrong_key(runtime: LocalServer) -> None:
    async with AsyncAGB("ako-wrong", Config(runtime.endpoint, 30_000)) as agb:
        for result in (await agb.create(PARAMS), await agb.list(), await agb.get("s-1")):
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.BAD_CREDENTIALS
            assert result.error.http_status == 401
            assert "ako-wrong" not in result.error_message


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (None, "params is required"),
        (CreateSessionParams(), "image_id is required"),
        (CreateSessionParams(image_id="  "), "image_id is required"),
        (CreateSessionParams({"a": ""}, IMAGE), "Label values cannot be empty"),
        (CreateSessionParams({"": "a"}, IMAGE), "Label keys cannot be empty"),
        (CreateSessionParams(image_id="no-such-image"), "no-such-image"),
    ],
)
async def test_what_cannot_be_created(runtime: LocalServer, params: CreateSessionParams | None, words: str) -> None:
    async with client(runtime) as agb:
        result = await agb.create(params)
    assert not result.success
    assert words in result.error_message
    assert result.session is None
    assert result.error is not None


@pytest.mark.one_event_loop
async def test_unknown_context_is_refused(runtime: LocalServer) -> None:
    params = CreateSessionParams(image_id=IMAGE, context_syncs=[ContextSync("SdkCtx-1", "/home/user/data")])
    async with client(runtime) as agb:
        result = await agb.create(params)
    assert not result.success
    assert "Invalid context ID" in result.error_message


async def test_wrong_types_raise_before_any_call() -> None:
    agb = AsyncAGB("k", Config("http://127.0.0.1:9", 1000))
    with pytest.raises(TypeError, match="CreateSessionParams"):
        await agb.create({"image_id": IMAGE})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="session is a"):
        await agb.delete(None)  # type: ignore[arg-type]
    session = agb.attach("s-1")
    with pytest.raises(ValueError, match="image_id is required"):
        await session.list_mcp_tools()
    with pytest.raises(ValueError, match="1 to 65535"):
        await session.get_link(port=70000)
    with pytest.raises(TypeError, match="whole number"):
        await session.get_link(port="80")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        await session.call_mcp_tool("shell", {"command": object()})
    with pytest.raises(TypeError, match="must be a dict"):
        await session.call_mcp_tool("shell", None)  # type: ignore[arg-type]


# --- the block ---------------------------------------------------------------------------------------------------


async def test_block_deletes(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        async with agb.session(PARAMS) as session:
            assert (await session.get_status()).status == "RUNNING"
        assert (await session.get_status()).status in ("FINISH", "")


async def test_block_deletes_when_it_raises(runtime: LocalServer) -> None:
    made = []

    async def fail(agb: AsyncAGB) -> None:
        async with agb.session(PARAMS) as session:
            made.append(session)
            raise KeyError("in the block")

    async with client(runtime) as agb:
        with pytest.raises(KeyError):
            await fail(agb)
        assert (await made[0].get_status()).status in ("FINISH", "")


async def test_block_whose_session_is_gone_already(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        assert (await session.delete()).success


async def test_block_that_cannot_create(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        with pytest.raises(SessionError, match="no-such-image"):
            async with agb.session(CreateSessionParams(image_id="no-such-image")):
                pytest.fail("no session was created")


# --- labels ------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
async def test_labels_replace_the_whole_set(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(CreateSessionParams({"a": "1", "b": "2"}, IMAGE)) as session:
        got = await session.get_labels()
        assert isinstance(got, OperationResult)
        assert got.data == {"a": "1", "b": "2"}
        assert (await session.set_labels({"c": "3", "größe": "klein", "x": "a&b=c+d %"})).success
        assert (await session.get_labels()).data == {"c": "3", "größe": "klein", "x": "a&b=c+d %"}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "Labels cannot be null"),
        ([], "Labels cannot be an array"),
        ("a", "Labels cannot be null"),
        ({}, "Labels cannot be empty"),
        ({"": "a"}, "Label keys cannot be empty"),
        ({"  ": "a"}, "Label keys cannot be empty"),
        ({0: "a"}, "Label keys cannot be empty"),
        ({1: "a"}, "Label keys are strings"),
        ({"a": ""}, "Label values cannot be empty"),
        ({"a": None}, "Label values cannot be empty"),
        ({"a": 1}, "Label values are strings"),
    ],
)
async def test_labels_that_cannot_be_set(labels: dict[str, str], words: str) -> None:
    agb = AsyncAGB("k", Config("http://127.0.0.1:9", 1000))
    result = await agb.attach("s-1").set_labels(labels)
    assert not result.success
    assert words in result.error_message


@pytest.mark.parametrize("labels", [{"a": "x" * 2_000_000}, {"a": "€" * 7_000}, {str(n): "x" for n in range(10_000)}])
async def test_labels_that_are_too_long(labels: dict[str, str]) -> None:
    agb = AsyncAGB("k", Config("http://127.0.0.1:9", 1000))
    for result in (
        await agb.attach("s-1").set_labels(labels),
        await agb.list(labels),
        await agb.create(CreateSessionParams(labels, IMAGE)),
    ):
        assert result.error_message.startswith("Labels are too long: ")
    with pytest.raises(ValueError, match="Labels are too long"):
        agb.iterate(labels)


@pytest.mark.one_event_loop
async def test_longest_labels(runtime: LocalServer) -> None:
    labels = {"a": "x" * 59_000}
    async with client(runtime) as agb, agb.session(CreateSessionParams(labels, IMAGE)) as session:
        assert (await session.get_labels()).data == labels
        assert (await session.set_labels({**labels, "b": "x"})).success
        assert session.session_id in (await agb.list(labels)).session_ids


# --- lists -------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
async def test_lists_and_pages(runtime: LocalServer) -> None:
    mine = {"run": uuid4().hex}
    async with client(runtime) as agb:
        made = [
            (await agb.create(CreateSessionParams({**mine, "n": str(n % 2)}, IMAGE))).raise_for_error().session
            for n in range(5)
        ]
        ids = [session.session_id for session in made]
        first = await agb.list(mine, limit=2)
        assert (first.session_ids, first.total_count, first.max_results) == (ids[:2], 5, 2)
        assert first.next_token
        third = await agb.list(mine, page=3, limit=2)
        assert (third.session_ids, third.next_token) == (ids[4:], "")
        beyond = await agb.list(mine, page=4, limit=2)
        assert not beyond.success
        assert "Cannot reach page 4" in beyond.error_message
        assert beyond.total_count == 5
        assert (await agb.list({**mine, "n": "1"})).session_ids == ids[1::2]
        assert (await agb.list({"run": "unused"})).session_ids == []
        for page, limit in ((0, None), (-1, None), (None, 0)):
            assert not (await agb.list(mine, page, limit)).success

        assert [session.session_id async for session in agb.iterate(mine, limit=2)] == ids
        async for session in agb.iterate(mine, limit=2):
            assert (await session.delete()).success
            break
        assert (await agb.list(mine)).session_ids == ids[1:]
        async for session in agb.iterate(mine, limit=1):  # the page after a session that is gone
            assert (await session.delete()).success
        assert (await agb.list(mine)).session_ids == []


async def test_iterate_asks_when_asked() -> None:
    agb = AsyncAGB("k", Config("http://127.0.0.1:9", 300))
    sessions = agb.iterate()
    with pytest.raises(SessionError):
        await sessions.__anext__()
    with pytest.raises(ValueError, match="limit"):
        agb.iterate(limit=0)


# --- what it is, and how it is reached ---------------------------------------------------------------------------


@pytest.mark.one_event_loop
async def test_info_and_its_page(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        info = (await session.info()).raise_for_error().data
        assert info["session_id"] == session.session_id
        async with httpx.AsyncClient() as browser:
            page = await browser.get(info["resource_url"])
        assert page.status_code == 200
        assert session.session_id in page.text


@pytest.mark.one_event_loop
async def test_link_reaches_a_port_of_the_session(runtime: LocalServer) -> None:
    serve = (
        "mkdir -p www && echo hello from $NAME > www/index.html && "
        "nohup python3 -m http.server 30123 --bind 127.0.0.1 -d www >log 2>&1 & "
        "for i in $(seq 200); do (exec 3<>/dev/tcp/127.0.0.1/30123) 2>/dev/null && exit 0; sleep 0.05; done; exit 1"
    )
    async with client(runtime) as agb, agb.session(PARAMS) as session, httpx.AsyncClient() as browser:
        link = (await session.get_link(port=30123)).raise_for_error().data
        assert (await browser.get(link)).status_code == 502  # nothing listens yet
        started = await session.command.execute(serve, timeout_ms=15_000, envs={"NAME": "inside"})
        assert started.success, started
        assert (await browser.get(link)).text == "hello from inside\n"


@pytest.mark.one_event_loop
async def test_link_to_a_port_that_is_not_allowed(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        refused = await session.get_link(port=80)
    assert not refused.success
    assert "30100" in refused.error_message


@pytest.mark.one_event_loop
async def test_metrics(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        # On disk, since not every file system gives a directory or an unwritten file blocks of its own.
        await session.command.execute(
            "head -c 1000000 /dev/urandom > file && sync file", check=True, timeout_ms=LIMIT_MS
        )
        result = await session.get_metrics()
        metrics = result.raise_for_error().metrics
        assert metrics is not None
        assert metrics.cpu_count > 0
        assert 0 < metrics.mem_used < metrics.mem_total
        assert 1_000_000 <= metrics.disk_used < metrics.disk_total
        assert metrics.timestamp.startswith("20")
        assert result.raw["mem_used"] == metrics.mem_used


@pytest.mark.one_event_loop
async def test_tools_and_both_routes(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        tools = (await session.list_mcp_tools()).raise_for_error().tools
        shell = next(tool for tool in tools if tool.name == "shell")
        assert shell.description
        assert shell.input_schema["required"] == ["command"]
        by_api = agb.attach(session.ref)
        assert by_api.tool_list == []
        for one in (session, by_api):
            result = await one.call_mcp_tool("shell", {"command": "echo größe"})
            assert result.success
            assert json.loads(result.data or "")["stdout"] == "größe\n"
            assert result.request_id
            unknown = await one.call_mcp_tool("no_such_tool", {})
            assert not unknown.success
            assert "no_such_tool" in unknown.error_message
            wrong = await one.call_mcp_tool("shell", {"command": 5})
            assert not wrong.success
            assert "command" in wrong.error_message


@pytest.mark.one_event_loop
async def test_accessors(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        assert session.get_session_id() == session.session_id
        assert session.get_api_key() == runtime.api_key
        assert session.get_link_url() == session.link_url
        assert session.get_token() == session.token
        assert session.get_client() is agb.client
        assert session.ref == SessionRef(session.session_id, runtime.endpoint)
        assert (await agb.attach(session.ref).get_status()).status == "RUNNING"
        assert session.token not in repr(session)
        assert runtime.api_key not in repr(session) + repr(agb)
