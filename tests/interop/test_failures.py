"""What 0.12 shows when something is wrong: its texts are its own, so only key words count."""

from __future__ import annotations

import socket
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from .harness import API_KEY, IMAGE, Connect, Runtime, Sessions

if TYPE_CHECKING:
    from agb import AGB, Session

UNKNOWN = "s-doesnotexist"


@pytest.fixture(scope="module")
def deleted(module_sessions: Sessions) -> Session:
    """A session that was deleted."""
    session = module_sessions.create()
    assert session.delete().success
    return session


@pytest.fixture
def unknown(agb: AGB) -> Session:
    """A session object for an id that never was."""
    from agb import Session

    return Session(agb, UNKNOWN)


NOT_ASCII = pytest.param("ako-größe".encode().decode("latin-1"), marks=pytest.mark.only_0_12, id="not ASCII")


@pytest.mark.parametrize("key", ["ako-wrong", "ako-interop2", NOT_ASCII, "x" * 5000])
def test_wrong_key(connect: Connect, session: Session, key: str) -> None:
    from agb import CreateSessionParams, Session

    client = connect(api_key=key)
    created = client.create(CreateSessionParams(image_id=IMAGE))
    assert not created.success
    assert created.session is None
    assert created.error_message

    listed = client.list()
    assert not listed.success
    assert listed.session_ids == []
    assert "key" in listed.error_message.lower()

    found = client.get_session(session.session_id)
    assert not found.success
    assert found.http_status_code == 401
    assert found.code

    mine = Session(client, session.session_id)
    assert not mine.set_labels({"stolen": "yes"}).success
    assert not mine.get_labels().success
    assert not mine.get_link(port=30100).success
    assert not mine.info().success
    assert not mine.keep_alive().success
    assert not mine.get_status().success
    assert not mine.command.execute("true").success
    assert not mine.list_mcp_tools(IMAGE).success
    assert "key" in mine.call_mcp_tool("shell", {"command": "true"}).error_message.lower()


def test_wrong_key_deletes_nothing(session: Session, low_level: Any, models: Any) -> None:
    request = models.DeleteSessionAsyncRequest("Bearer ako-wrong", session.session_id)

    assert not low_level.delete_session_async(request).is_successful()
    assert session.get_status().status == "RUNNING"


def test_key_without_bearer(session: Session, low_level: Any, models: Any) -> None:
    response = low_level.get_session_detail(models.GetSessionDetailRequest(f"Basic {API_KEY}", session.session_id))

    assert not response.is_successful()


@pytest.mark.parametrize("token", ["wrong", "größe".encode().decode("latin-1")], ids=["wrong", "not ASCII"])
def test_wrong_token_on_the_link_route(agb: AGB, session: Session, token: str) -> None:
    other = agb.get(session.session_id).session
    assert other is not None
    other.token = token

    result = other.command.execute("true")

    assert not result.success
    assert result.error_message


def test_token_of_another_session(sessions: Sessions, session: Session) -> None:
    other = sessions.create()
    other.link_url = session.link_url

    assert not other.command.execute("true").success


def test_unknown_session(agb: AGB, unknown: Session) -> None:
    found = agb.get_session(UNKNOWN)
    assert not found.success
    assert found.code == "InvalidMcpSession.NotFound"
    assert "not found" in found.error_message
    assert found.request_id

    got = agb.get(UNKNOWN)
    assert not got.success
    assert got.session is None
    assert UNKNOWN in got.error_message

    status = unknown.get_status()
    assert not status.success
    assert status.code == "InvalidMcpSession.NotFound"
    assert status.http_status_code == 400

    for result in (unknown.set_labels({"a": "b"}), unknown.get_labels(), unknown.keep_alive()):
        assert not result.success
        assert "not found" in result.error_message
        assert result.request_id

    info = unknown.info()
    assert not info.success
    assert info.error_message

    link = unknown.get_link(port=30100)
    assert not link.success
    assert link.error_message

    call = unknown.call_mcp_tool("shell", {"command": "true"})
    assert not call.success
    assert "not found" in call.error_message

    assert not unknown.get_metrics().success
    assert not unknown.code.run("1", "python").success


def test_deleting_an_unknown_session(unknown: Session) -> None:
    result = unknown.delete()

    assert not result.success
    assert "not found" in result.error_message


def test_deleted_session_by_api(agb: AGB, deleted: Session) -> None:
    from agb import Session

    session = Session(agb, deleted.session_id)
    command = session.command.execute("true")
    assert not command.success
    assert "not found" in command.error_message
    assert not session.set_labels({"a": "b"}).success
    assert not session.get_link(port=30100).success
    assert not session.keep_alive().success
    assert not session.info().success


