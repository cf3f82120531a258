"""The API of the local runtime: every operation on the wire, who may call it, and what becomes of bad requests."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agb.local import LocalServer
from agb.local.api import handlers
from agb.local.api.app import OPERATIONS, build_app
from agb.local.api.request import BODY_LIMIT
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .conftest import IMAGE, Api
from .runtimes import Clock, application

# --- sessions ----------------------------------------------------------------------------------------------------


def test_life_of_a_session(api: Api) -> None:
    created = api.create(labels=json.dumps({"project": "démo"}), timeout=120, mcpPolicyId="policy-1")
    session_id = created["sessionId"]
    assert created["success"] is True
    assert created["linkUrl"] == f"{api.server.endpoint}/sessions/{session_id}"
    assert created["token"]
    assert f"resourceId={created['resourceId']}" in created["resourceUrl"]

    found = api.post("/mcp/getSession", sessionId=session_id)
    assert found["status"] == "RUNNING"
    assert found["imageId"] == IMAGE
    same = ("sessionId", "appInstanceId", "resourceId", "linkUrl", "wsUrl", "token", "toolList")
    assert {name: found[name] for name in same} == {name: created[name] for name in same}
    assert found["resourceUrl"] != created["resourceUrl"]  # a new auth code each time

    assert api.post("/mcp/refreshSessionIdleTime", {"sessionId": session_id}) is None
    assert api.post("/mcp/releaseSessionAsync", sessionId=session_id) is None
    assert api.status(session_id) in ("DELETING", "FINISH")
    assert session_id not in [item["sessionId"] for item in api.get("/sdk/ListSession", labels="{}", maxResults="1000")]
    gone = api.ask("POST", "/mcp/getSession", json={"sessionId": session_id})
    assert (gone["code"], gone["httpStatusCode"]) == ("InvalidMcpSession.NotFound", 400)


def test_waiting_release_answers_when_the_session_is_gone(api: Api, session: str) -> None:
    api.post("/mcp/releaseSession", sessionId=session)
    assert api.status(session) == "FINISH"


@pytest.mark.parametrize("path", ["/mcp", "/sessions/s-unknown/callTool"])
def test_body_of_a_stranger_is_not_read(api: Api, path: str) -> None:
    at = urlsplit(api.server.endpoint)
    with socket.create_connection((at.hostname, at.port), timeout=60) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\n".encode())
        assert raw.recv(12) in (b"HTTP/1.1 401", b"HTTP/1.1 404")  # without a byte of the body


@pytest.mark.asyncio
async def test_release_answers_when_the_session_is_gone_or_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients look for the end first after this answer, and then with pauses longer than most sessions take to end."""
    async with application() as (runtime, caller):
        for seconds, state in ((60.0, "FINISH"), (0.0, "DELETING")):
            monkeypatch.setattr(handlers, "RELEASE_SECONDS", seconds)
            session = await runtime.create(IMAGE)
            named = {"sessionId": session.id}
            assert (await caller.post("/mcp/releaseSessionAsync", json=named)).json()["success"] is True
            status = await caller.post("/mcp/getSessionInfo", json=named)
            assert status.json()["data"]["status"] == state


def test_labels_are_replaced_as_a_whole(api: Api) -> None:
    session_id = api.create(labels='{"a": "1", "b": "2"}')["sessionId"]
    assert json.loads(api.get("/sdk/GetLabel", sessionId=session_id)["labels"]) == {"a": "1", "b": "2"}
    api.post("/sdk/SetLabel", {"sessionId": session_id, "Labels": '{"c": "ü \\ud83d\\ude00"}'})
    assert json.loads(api.get("/sdk/GetLabel", sessionId=session_id)["labels"]) == {"c": "ü \U0001f600"}
    api.release(session_id)


