"""Parsers: whatever a server says, there is a value or an AGBError, and no secret is shown."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agb import AGBError, Config, CreateSessionParams, ErrorKind, SessionRef
from agb._ops import browser, contexts, sessions
from agb._ops.arguments import check_labels
from agb._ops.tools.code import run_code
from agb._ops.tools.metrics import get_metrics
from agb._ops.tools.plain import any_tool
from agb._ops.tools.shell import shell
from agb._wire.call import Call, json_bytes, json_text, query
from agb._wire.reply import Reply, decoded, error_for, kind_of_refusal, retry_after, without_query
from agb._wire.retry import RetryPolicy
from agb._wire.secrets import masked, masked_repr
from agb._wire.toolcall import ToolAccess, ToolCall, ToolReply, over_api, over_link, parse_tool_list
from agb.config import Endpoint
from agb.config import settings as client_settings
from agb.results import OperationResult

T = TypeVar("T")

EXAMPLES = int(os.environ.get("AGB_EXAMPLES", "25"))
many = settings(deadline=None, derandomize=True, max_examples=EXAMPLES)
"""``AGB_EXAMPLES=1000`` tries so many; `nox -s long` does."""
few = settings(many, max_examples=EXAMPLES // 3)
"""For tests that are repeated for every operation."""

# --- every operation ---------------------------------------------------------------------------------------------

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
TOOL = ToolCall("shell", {"command": "true"}, lambda said: said)
ACCESS = ToolAccess("s-1", "http://127.0.0.1:1", "token", {"shell": "coding"})

OPERATIONS: dict[str, Call[Any]] = {
    "create_session": sessions.create_session(PARAMS),
    "get_session": sessions.get_session("s-1"),
    "get_session_info": sessions.get_session_info("s-1"),
    "list_sessions": sessions.list_sessions({"a": "b"}),
    "release_session_async": sessions.release_session_async("s-1"),
    "release_session": sessions.release_session("s-1"),
    "refresh_session_idle_time": sessions.refresh_session_idle_time("s-1"),
    "set_label": sessions.set_label("s-1", {"a": "b"}),
    "get_label": sessions.get_label("s-1"),
    "get_link": sessions.get_link("s-1", "https", 30100),
    "get_link_mcp": sessions.get_link_mcp("s-1"),
    "get_mcp_resource": sessions.get_mcp_resource("s-1"),
    "list_tools": sessions.list_tools("agb-code-space-1"),
    "get_cdp_link": browser.get_cdp_link("s-1"),
    "init_browser": browser.init_browser("s-1"),
    "list_contexts": contexts.list_contexts(),
    "get_context": contexts.get_context("c"),
    "modify_context": contexts.modify_context("c", "d"),
    "delete_context": contexts.delete_context("c"),
    "clear_context": contexts.clear_context("c"),
    "sync_context": contexts.sync_context("s-1"),
    "get_context_info": contexts.get_context_info("s-1"),
    "get_context_file_download_url": contexts.get_context_file_download_url("c", "/f"),
    "get_context_file_upload_url": contexts.get_context_file_upload_url("c", "/f"),
    "delete_context_file": contexts.delete_context_file("c", "/f"),
    "describe_context_files": contexts.describe_context_files("c"),
    "get_and_load_internal_context": contexts.get_and_load_internal_context("s-1"),
    "tool over the API": over_api(TOOL, "s-1"),
    "tool over the link": over_link(TOOL, ACCESS, "coding"),
}
every_operation = pytest.mark.parametrize("call", OPERATIONS.values(), ids=OPERATIONS.keys())

WORDS = (
    *("success", "code", "message", "httpStatusCode", "requestId", "data", "body", "Success", "Code", "Message"),
    *("sessionId", "errMsg", "resourceUrl", "appInstanceId", "resourceId", "linkUrl", "LinkUrl", "wsUrl", "token"),
    *("Token", "toolList", "ToolList", "status", "Status", "nextToken", "maxResults", "count", "totalCount", "labels"),
    *("url", "port", "desktopInfo", "authCode", "name", "description", "inputSchema", "server", "tool", "isError"),
    *("content", "text", "type", "result", "blob", "image", "contextStatus", "taskType", "state", "expireTime"),
    *("contextId", "contextPath", "path", "errorMessage", "fileName"),
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**310, max_value=10**320)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(
        ["", "ok", "{}", "[]", '{"a": 1}', '[{"name": "x", "server": "y"}]', "9" * 5000, "[" * 3000, "\ud800"]
    )
    | st.sampled_from(["text", "image", "data", "Success", "http://127.0.0.1/x?token=secret"])
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(WORDS) | st.text(max_size=5)
    plain = st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6)
    return plain | plain.map(json.dumps)  # JSON inside a string, as the protocol likes it


VALUES = st.recursive(SCALARS, containers, max_leaves=12)
BODIES = VALUES | st.builds(
    lambda data, more, success: {"requestId": "R-1", "success": success, "code": "ok", "data": data, **more},
    VALUES,
    st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=3),
    st.sampled_from([True, True, True, False, None, 1, "true"]),
)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 502, 503, 599])
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"Retry-After", b"content-encoding", b"X-Request-Id", b"Location", b"Content-Type"]),
        st.sampled_from([b"", b"gzip", b"deflate", b"br", b"5", b"\xff\xfe", b"text/html; x"]) | st.binary(max_size=8),
    ),
    max_size=3,
)
Headers = list[tuple[bytes, bytes]]


def read(call: Call[Any], body: bytes, status: int = 200, headers: Headers | None = None) -> Any:
    """Return what the operation reads, or the error it raises; any other exception fails the test."""
    reply = Reply(call, status, headers or [], body)
    try:
        return call.read(reply)
    except AGBError as error:
        said = error
    assert isinstance(said, call.error)
    assert call.description in str(said)
    assert isinstance(said.retryable, bool)
    return said


@every_operation
@few
@given(body=BODIES, status=STATUSES, headers=HEADERS)
def test_any_json_gives_a_value_or_an_error(call: Call[Any], body: Any, status: int, headers: Headers) -> None:
    said = read(call, json.dumps(body).encode(), status, headers)
    if status >= 400:
        assert isinstance(said, AGBError)
        assert said.http_status == status
    repr(said)


@every_operation
@few
@given(body=st.binary(max_size=40), status=STATUSES, headers=HEADERS)
@example(body=b"[" * 100_000, status=200, headers=[])
@example(body=b'{"a":' * 100_000, status=200, headers=[])
@example(body=b'{"success": true, "data": ' + b"9" * 5000 + b"}", status=200, headers=[])
@example(body=b'{"success": true, "data": {"port": "' + b"9" * 5000 + b'"}}', status=200, headers=[])
@example(body=b"\xef\xbb\xbf{}", status=200, headers=[])
@example(body=b"NaN", status=200, headers=[])
def test_any_bytes_give_an_error(call: Call[Any], body: bytes, status: int, headers: Headers) -> None:
    said = read(call, body, status, headers)
    if isinstance(said, AGBError) and status == 200:
        assert said.kind in (ErrorKind.INVALID_ANSWER, ErrorKind.REFUSED)


@every_operation
@few
@given(
    body=st.binary(max_size=200), coding=st.sampled_from([b"gzip", b"deflate", b"GZIP", b"x-gzip", b"br", b"identity"])
)
def test_any_compressed_bytes(call: Call[Any], body: bytes, coding: bytes) -> None:
    for sent in (body, zlib.compress(body), zlib.compress(b'{"success": true, "data": {}}')[:-3]):
        read(call, sent, 200, [(b"content-encoding", coding)])


@pytest.mark.parametrize(("wbits", "name"), [(31, "gzip"), (31, "x-gzip"), (15, "deflate")])
def test_compressions_that_are_read(wbits: int, name: str) -> None:
    compressor = zlib.compressobj(wbits=wbits)
    body = compressor.compress(b'{"success": true}') + compressor.flush()
    assert decoded(body, name) == b'{"success": true}'


# --- what the values are worth -----------------------------------------------------------------------------------


@many
@given(data=st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=8))
def test_session_data_are_strings(data: dict[str, Any]) -> None:
    """Since they go into addresses and headers, whatever the service put there."""
    body = json.dumps({"success": True, "data": data}).encode()
    for call in (OPERATIONS["create_session"], OPERATIONS["get_session"]):
        said = read(call, body)
        if not isinstance(said, AGBError):
            for name in ("session_id", "link_url", "ws_url", "token", "resource_url", "status", "image_id"):
                assert isinstance(getattr(said, name), str), name
            parse_tool_list(said.tool_list)


@many
@given(session_id=st.text(min_size=1), token=st.text(), link=st.text())
def test_tool_call_for_any_session_data(session_id: str, token: str, link: str) -> None:
    call = over_link(TOOL, ToolAccess(session_id, link, token), "coding")
    assert json.loads(call.body or b"")["token"] == token
    assert call.token == token
    assert "geheim" not in repr(ToolAccess(session_id, link, "geheim"))


@many
@given(value=VALUES)
@example(value='[{"Name": "shell", "serverName": "coding"}, 5, {"name": 5}, {"name": "x", "server": []}]')
def test_any_tool_list(value: Any) -> None:
    for tool in parse_tool_list(value):
        assert set(tool) == {"name", "server"}
        assert all(isinstance(text, str) for text in tool.values())


# --- tools -------------------------------------------------------------------------------------------------------

RUN_WORDS = (
    *("stdout", "stderr", "exit_code", "errorCode", "traceId", "result", "results", "logs", "executionError", "error"),
    *("name", "value", "traceback", "isError", "content", "text", "execution_count", "execution_time", "isMainResult"),
    *("is_main_result", "text/plain", "png", "json", "cpu_count", "cpu_used_pct", "disk_total", "disk_used"),
    *("mem_total", "mem_used", "timestamp", "rx_rate_kbyte_per_s", "tx_rate_kbps", "rx_used_KB"),
)


def tool_containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(RUN_WORDS), inner, max_size=6)
    return plain | plain.map(json.dumps)


TOOL_VALUES = st.recursive(SCALARS, tool_containers, max_leaves=12)
TEXTS = (
    st.none()
    | st.text()
    | TOOL_VALUES.map(json.dumps)
    | st.dictionaries(st.sampled_from(RUN_WORDS), TOOL_VALUES, max_size=8).map(json.dumps)
)

TOOLS: dict[str, Callable[[], ToolCall[Any]]] = {
    "run_code": lambda: run_code("1", "python", session_id="s-1"),
    "shell": lambda: shell("true", session_id="s-1"),
    "get_metrics": lambda: get_metrics("s-1"),
    "any": lambda: any_tool("anything", {}, "s-1"),
}


@pytest.mark.parametrize("make", TOOLS.values(), ids=TOOLS.keys())
@many
@given(text=TEXTS, is_error=st.booleans())
@example(text='{"cpu_count": 1e999}', is_error=False)
@example(text='{"cpu_count": "NaN"}', is_error=False)
@example(text='{"mem_used": Infinity}', is_error=False)
@example(text='{"cpu_used_pct": %s}' % ("9" * 400), is_error=False)
@example(text='{"cpu_count": "%s"}' % ("9" * 5000), is_error=False)
@example(text='{"logs": [], "execution_time": %s}' % ("9" * 400), is_error=False)
@example(text='{"result": ["[[[", 5, null, "{\\"text\\": 5}"], "stdout": {"a": 1}}', is_error=False)
@example(text="[" * 100_000, is_error=False)
@example(text='{"content": [{"text": "%s"}]}' % ("[" * 100_000), is_error=False)
@example(text='{"result": ["%s"]}' % ("[" * 100_000), is_error=False)
def test_any_text_of_a_tool(make: Callable[[], ToolCall[Any]], text: str | None, is_error: bool) -> None:
    result = make().read(ToolReply(text, is_error, "R-1"))
    assert result.request_id == "R-1"
    assert isinstance(result.success, bool)
    assert isinstance(result.error_message, str)
    assert result.success == (result.error is None)
    assert not (is_error and result.success)
    repr(result)
    if result.success:
        assert result.raise_for_error() is result
    else:
        with pytest.raises(AGBError):
            result.raise_for_error()


@many
@given(text=TEXTS)
def test_results_of_code_are_texts(text: str | None) -> None:
    result = run_code("1", "python", session_id="s-1").read(ToolReply(text, False, "R-1"))
    assert isinstance(result.result, str)
    assert all(isinstance(piece, str) for piece in result.logs.stdout + result.logs.stderr)
    for item in result.results:
        for name in ("text", "html", "markdown", "png", "jpeg", "svg", "latex"):
            assert isinstance(getattr(item, name), str | None), name


@many
@given(text=TEXTS, is_error=st.booleans())
def test_results_of_commands_are_texts(text: str | None, is_error: bool) -> None:
    result = shell("true", session_id="s-1").read(ToolReply(text, is_error, "R-1"))
    assert all(isinstance(part, str) for part in (result.stdout, result.stderr, result.output, result.trace_id))
    assert result.exit_code is None or type(result.exit_code) is int
    assert result.success is False or result.exit_code in (0, None)


# --- headers -----------------------------------------------------------------------------------------------------


@many
@given(value=st.text(max_size=40))
@example(value="9" * 400)
@example(value="9" * 5000)
@example(value="-5")
@example(value="1e5")
@example(value="inf")
@example(value="Wed, 21 Oct 2015 07:28:00 GMT")
@example(value="Wed, 21 Oct 9999 23:59:59 -2359")
@example(value="Wed, 21 Oct 0001 00:00:00 +2359")
@example(value="Wed, 21 Oct 99999999999999999999 07:28:00 GMT")
@example(value="Wed, 21 Oct 2015 07:28:00 +99999999999999")
@example(value="Sun, 06 Nov 1994 08:49:37")
def test_any_retry_after(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or (isinstance(seconds, float) and seconds >= 0)
    if seconds is not None:
        error = AGBError("slow down", kind=ErrorKind.RATE_LIMITED, retry_after=seconds, retryable=True)
        wait = RetryPolicy().delay(error, 1, 60.0, 0.5)
        assert wait is None or seconds <= wait < 60


@many
@given(
    value=st.from_regex(r"\A(Mon|Tue), \d{1,6} (Jan|Feb|Xyz) \d{1,12} \d{1,3}:\d{1,3}:\d{1,3} ([+-]\d{1,12}|GMT|)\Z")
)
def test_any_date_of_retry_after(value: str) -> None:
    retry_after(value)


@many
@given(status=st.integers(), code=st.text(), message=st.text())
def test_any_refusal_is_a_refusal(status: int, code: str, message: str) -> None:
    assert kind_of_refusal(status, code, message).is_refusal


@many
@given(url=st.text(), secret=st.text(alphabet="abcdef0123456789", min_size=8))
def test_query_is_cut(url: str, secret: str) -> None:
    assert secret not in without_query(f"https://host/{url.replace(secret, '')}?{secret}")


# --- requests ----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@many
@given(params=st.dictionaries(TEXT.filter(bool), TEXT | st.integers() | st.booleans() | st.none()))
def test_query_round_trip(params: dict[str, Any]) -> None:
    sent = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in params.items()
        if value is not None and value != ""
    }
    encoded = query(params)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert " " not in encoded
    assert dict(parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(sent))) == sent


@many
@given(labels=st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1))
def test_labels_arrive_as_given(labels: dict[str, str]) -> None:
    """Or are refused before anything is sent; never is it an exception."""
    try:
        check_labels(labels)
    except ValueError:
        return
    sent = dict(parse_qsl(sessions.set_label("s-1", labels).query))
    assert json.loads(sent["Labels"]) == labels
    created = sessions.create_session(CreateSessionParams(labels, "image"))
    assert json.loads(json.loads(created.body or b"")["labels"]) == labels


@many
@given(value=VALUES)
def test_json_text_and_bytes_round_trip(value: Any) -> None:
    assert repr(json.loads(json_bytes(value))) == repr(json.loads(json_text(value)))


@many
@given(args=st.dictionaries(st.text(), VALUES))
def test_arguments_of_a_tool_arrive_as_given(args: dict[str, Any]) -> None:
    tool: ToolCall[Any] = any_tool("shell", args, "s-1")
    by_api = json.loads(json.loads(over_api(tool, "s-1").body or b"")["args"])
    by_link = json.loads(over_link(tool, ACCESS, "coding").body or b"")["args"]
    assert repr(by_api) == repr(by_link) == repr(json.loads(json.dumps(args)))


@pytest.mark.parametrize("args", [{"a": {1, 2}}, {"a": b"x"}, {"a": object()}])
def test_arguments_that_json_cannot_carry(args: Mapping[str, Any]) -> None:
    tool: ToolCall[Any] = any_tool("shell", args, "s-1")
    with pytest.raises(TypeError, match="arguments of the tool 'shell' cannot be written as JSON"):
        over_api(tool, "s-1")
    with pytest.raises(TypeError, match="arguments of the tool 'shell' cannot be written as JSON"):
        over_link(tool, ACCESS, "coding")


def test_arguments_that_hold_themselves() -> None:
    args: dict[str, Any] = {}
    args["self"] = args
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        over_api(any_tool("shell", args, "s-1"), "s-1")


def outcome(function: Callable[[], T]) -> tuple[ValueError | None, T | None]:
    """Return the ``ValueError`` that the function raises, or its value."""
    try:
        return None, function()
    except ValueError as error:
        return error, None


# --- endpoints ---------------------------------------------------------------------------------------------------

HOSTS = st.text(min_size=1, max_size=80) | st.from_regex(r"\A[a-z0-9.\-]{1,70}\Z")


@many
@given(
    url=st.text() | st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "HTTP", "ftp"]), HOSTS, st.text())
)
@example(url="a..b")
@example(url="a" * 64 + ".example")
@example(url="http://a\x00b")
@example(url="http://127.0.0.1:0")
@example(url="http://[::1]:8080/")
@example(url="http://[::1%25eth0]")
@example(url="http://[v1.x]")
@example(url="http://host/ü")
@example(url="http://host/a b")
@example(url="http://faß.example")
@example(url="http://℀.example")
@example(url="http://host:٣")
def test_any_endpoint_is_one_or_a_value_error(url: str) -> None:
    refused, endpoint = outcome(lambda: Endpoint.parse(url))
    if endpoint is None:
        assert type(refused) is ValueError, "a sentence of ours, not of a codec"
        assert "endpoint" in str(refused)
        return
    assert endpoint.scheme in ("http", "https")
    assert 0 < endpoint.port < 65536
    assert endpoint.netloc.isascii()
    assert endpoint.prefix.isascii()
    assert not any(c.isspace() or not c.isprintable() for c in str(endpoint))
    assert not endpoint.prefix.endswith("/")
    endpoint.host.encode("idna")  # as the name is looked up
    assert Endpoint.parse(str(endpoint)) == endpoint


@many
@given(text=TEXT | st.binary() | VALUES.map(json.dumps))
def test_any_text_is_a_reference_or_a_value_error(text: str | bytes) -> None:
    try:
        ref = SessionRef.from_json(text)
    except ValueError:
        return
    assert SessionRef.from_json(ref.to_json()) == ref


def test_deep_text_is_no_reference() -> None:
    with pytest.raises(ValueError):
        SessionRef.from_json("[" * 100_000)


@pytest.mark.parametrize("key", ["ako-key ", " ako-key", "ako key", "ako-key\t", "ako-key\n", "ako-\x7f", "ako-ü", " "])
def test_key_that_no_header_can_carry(key: str) -> None:
    """Either cut to what was meant, or refused; a header that the HTTP library refuses would be shown by its error."""
    refused, made = outcome(lambda: client_settings(key, Config("x", 1)))
    if made is None:
        assert key not in str(refused) or not key.strip()
    else:
        assert made.api_key.value == key.strip()
        assert " " not in made.api_key.value


# --- secrets -----------------------------------------------------------------------------------------------------

SECRET = "geheim0815geheim"
NAMES = (
    "token",
    "auth_code",
    "authCode",
    "ticket",
    "password",
    "api_key",
    "apiKey",
    "X-Access-Token",
    "Authorization",
    "secret",
    "passwd",
)
HARMLESS = st.none() | st.integers() | st.text(max_size=5)
URLS = st.builds(
    "{}://host/p{}{}={}{}".format,
    st.sampled_from(["http", "https", "wss"]),
    st.sampled_from(["?", "?a=1&", "?x=%20&"]),
    st.sampled_from(
        [name for name in NAMES if name != "Authorization"] + ["authcode", "X-Amz-Signature", "AccessKeyId", "sign"]
    ),
    st.just(SECRET),
    st.sampled_from(["", "&b=2", "#f", " and more"]),
) | st.sampled_from(
    [f"http://127.0.0.1:1/link/s-1/30100/{SECRET}/x?y=1", f"http://30100-s-1-{SECRET}.localhost:1/x?y=1"]
)
HOLDERS = st.dictionaries(st.sampled_from(NAMES), st.just(SECRET), min_size=1, max_size=3) | URLS


def holding(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(inner | HARMLESS, max_size=3)
        | st.lists(inner | HARMLESS, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["url", "resource_url", "items", "a"]), inner | HARMLESS, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2)
    )


@many
@given(value=st.recursive(HOLDERS, holding, max_leaves=8))
def test_secrets_are_masked_wherever_they_stand(value: Any) -> None:
    assert SECRET not in repr(masked(value))
    assert SECRET not in masked_repr(value)
    assert SECRET not in repr(OperationResult("R", True, value))


@many
@given(value=VALUES)
def test_masking_changes_nothing_else(value: Any) -> None:
    masked(value)
    plain = {"session_id": "s-1", "labels": {"project": "demo"}, "url": "https://host/path?page=2"}
    assert masked(plain) == plain


@pytest.mark.parametrize("url", [f"https://user:{SECRET}@host/", f"http://{SECRET}@proxy:3128"])
def test_password_of_an_address_is_masked(url: str) -> None:
    assert SECRET not in masked_repr(url)
    assert "host" in masked_repr(url) or "proxy" in masked_repr(url)


@many
@given(message=TEXT, code=TEXT, request_id=TEXT)
def test_errors_print(message: str, code: str, request_id: str) -> None:
    call = OPERATIONS["get_link"]
    error = error_for(call, message, ErrorKind.REFUSED, code=code, request_id=request_id)
    assert message in str(error)
    assert not request_id or request_id in str(error)
    repr(error)
