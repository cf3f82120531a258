# Generated from tests/_async/test_sessions.py by tools/unasync.py. Do not edit.
"""Sessions on the local runtime: their life, labels, lists, links, status, tools."""

from __future__ import annotations

import json
from uuid import uuid4

import httpx
import pytest

from agb import (
    AGB,
    Config,
    ContextSync,
    CreateSessionParams,
    DeleteResult,
    ErrorKind,
    OperationResult,
    Session,
    SessionError,
    SessionRef,
    SessionResult,
    SessionStatusResult,
)
from agb.local import LocalServer

IMAGE = "agb-code-space-1"
PARAMS = CreateSessionParams(image_id=IMAGE)
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 30_000))


# --- life --------------------------------------------------------------------------------------------------------


def test_life_of_a_session(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        created = agb.create(CreateSessionParams({"test": "life"}, IMAGE))
        assert isinstance(created, SessionResult)
        assert created.success
        assert created.request_id
        session = created.session
        assert isinstance(session, Session)
        assert session.session_id
        assert session.image_id == IMAGE
        assert session.link_url
        assert session.token
        assert {tool.name for tool in session.tool_list} >= {"run_code", "shell", "get_metrics"}
        status = session.get_status()
        assert isinstance(status, SessionStatusResult)
        assert (status.success, status.status) == (True, "RUNNING")
        assert session.keep_alive().success

        found = agb.get(session.session_id).session
        assert found is not None
        assert (found.link_url, found.token, found.image_id) == (session.link_url, session.token, IMAGE)
        data = agb.get_session(session.session_id).data
        assert data is not None
        assert "resourceId=" in data.resource_url
        assert data.app_instance_id
        assert data.resource_id
        assert data.resource_url != session.resource_url  # a fresh auth code each time

        deleted = session.delete()
        assert isinstance(deleted, DeleteResult)
        assert deleted.success
        assert deleted.request_id
        gone = session.get_status()
        assert gone.status == "FINISH" or gone.code == "InvalidMcpSession.NotFound"
        assert "FINISH" in repr(session)


def test_deleted_session_refuses_everything(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        session = agb.create(PARAMS).raise_for_error().session
        assert session is not None
        assert agb.delete(session).success
        for result in (
            session.set_labels({"a": "b"}),
            session.get_labels(),
            session.info(),
            session.get_link(port=30100),
            session.keep_alive(),
            session.get_metrics(),
            session.command.execute("true", timeout_ms=LIMIT_MS),
            session.code.run("1", "python"),
            session.call_mcp_tool("shell", {"command": "true"}),
            agb.get(session.session_id),
        ):
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.NOT_FOUND, result
            assert session.session_id in result.error_message
        by_api = agb.attach(session.ref).command.execute("true", timeout_ms=LIMIT_MS)
        assert by_api.error is not None
        assert by_api.error.kind is ErrorKind.NOT_FOUND


@pytest.mark.one_event_loop
def test_unknown_session(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        for result in (
            agb.get("s-nowhere"),
            agb.get_session("s-nowhere"),
            agb.attach("s-nowhere").get_status(),
            agb.attach("s-nowhere").delete(),
            agb.attach("s-nowhere").get_labels(),
        ):
            assert not result.success
            assert result.error is not None
            assert result.error.kind is ErrorKind.NOT_FOUND
            assert result.request_id
            assert result.request_id in result.error_message
        for nothing in ("", "  ", None):
            refused = agb.get(nothing)  # type: ignore[arg-type]
            assert "session_id is required" in refused.error_message


@pytest.mark.one_event_loop
def test_wrong_key(runtime: LocalServer) -> None:
    with AGB("ako-wrong", Config(runtime.endpoint, 30_000)) as agb:
        for result in (agb.create(PARAMS), agb.list(), agb.get("s-1")):
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
def test_what_cannot_be_created(runtime: LocalServer, params: CreateSessionParams | None, words: str) -> None:
    with client(runtime) as agb:
        result = agb.create(params)
    assert not result.success
    assert words in result.error_message
    assert result.session is None
    assert result.error is not None


@pytest.mark.one_event_loop
def test_unknown_context_is_refused(runtime: LocalServer) -> None:
    params = CreateSessionParams(image_id=IMAGE, context_syncs=[ContextSync("SdkCtx-1", "/home/user/data")])
    with client(runtime) as agb:
        result = agb.create(params)
    assert not result.success
    assert "Invalid context ID" in result.error_message


def test_wrong_types_raise_before_any_call() -> None:
    agb = AGB("k", Config("http://127.0.0.1:9", 1000))
    with pytest.raises(TypeError, match="CreateSessionParams"):
        agb.create({"image_id": IMAGE})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="session is a"):
        agb.delete(None)  # type: ignore[arg-type]
    session = agb.attach("s-1")
    with pytest.raises(ValueError, match="image_id is required"):
        session.list_mcp_tools()
    with pytest.raises(ValueError, match="1 to 65535"):
        session.get_link(port=70000)
    with pytest.raises(TypeError, match="whole number"):
        session.get_link(port="80")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        session.call_mcp_tool("shell", {"command": object()})
    with pytest.raises(TypeError, match="must be a dict"):
        session.call_mcp_tool("shell", None)  # type: ignore[arg-type]


# --- the block ---------------------------------------------------------------------------------------------------


def test_block_deletes(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        with agb.session(PARAMS) as session:
            assert session.get_status().status == "RUNNING"
        assert session.get_status().status in ("FINISH", "")


def test_block_deletes_when_it_raises(runtime: LocalServer) -> None:
    made = []

    def fail(agb: AGB) -> None:
        with agb.session(PARAMS) as session:
            made.append(session)
            raise KeyError("in the block")

    with client(runtime) as agb:
        with pytest.raises(KeyError):
            fail(agb)
        assert made[0].get_status().status in ("FINISH", "")


def test_block_whose_session_is_gone_already(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        assert session.delete().success


def test_block_that_cannot_create(runtime: LocalServer) -> None:
    with client(runtime) as agb:
        with pytest.raises(SessionError, match="no-such-image"):
            with agb.session(CreateSessionParams(image_id="no-such-image")):
                pytest.fail("no session was created")


# --- labels ------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_labels_replace_the_whole_set(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(CreateSessionParams({"a": "1", "b": "2"}, IMAGE)) as session:
        got = session.get_labels()
        assert isinstance(got, OperationResult)
        assert got.data == {"a": "1", "b": "2"}
        assert session.set_labels({"c": "3", "größe": "klein", "x": "a&b=c+d %"}).success
        assert session.get_labels().data == {"c": "3", "größe": "klein", "x": "a&b=c+d %"}


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
def test_labels_that_cannot_be_set(labels: dict[str, str], words: str) -> None:
    agb = AGB("k", Config("http://127.0.0.1:9", 1000))
    result = agb.attach("s-1").set_labels(labels)
    assert not result.success
    assert words in result.error_message


@pytest.mark.parametrize("labels", [{"a": "x" * 2_000_000}, {"a": "€" * 7_000}, {str(n): "x" for n in range(10_000)}])
def test_labels_that_are_too_long(labels: dict[str, str]) -> None:
    agb = AGB("k", Config("http://127.0.0.1:9", 1000))
    for result in (
        agb.attach("s-1").set_labels(labels),
        agb.list(labels),
        agb.create(CreateSessionParams(labels, IMAGE)),
    ):
        assert result.error_message.startswith("Labels are too long: ")
    with pytest.raises(ValueError, match="Labels are too long"):
        agb.iterate(labels)


@pytest.mark.one_event_loop
def test_longest_labels(runtime: LocalServer) -> None:
    labels = {"a": "x" * 59_000}
    with client(runtime) as agb, agb.session(CreateSessionParams(labels, IMAGE)) as session:
        assert session.get_labels().data == labels
        assert session.set_labels({**labels, "b": "x"}).success
        assert session.session_id in agb.list(labels).session_ids


# --- lists -------------------------------------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_lists_and_pages(runtime: LocalServer) -> None:
    mine = {"run": uuid4().hex}
    with client(runtime) as agb:
        made = [
            agb.create(CreateSessionParams({**mine, "n": str(n % 2)}, IMAGE)).raise_for_error().session
            for n in range(5)
        ]
        ids = [session.session_id for session in made]
        first = agb.list(mine, limit=2)
        assert (first.session_ids, first.total_count, first.max_results) == (ids[:2], 5, 2)
        assert first.next_token
        third = agb.list(mine, page=3, limit=2)
        assert (third.session_ids, third.next_token) == (ids[4:], "")
        beyond = agb.list(mine, page=4, limit=2)
        assert not beyond.success
        assert "Cannot reach page 4" in beyond.error_message
        assert beyond.total_count == 5
        assert agb.list({**mine, "n": "1"}).session_ids == ids[1::2]
        assert agb.list({"run": "unused"}).session_ids == []
        for page, limit in ((0, None), (-1, None), (None, 0)):
            assert not agb.list(mine, page, limit).success

        assert [session.session_id for session in agb.iterate(mine, limit=2)] == ids
        for session in agb.iterate(mine, limit=2):
            assert session.delete().success
            break
        assert agb.list(mine).session_ids == ids[1:]
        for session in agb.iterate(mine, limit=1):  # the page after a session that is gone
            assert session.delete().success
        assert agb.list(mine).session_ids == []


def test_iterate_asks_when_asked() -> None:
    agb = AGB("k", Config("http://127.0.0.1:9", 300))
    sessions = agb.iterate()
    with pytest.raises(SessionError):
        sessions.__next__()
    with pytest.raises(ValueError, match="limit"):
        agb.iterate(limit=0)


# --- what it is, and how it is reached ---------------------------------------------------------------------------


@pytest.mark.one_event_loop
def test_info_and_its_page(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        info = session.info().raise_for_error().data
        assert info["session_id"] == session.session_id
        with httpx.Client() as browser:
            page = browser.get(info["resource_url"])
        assert page.status_code == 200
        assert session.session_id in page.text


@pytest.mark.one_event_loop
def test_link_reaches_a_port_of_the_session(runtime: LocalServer) -> None:
    serve = (
        "mkdir -p www && echo hello from $NAME > www/index.html && "
        "nohup python3 -m http.server 30123 --bind 127.0.0.1 -d www >log 2>&1 & "
        "for i in $(seq 200); do (exec 3<>/dev/tcp/127.0.0.1/30123) 2>/dev/null && exit 0; sleep 0.05; done; exit 1"
    )
    with client(runtime) as agb, agb.session(PARAMS) as session, httpx.Client() as browser:
        link = session.get_link(port=30123).raise_for_error().data
        assert browser.get(link).status_code == 502  # nothing listens yet
        started = session.command.execute(serve, timeout_ms=15_000, envs={"NAME": "inside"})
        assert started.success, started
        assert browser.get(link).text == "hello from inside\n"


@pytest.mark.one_event_loop
def test_link_to_a_port_that_is_not_allowed(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        refused = session.get_link(port=80)
    assert not refused.success
    assert "30100" in refused.error_message


@pytest.mark.one_event_loop
def test_metrics(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        # On disk, since not every file system gives a directory or an unwritten file blocks of its own.
        session.command.execute("head -c 1000000 /dev/urandom > file && sync file", check=True, timeout_ms=LIMIT_MS)
        result = session.get_metrics()
        metrics = result.raise_for_error().metrics
        assert metrics is not None
        assert metrics.cpu_count > 0
        assert 0 < metrics.mem_used < metrics.mem_total
        assert 1_000_000 <= metrics.disk_used < metrics.disk_total
        assert metrics.timestamp.startswith("20")
        assert result.raw["mem_used"] == metrics.mem_used


@pytest.mark.one_event_loop
def test_tools_and_both_routes(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        tools = session.list_mcp_tools().raise_for_error().tools
        shell = next(tool for tool in tools if tool.name == "shell")
        assert shell.description
        assert shell.input_schema["required"] == ["command"]
        by_api = agb.attach(session.ref)
        assert by_api.tool_list == []
        for one in (session, by_api):
            result = one.call_mcp_tool("shell", {"command": "echo größe"})
            assert result.success
            assert json.loads(result.data or "")["stdout"] == "größe\n"
            assert result.request_id
            unknown = one.call_mcp_tool("no_such_tool", {})
            assert not unknown.success
            assert "no_such_tool" in unknown.error_message
            wrong = one.call_mcp_tool("shell", {"command": 5})
            assert not wrong.success
            assert "command" in wrong.error_message


@pytest.mark.one_event_loop
def test_accessors(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        assert session.get_session_id() == session.session_id
        assert session.get_api_key() == runtime.api_key
        assert session.get_link_url() == session.link_url
        assert session.get_token() == session.token
        assert session.get_client() is agb.client
        assert session.ref == SessionRef(session.session_id, runtime.endpoint)
        assert agb.attach(session.ref).get_status().status == "RUNNING"
        assert session.token not in repr(session)
        assert runtime.api_key not in repr(session) + repr(agb)