def test_list_filters_by_labels_and_goes_page_by_page(api: Api) -> None:
    wanted = json.dumps({"batch": "list-test"})
    made = [api.create(labels=json.dumps({"batch": "list-test", "n": str(n)}))["sessionId"] for n in range(5)]
    pages, token = [], ""
    while True:
        page = api.ask("GET", "/sdk/ListSession", {"labels": wanted, "maxResults": "2", "nextToken": token})
        assert (page["count"], page["maxResults"]) == (5, 2)
        pages.append([item["sessionId"] for item in page["data"]])
        token = page["nextToken"]
        if not token:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [session_id for page in pages for session_id in page] == made
    one = api.get("/sdk/ListSession", labels='{"batch": "list-test", "n": "3"}')
    assert one == [{"sessionId": made[3], "sessionStatus": "RUNNING"}]
    for session_id in made:
        api.release(session_id)


def test_info_leads_to_the_page_of_the_session(api: Api, session: str) -> None:
    resource = api.post("/mcp/getMcpResource", sessionId=session)
    assert resource["sessionId"] == session
    assert "desktopInfo" not in resource
    assert httpx.get(resource["resourceUrl"]).status_code == 200


def test_every_operation_of_the_protocol_has_its_route() -> None:
    assert len({operation.path for operation in OPERATIONS}) == len(OPERATIONS) == 29  # 27, getLink twice, callTool
    assert all(operation.method in ("GET", "POST") for operation in OPERATIONS)


def test_unknown_context_at_creation_is_refused(api: Api) -> None:
    contexts = [{"contextId": "SdkCtx-1", "path": "/tmp/x", "policy": "{}"}]
    body = {"persistenceDataList": contexts}
    answer = api.ask("POST", "/mcp/createSession", {"imageId": IMAGE}, json=body)
    assert answer["code"] == "InvalidContext.NotFound"


# --- tools -------------------------------------------------------------------------------------------------------


def test_tools_are_listed_per_image_as_json_in_a_string(api: Api) -> None:
    tools = json.loads(api.post("/mcp/listTools", {"imageId": IMAGE}))
    assert {"run_code", "shell"} <= {tool["name"] for tool in tools}
    for tool in tools:
        assert tool["description"]
        assert tool["server"]
        assert tool["inputSchema"]["type"] == "object"
        assert isinstance(tool["inputSchema"]["required"], list)


def test_list_of_session_and_image_agree(api: Api, session: str) -> None:
    listed = api.post("/mcp/getSession", sessionId=session)["toolList"]
    assert json.loads(listed) == json.loads(api.post("/mcp/listTools", {"imageId": IMAGE}))


def test_tool_by_the_api(api: Api, session: str) -> None:
    assert api.shell(session, "echo 'grüße \U0001f600'").strip() == "grüße \U0001f600"
    as_object = api.post("/mcp", sessionId=session, name="shell", args={"command": "echo object"})
    assert json.loads(as_object["content"][0]["text"])["stdout"] == "object\n"


def test_failing_tool_is_a_result_without_a_message(api: Api, session: str) -> None:
    body = {"sessionId": session, "name": "no_such_tool", "args": "{}"}
    answer = api.ask("POST", "/mcp", {"autoGenSession": "false"}, json=body)
    assert (answer["success"], answer["message"]) == (True, "")
    assert answer["data"]["isError"] is True
    assert "no_such_tool" in answer["data"]["content"][0]["text"]


def link_call(api: Api, session: str, header: str | None, **body: Any) -> httpx.Response:
    headers = [] if header is None else [(b"x-access-token", header.encode())]
    call = {"tool": "shell", "args": {"command": "echo hi"}, "server": "wuying_shell", "requestId": "link-1-2", **body}
    return httpx.post(f"{api.server.endpoint}/sessions/{session}/callTool", json=call, headers=headers)


def test_tool_at_the_sessions_own_address(api: Api, session: str) -> None:
    token = api.post("/mcp/getSession", sessionId=session)["token"]
    for answer in (link_call(api, session, token), link_call(api, session, None, token=token)):
        assert answer.status_code == 200
        result = answer.json()["data"]["result"]
        assert result["isError"] is False
        assert [item["type"] for item in result["content"]] == ["text"]
        assert json.loads(result["content"][0]["text"])["stdout"] == "hi\n"