def test_deleted_session_by_link(deleted: Session) -> None:
    assert deleted.link_url

    command = deleted.command.execute("true")
    code = deleted.code.run("1", "python")

    assert not command.success
    assert command.exit_code is None
    assert "HTTP request failed" in command.error_message or "not found" in command.error_message
    assert not code.success
    assert code.error_message


def test_deleting_twice(deleted: Session) -> None:
    result = deleted.delete()

    assert result.success or "not found" in result.error_message


@pytest.mark.parametrize("image", ["no-such-image", "größe", "../etc"])
def test_unknown_image(agb: AGB, image: str) -> None:
    from agb import CreateSessionParams

    created = agb.create(CreateSessionParams(image_id=image))
    assert not created.success
    assert created.session is None
    assert image in created.error_message
    assert IMAGE in created.error_message  # says which there are

    from agb import Session

    tools = Session(agb, UNKNOWN).list_mcp_tools(image)  # tools are listed per image: no session takes part
    assert not tools.success
    assert image in tools.error_message


def test_missing_image(agb: AGB) -> None:
    from agb import CreateSessionParams, Session

    assert "image_id" in agb.create(CreateSessionParams()).error_message
    with pytest.raises(ValueError, match="image_id"):
        Session(agb, UNKNOWN).list_mcp_tools()


@pytest.mark.only_0_12
@pytest.mark.parametrize("timeout", [-5, "soon", 10**9])
def test_bad_idle_timeout(agb: AGB, timeout: Any) -> None:
    from agb import CreateSessionParams

    result = agb.create(CreateSessionParams(image_id=IMAGE, idle_release_timeout=timeout))

    if timeout == 10**9:  # longer than a session may live: it just ends with its life
        assert result.session is not None
        assert result.session.delete().success
    else:
        assert not result.success
        assert "timeout" in result.error_message


@pytest.mark.parametrize("labels", ["{", "[1]", '"text"', '{"a": 1}', "[" * 100_000, r'{"\ud800": "x"}'])
def test_labels_that_are_not_labels(session: Session, labels: str, low_level: Any, models: Any) -> None:
    bearer = f"Bearer {API_KEY}"

    created = low_level.create_mcp_session(models.CreateSessionRequest(bearer, image_id=IMAGE, labels=labels))
    changed = low_level.set_label(models.SetLabelRequest(bearer, session.session_id, labels[:5000]))
    listed = low_level.list_sessions(models.ListSessionRequest(bearer, 10, labels=labels[:5000]))

    assert not created.is_successful()
    assert not changed.is_successful()
    assert not listed.is_successful()
    assert session.get_status().status == "RUNNING"


@pytest.mark.parametrize("args", ["{", "[1]", '"text"', "[" * 100_000])
def test_arguments_that_are_not_arguments(session: Session, args: str, low_level: Any, models: Any) -> None:
    request = models.CallMcpToolRequest(args, f"Bearer {API_KEY}", None, "shell", None, session.session_id)

    response = low_level.call_mcp_tool(request)

    assert not response.is_successful()
    assert "args" in response.get_error_message()


@pytest.mark.parametrize(("limit", "token"), [(0, ""), (-1, ""), (10, "made-up-token")])
def test_bad_paging(limit: int, token: str, low_level: Any, models: Any) -> None:
    response = low_level.list_sessions(models.ListSessionRequest(f"Bearer {API_KEY}", limit, token, "{}"))

    assert not response.is_successful()
    assert response.get_error_message()


@pytest.mark.only_0_12
def test_operations_that_are_not_offered_say_so(session: Any) -> None:
    """Browsers come later; until then they fail at once."""
    assert not session.browser.initialize(import_module("agb.modules.browser").BrowserOption())


@pytest.mark.only_0_12
def test_unknown_context_at_creation_is_refused(agb: Any) -> None:
    from agb import ContextSync, CreateSessionParams, SyncPolicy

    syncs = [ContextSync("SdkCtx-1", "/home/user/data", SyncPolicy())]

    result = agb.create(CreateSessionParams(image_id=IMAGE, context_syncs=syncs))

    assert not result.success
    assert "SdkCtx-1" in result.error_message


def test_nothing_listens_at_the_endpoint(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused, and no one else gets the port
        client = connect(endpoint=f"http://127.0.0.1:{free.getsockname()[1]}")

        listed = client.list()

    assert not listed.success
    assert "list sessions" in listed.error_message


def test_endpoint_with_a_trailing_slash(connect: Connect, runtime: Runtime) -> None:
    """0.12 then asks for ``//sdk/ListSession``; whether that is served or refused, the answer is an API's answer."""
    result = connect(endpoint=f"{runtime.endpoint}/").list()

    assert result.success or result.request_id
