"""The life of a session: created, found again, looked at, kept alive, deleted, gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .harness import API_KEY, IMAGE, Runtime, Sessions

if TYPE_CHECKING:
    from agb import AGB, Session


def test_created_session_is_complete(agb: AGB) -> None:
    from agb import CreateSessionParams

    result = agb.create(CreateSessionParams({"made by": "interop"}, IMAGE, "policy-1", idle_release_timeout=120))

    assert result.success, result.error_message
    assert result.request_id
    session = result.session
    assert session is not None
    assert session.session_id
    assert session.image_id == IMAGE
    assert session.app_instance_id
    assert session.resource_id
    assert session.link_url.startswith("http://127.0.0.1:")
    assert session.token
    assert {"run_code", "shell", "get_metrics"} <= {tool.name for tool in session.tool_list}
    assert all(tool.server for tool in session.tool_list)
    assert session.get_labels().data == {"made by": "interop"}
    assert session.delete().success


def test_get_session_returns_the_same_as_create(agb: AGB, session: Session) -> None:
    result = agb.get_session(session.session_id)

    assert result.success, result.error_message
    assert result.request_id
    assert result.http_status_code == 200
    assert result.code in {"", "ok"}
    assert result.data is not None
    assert result.data.session_id == session.session_id
    assert result.data.status == "RUNNING"
    assert result.data.link_url == session.link_url
    assert result.data.token == session.token
    assert result.data.app_instance_id == session.app_instance_id
    assert result.data.resource_id == session.resource_id


def test_resource_url_has_a_new_code_each_time(agb: AGB, session: Session) -> None:
    urls = []
    for _ in range(2):
        data = agb.get_session(session.session_id).data
        assert data is not None
        urls.append(data.resource_url)

    assert urls[0] != urls[1]
    for url in urls:
        assert parse_qs(urlsplit(url).query)["resourceId"] == [session.resource_id]


def test_get_returns_a_session_that_works(agb: AGB, session: Session) -> None:
    session.command.execute("echo kept > kept.txt")

    result = agb.get(session.session_id)

    assert result.success, result.error_message
    assert result.session is not None
    assert result.session.link_url == session.link_url
    assert result.session.token == session.token
    assert result.session.command.execute("cat kept.txt").stdout == "kept\n"


def test_info(session: Session) -> None:
    result = session.info()

    assert result.success, result.error_message
    assert result.request_id
    data = result.data
    assert data is not None
    assert data["session_id"] == session.session_id
    assert "resourceId=" in data["resource_url"]


def test_status_of_a_live_session(session: Session) -> None:
    result = session.get_status()

    assert result.success, result.error_message
    assert result.status == "RUNNING"
    assert result.http_status_code == 200
    assert result.request_id


def test_keep_alive(session: Session) -> None:
    result = session.keep_alive()

    assert result.success, result.error_message
    assert result.request_id


@pytest.mark.parametrize("by", ["session", "client"])
def test_deleted_session_is_gone(agb: AGB, sessions: Sessions, by: str) -> None:
    session = sessions.create({"deleted by": by})
    assert agb.list({"deleted by": by}).session_ids == [session.session_id]

    result = session.delete() if by == "session" else agb.delete(session)

    assert result.success, result.error_message
    assert result.request_id
    status = session.get_status()
    assert status.status == "FINISH" or status.code == "InvalidMcpSession.NotFound"
    assert agb.list({"deleted by": by}).session_ids == []
    found = agb.get_session(session.session_id)
    assert not found.success
    assert found.code == "InvalidMcpSession.NotFound"
    assert "not found" in found.error_message


def test_delete_can_sync_contexts_first(sessions: Sessions) -> None:
    # The sync may fail or find nothing to do: 0.12 deletes the session whatever comes of it.
    assert sessions.create().delete(sync_context=True).success


def test_old_release_waits_until_the_session_is_gone(sessions: Sessions, low_level: Any, models: Any) -> None:
    session = sessions.create()

    response = low_level.release_mcp_session(models.ReleaseSessionRequest(session.session_id, f"Bearer {API_KEY}"))

    assert response.is_successful()
    status = session.get_status()
    assert status.status == "FINISH" or status.code == "InvalidMcpSession.NotFound"


def test_idle_session_is_released_although_its_status_is_asked(sessions: Sessions) -> None:
    session = sessions.create(idle_release_timeout=1)
    created = time.monotonic()

    # The service does not announce a release: a client can only poll, and polling must not keep the session alive.
    while session.get_status().status == "RUNNING":
        assert time.monotonic() - created < 15
        time.sleep(0.1)  # waits on purpose: the service does not announce a release

    assert time.monotonic() - created >= 0.9


def test_calls_keep_a_session_alive(sessions: Sessions) -> None:
    session = sessions.create(idle_release_timeout=1)
    created = time.monotonic()

    while time.monotonic() - created < 1.6:
        assert session.command.execute("sleep 0.2").success

    assert session.get_status().status == "RUNNING"


def test_sessions_do_not_see_each_other(sessions: Sessions) -> None:
    one, other = sessions.create(), sessions.create()
    assert one.command.execute("echo secret | tee /tmp/mine.txt > $HOME/mine.txt").success

    assert not other.command.execute("cat /tmp/mine.txt").success
    assert not other.command.execute("cat $HOME/mine.txt").success


def test_session_sees_nothing_of_the_runtime(runtime: Runtime, session: Session) -> None:
    result = session.command.execute("env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")

    assert API_KEY not in result.stdout
    assert not session.command.execute(f"ls {runtime.data_dir}").success