@pytest.mark.parametrize("token", [None, "", "wrong", "ünïcode"])
def test_token_of_another_session_is_refused(api: Api, shared_session: str, token: str | None) -> None:
    answer = link_call(api, shared_session, token)
    assert answer.status_code == 401
    assert answer.json()["success"] is False


def test_calls_to_a_released_session(api: Api) -> None:
    created = api.create()
    session_id = created["sessionId"]
    api.release(session_id)
    body = {"sessionId": session_id, "name": "shell", "args": "{}"}
    answer = api.http.post("/mcp", json=body)
    assert answer.status_code == 200
    assert answer.json()["code"] == "InvalidSession.NotFound"
    assert "not found" in answer.json()["message"]

    straight = link_call(api, session_id, created["token"])
    assert straight.status_code == 404
    assert "session" in straight.json()["message"]
    assert "expired" in straight.json()["message"]


# --- who may call ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer wrong",
        b"Basic {key}",
        b"{key}",
        "Bearer schlüssel".encode(),
        b"Bearer \xff",
    ],
)
def test_without_the_right_key_nothing_is_answered(runtime: LocalServer, authorization: bytes | None) -> None:
    given = authorization and authorization.replace(b"{key}", runtime.api_key.encode())
    headers = [] if given is None else [(b"authorization", given)]
    with httpx.Client(base_url=runtime.endpoint, headers=headers) as caller:
        for operation in OPERATIONS:
            if operation.needs_key:
                answer = caller.request(operation.method, operation.path)
                assert answer.status_code == 401, operation
                assert answer.json()["code"] == "Unauthorized"
                assert answer.json()["httpStatusCode"] == 401


def test_scheme_of_the_key_is_case_insensitive(runtime: LocalServer) -> None:
    headers = {"authorization": f"bearer {runtime.api_key}"}
    assert httpx.get(f"{runtime.endpoint}/sdk/ListSession", headers=headers).status_code == 200


def test_unknown_path_and_wrong_method(api: Api) -> None:
    unknown = api.http.get("/mcp/nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NoSuchOperation")
    wrong = api.http.get("/mcp/createSession")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "NoSuchOperation")
    for answer in (unknown, wrong):
        assert answer.json()["requestId"] == answer.headers["x-request-id"]


