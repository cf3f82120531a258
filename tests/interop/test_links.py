"""Links: a server inside a session, reached from outside."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import Request

import pytest

from .harness import API_KEY, Runtime, Sessions, fetch

if TYPE_CHECKING:
    from agb import Session


def serve_page(session: Session, text: str, port: int) -> None:
    """Start a web server in the session that shows a text, and return when it listens."""
    start = session.command.execute(
        f"mkdir -p 'web {port}' && cd 'web {port}' && echo '{text}' > index.html && "
        f"nohup python3 -m http.server {port} --bind 127.0.0.1 > server.log 2>&1 &",
        timeout_ms=5000,
    )
    assert start.success, start.error_message
    listening = session.command.execute(
        f"until (exec 3<> /dev/tcp/127.0.0.1/{port}) 2> /dev/null; do sleep 0.02; done", timeout_ms=20000
    )
    assert listening.success, listening.error_message


def link(session: Session, port: int) -> str:
    """Return the link to a port of the session."""
    result = session.get_link(port=port)
    assert result.success, result.error_message
    assert isinstance(result.data, str)
    return result.data


@pytest.fixture(scope="module")
def page(session: Session) -> str:
    """The link to a page that a server in the module's session shows."""
    serve_page(session, "hello from the session", 30100)
    return link(session, 30100)


def test_page_is_fetched_through_the_link(page: str) -> None:
    assert fetch(page) == (200, "hello from the session\n")
    assert fetch(urljoin(page, "index.html"))[0] == 200


def test_the_servers_own_refusals_come_through(page: str) -> None:
    assert fetch(urljoin(page, "missing.html"))[0] == 404
    assert fetch(Request(page, b"posted"))[0] == 501  # python's http.server knows no POST


def test_link_needs_its_token(session: Session, page: str) -> None:
    token = max(re.split(r"[/.-]", page), key=len)  # a part of the path, or of the host name

    status, text = fetch(page.replace(token, "0" * len(token)))

    assert status in {401, 403, 404}
    assert "hello" not in text


def test_same_port_in_two_sessions(session: Session, page: str, sessions: Sessions) -> None:
    other = sessions.create()
    serve_page(other, "hello from another session", 30100)

    assert fetch(link(other, 30100)) == (200, "hello from another session\n")
    assert fetch(page) == (200, "hello from the session\n")


def test_nothing_listens(session: Session) -> None:
    status, text = fetch(link(session, 30199))

    assert status == 502
    assert "30199" in text


def test_link_without_parameters(session: Session) -> None:
    result = session.get_link()

    assert result.success, result.error_message
    assert result.request_id
    assert result.data is not None
    assert result.data.startswith("http")


@pytest.mark.parametrize(("protocol", "plain"), [("http", "http"), ("https", "http"), ("ws", "ws"), ("wss", "ws")])
def test_protocols(runtime: Runtime, session: Session, protocol: str, plain: str) -> None:
    result = session.get_link(protocol, 30150)

    assert result.success, result.error_message
    assert result.data is not None
    scheme, _, rest = result.data.partition("://")
    assert scheme in {protocol, plain}
    server = runtime.endpoint.partition("://")[2]
    by_path, by_name = f"{server}/link/{session.session_id}/", f"30150-{session.session_id}-"
    assert rest.startswith((by_path, by_name))
    assert urlsplit(result.data).port == urlsplit(runtime.endpoint).port


NO_PORTS = [pytest.param(number, marks=pytest.mark.only_0_12) for number in (99999, -1)]


@pytest.mark.parametrize("port", [80, 30099, 30200, *NO_PORTS])
def test_port_out_of_range(session: Session, port: int) -> None:
    result = session.get_link(port=port)

    assert not result.success
    assert result.error_message
    assert result.request_id


def test_unknown_protocol(session: Session) -> None:
    result = session.get_link("gopher", 30100)

    assert not result.success
    assert result.error_message


def test_the_async_clients_path(session: Session, page: str, low_level: Any, models: Any) -> None:
    request = models.GetLinkRequest(f"Bearer {API_KEY}", 30100, "http", session.session_id)

    response = asyncio.run(low_level.get_link_async(request))

    assert response.is_successful()
    assert fetch(response.get_url()) == (200, "hello from the session\n")


def test_link_ends_with_its_session(sessions: Sessions) -> None:
    session = sessions.create()
    serve_page(session, "soon gone", 30101)
    url = link(session, 30101)
    assert fetch(url)[0] == 200
    assert session.delete().success

    assert fetch(url)[0] >= 400


def test_page_of_the_session(session: Session) -> None:
    info = session.info()
    assert info.data is not None

    status, text = fetch(info.data["resource_url"])

    assert status == 200
    assert session.session_id in text