# --- bad requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{}", b" \n"])
def test_a_post_may_have_no_body(api: Api, shared_session: str, body: bytes) -> None:
    answer = api.ask("POST", "/mcp/refreshSessionIdleTime", {"sessionId": shared_session}, content=body)
    assert answer["success"] is True


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "not valid JSON"),
        (b'{"sessionId": ', "not valid JSON"),
        (b'{"sessionId": NaN}', "NaN"),
        (b"[]", "an array"),
        (b"null", "null"),
        (b'"s-1"', "a string"),
        (b'{"sessionId": "\\ud800"}', "surrogate"),
        (b'{"sessionId": "\xff"}', "UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"sessionId": ' + b"1" * 10_000 + b"}", "not valid JSON"),
        (b'{"sessionId": 1}', "sessionId must be a string"),
        (b'{"sessionId": ["s-1"]}', "sessionId must be a string"),
        (b'{"sessionId": ""}', "sessionId is missing"),
        (b"{}", "sessionId is missing"),
    ],
)
def test_bad_body_is_refused_with_a_reason(api: Api, body: bytes, words: str) -> None:
    answer = api.http.post("/mcp/getSession", content=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "InvalidRequest"
    assert words in answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "words"),
    [
        ("POST", "/mcp/createSession", {}, {}, "imageId"),
        ("POST", "/mcp/createSession", {"imageId": "no-such-image"}, {}, "no-such-image"),
        ("POST", "/mcp/createSession", {"imageId": IMAGE}, {"timeout": "soon"}, "timeout"),
        ("POST", "/mcp/createSession", {"imageId": IMAGE}, {"timeout": -1}, "timeout"),
        ("POST", "/mcp/createSession", {"imageId": IMAGE}, {"timeout": True}, "timeout"),
        ("POST", "/mcp/createSession", {"imageId": IMAGE}, {"timeout": 1e999}, "JSON"),
        ("POST", "/mcp/createSession", {"imageId": IMAGE}, {"labels": "[]"}, "labels"),
        ("POST", "/mcp/createSession", {"imageId": IMAGE}, {"labels": '{"a": 1}'}, "labels"),
        ("POST", "/mcp/createSession", {"imageId": IMAGE}, {"labels": 7}, "labels"),
        ("POST", "/mcp/createSession", {"imageId": IMAGE}, {"mcpPolicyId": 7}, "mcpPolicyId"),
        ("GET", "/sdk/ListSession", {"labels": "{"}, None, "labels"),
        ("GET", "/sdk/ListSession", {"maxResults": "0"}, None, "maxResults"),
        ("GET", "/sdk/ListSession", {"maxResults": "many"}, None, "maxResults"),
        ("GET", "/sdk/ListSession", {"maxResults": "9" * 5_000}, None, "maxResults"),
        ("GET", "/sdk/ListSession", {"nextToken": "made-up"}, None, "oken"),
        ("POST", "/mcp/listTools", {}, {}, "imageId"),
        ("POST", "/mcp/listTools", {"imageId": "no-such-image"}, {}, "no-such-image"),
        ("POST", "/mcp", {}, {"sessionId": "{session}", "args": "{}"}, "name"),
        ("POST", "/mcp", {}, {"sessionId": "{session}", "name": "shell", "args": "["}, "args"),
        ("POST", "/mcp", {}, {"sessionId": "{session}", "name": "shell", "args": "[]"}, "args"),
        ("POST", "/mcp", {}, {"sessionId": "{session}", "name": "shell", "args": 5}, "args"),
        ("POST", "/mcp", {}, {"sessionId": "{session}", "name": "shell", "args": '{"command": "\\ud800"}'}, "args"),
        ("POST", "/sdk/SetLabel", {"sessionId": "{session}"}, {}, "Labels"),
        ("POST", "/sdk/SetLabel", {"sessionId": "{session}", "Labels": '{"a": null}'}, {}, "Labels"),
        ("POST", "/sdk/SetLabel", {"sessionId": "{session}", "Labels": '{"": "x"}'}, {}, "empty key"),
        ("GET", "/internet/getLink", {"sessionId": "{session}", "port": "8080"}, None, "30100 to 30199"),
        ("GET", "/internet/getLink", {"sessionId": "{session}", "port": "-1"}, None, "30100 to 30199"),
        ("GET", "/internet/getLink", {"sessionId": "{session}", "port": "٣٠١٠٠"}, None, "30100 to 30199"),
        ("GET", "/mcp/getLink", {"sessionId": "{session}", "protocolType": "ftp"}, None, "protocolType"),
    ],
)
def test_bad_parameter_is_refused_by_its_name(
    api: Api, shared_session: str, method: str, path: str, query: dict[str, str], body: Any, words: str
) -> None:
    filled = {name: value.replace("{session}", shared_session) for name, value in query.items()}
    content = None if body is None else json.dumps(body).replace("{session}", shared_session)
    answer = api.http.request(method, path, params=filled, content=content)
    assert answer.status_code == 400
    assert answer.json()["code"] == "InvalidRequest"
    assert words in answer.json()["message"]


def test_timeout_of_zero_means_the_default(api: Api) -> None:
    api.release(api.create(timeout=0)["sessionId"])


def test_huge_body_is_refused(api: Api) -> None:
    chunk = b" " * 2**20
    answer = api.http.post("/mcp/getSession", content=(chunk for _ in range(BODY_LIMIT // len(chunk) + 1)))
    assert answer.status_code == 413
    assert "32 MiB" in answer.json()["message"]


def test_very_long_query_is_read(api: Api) -> None:
    answer = api.ask("POST", "/browser/init", {"sessionId": "s-1", "browserOption": "x" * 60_000})
    assert answer["code"] == "InvalidMcpSession.NotFound"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("sessionId", "name", "args", "tool", "token", "labels", "timeout", "mcpPolicyId", "persistenceDataList")
BODIES = (
    st.binary(max_size=64)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(FIELDS), JSON | JSON.map(json.dumps)).map(lambda body: json.dumps(body).encode())
)
PARAMETERS = (
    *("sessionId", "labels", "Labels", "maxResults", "nextToken", "port", "protocolType", "id", "name", "allowCreate"),
    *("contextId", "filePath", "parentFolderPath", "pageNumber", "pageSize"),
)
MAY_SUCCEED = ("/sdk/ListSession", "/sdk/ListContexts", "/sdk/GetContext")
QUERIES = st.dictionaries(
    st.sampled_from(PARAMETERS),
    st.text(st.characters(codec="utf-8"), max_size=8) | JSON.map(json.dumps),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operation=st.sampled_from(OPERATIONS), body=BODIES, query=QUERIES)
def test_whatever_is_sent_the_answer_is_an_envelope(
    api: Api, operation: Any, body: bytes, query: dict[str, str]
) -> None:
    path = operation.path.replace("{session_id}", "s-1")
    answer = api.http.request(operation.method, path, params=query, content=body)
    assert answer.status_code < 500
    assert answer.json()["requestId"]
    assert answer.json()["success"] is False or operation.path in MAY_SUCCEED


# --- without a socket --------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_counts_as_activity() -> None:
    clock = Clock()
    async with application(clock) as (runtime, caller):
        session = await runtime.create(IMAGE)
        named = {"sessionId": session.id}
        page = (await caller.post("/mcp/getMcpResource", json=named)).json()["data"]["resourceUrl"]
        link = (await caller.get("/internet/getLink", params=named)).json()["data"]["url"]
        tool = {**named, "name": "shell", "args": '{"command": "true"}'}
        by_link = {"tool": "shell", "args": {"command": "true"}, "token": session.token}
        asked = {
            "getSession": (caller.post("/mcp/getSession", json=named), False),
            "getSessionInfo": (caller.post("/mcp/getSessionInfo", json=named), False),
            "getMcpResource": (caller.post("/mcp/getMcpResource", json=named), False),
            "ListSession": (caller.get("/sdk/ListSession"), False),
            "GetLabel": (caller.get("/sdk/GetLabel", params=named), False),
            "page": (caller.get(page), False),
            "refused tool call": (caller.post("/mcp", json=tool | {"args": "["}), False),
            "SetLabel": (caller.post("/sdk/SetLabel", params={**named, "Labels": "{}"}), True),
            "refreshSessionIdleTime": (caller.post("/mcp/refreshSessionIdleTime", params=named), True),
            "getLink": (caller.get("/internet/getLink", params=named), True),
            "tool call": (caller.post("/mcp", json=tool), True),
            "tool call by link": (caller.post(f"/sessions/{session.id}/callTool", json=by_link), True),
            "link": (caller.get(link), True),
        }
        for name, (request, is_activity) in asked.items():
            clock.now += 10
            assert session.idle_for >= 10, name
            await request
            assert (session.idle_for == 0) == is_activity, name


@pytest.mark.asyncio
async def test_mistake_of_the_server_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Runtime):
        def find(self, session_id: str, *, tool: bool = False) -> LocalSession:
            raise ZeroDivisionError("on purpose")

    app = build_app(Broken(), "key")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://agb.test") as caller:
        for path in ("/internet/getLink?sessionId=s-1", "/link/s-1/30100/the-token/x", "/contexts/files/the-token"):
            answer = await caller.get(path, headers={"authorization": "Bearer key"})
            assert answer.status_code == 500
            assert answer.json()["code"] == "InternalError"
            assert answer.json()["requestId"] in caplog.text
            assert "on purpose" not in answer.text
    assert "ZeroDivisionError: on purpose" in caplog.text
    assert "the-token" not in caplog.text
