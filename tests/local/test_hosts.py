"""The names under which the server answers, and the addresses of its answers."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.types import Scope
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import agb.local
from agb.local import CannotStart
from agb.local.api.hosts import Hosts
from agb.local.options import Options

from .conftest import Api


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "localhost.evil.example", "x.localhost", "a b", "["]
)
def test_foreign_host_is_refused(api: Api, host: str) -> None:
    port = urlsplit(api.server.endpoint).port
    host = host.replace("PORT", str(port))
    for method, path in (
        ("POST", "/mcp/getSession"),
        ("GET", "/internet/getLink"),
        ("GET", "/link/x"),
        ("GET", "/none"),
    ):
        answer = api.http.request(method, path, headers={"host": host})
        assert answer.status_code == 421, path
        assert answer.json()["code"] == "MisdirectedRequest"
        assert "--public-url" in answer.json()["message"]
    with socket.create_connection(("127.0.0.1", port)) as at, pytest.raises(InvalidStatus) as refused:
        connect("ws://evil.example/sessions/x/ws", sock=at)
    assert refused.value.response.status_code == 421


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_addresses_are_those_the_caller_uses(api: Api, session: str, name: str) -> None:
    """The port is the caller's too: it may be forwarded from another one."""
    query = {"sessionId": session}
    for host in (name, f"{name}:9000"):
        url = api.http.get("/mcp/getLink", params=query, headers={"host": host}).json()["data"]["url"]
        assert url.startswith(f"http://{host}/link/")


def test_old_request_without_host(api: Api, session: str) -> None:
    at = urlsplit(api.server.endpoint)
    with socket.create_connection((at.hostname, at.port)) as raw:
        head = f"GET /mcp/getLink?sessionId={session} HTTP/1.0\r\nAuthorization: Bearer {api.server.api_key}\r\n\r\n"
        raw.sendall(head.encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b"")).decode()
    assert f"{api.server.endpoint}/link/" in answer


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_link_for_a_caller_on_this_machine(api: Api, session: str, name: str) -> None:
    """It has a host name if the machine resolves it; the callers of the test above used other ports or addresses."""
    port = urlsplit(api.server.endpoint).port
    headers = {"host": f"{name}:{port}"}
    url = api.http.get("/mcp/getLink", params={"sessionId": session}, headers=headers).json()["data"]["url"]
    if api.server.report.links == "name":
        assert re.fullmatch(rf"http://30100-{session}-[0-9a-f]{{32}}\.localhost:{port}/", url)
    else:
        assert url.startswith(f"http://{name}:{port}/link/{session}/30100/")


def scope(local: str, scheme: str = "http") -> Scope:
    return {"type": "http", "scheme": scheme, "server": (local, 8080), "headers": []}


@pytest.mark.parametrize(
    ("hosts", "local", "given", "base"),
    [
        (Hosts("box.example.com"), "10.0.0.1", "box.example.com:8080", "http://box.example.com:8080"),
        (Hosts("10.0.0.1"), "10.0.0.1", "10.0.0.1:8080", "http://10.0.0.1:8080"),
        (Hosts("0.0.0.0"), "10.0.0.1", "10.0.0.1:8080", "http://10.0.0.1:8080"),
        (Hosts("0.0.0.0"), "10.0.0.1", "0.0.0.0:8080", "http://0.0.0.0:8080"),
        (Hosts("0.0.0.0"), "10.0.0.1", "box:8080", None),
        (Hosts("::"), "fd00::1", "[fd00::1]:8080", "http://[fd00::1]:8080"),
        (Hosts("127.0.0.1"), "127.0.0.1", "10.0.0.1", None),
        (Hosts("127.0.0.1"), "127.0.0.1", "localhost:999999", None),
        (Hosts("0.0.0.0", "https://a.example"), "10.0.0.1", "a.example", "https://a.example"),
        # A proxy in front may send its own name for this server.
        (Hosts("0.0.0.0", "https://a.example:444"), "10.0.0.1", "10.0.0.1:8080", "https://a.example:444"),
        (Hosts("0.0.0.0", "https://a.example"), "10.0.0.1", "b.example", None),
        (Hosts("0.0.0.0"), "fd00::1", "", "http://[fd00::1]:8080"),
    ],
)
def test_names_of_a_server(hosts: Hosts, local: str, given: str, base: str | None) -> None:
    assert hosts.base(scope(local), given) == base


BOTH = frozenset({"127.0.0.1", "::1"})


@pytest.mark.parametrize(
    ("hosts", "local", "given", "by_name"),
    [
        (Hosts(localhost_addresses=BOTH), "127.0.0.1", "127.0.0.1:8080", True),
        (Hosts(localhost_addresses=BOTH), "127.0.0.1", "Localhost.:8080", True),
        (Hosts("0.0.0.0", localhost_addresses=BOTH), "127.0.0.1", "localhost:8080", True),
        (Hosts("::1", localhost_addresses=BOTH), "::1", "[::1]:8080", True),
        (Hosts(), "127.0.0.1", "127.0.0.1:8080", False),
        (Hosts(localhost_addresses=frozenset({"::1"})), "127.0.0.1", "127.0.0.1:8080", False),
        (Hosts(public_url="http://localhost:8080", localhost_addresses=BOTH), "127.0.0.1", "localhost:8080", False),
        # Forwarded, perhaps from another machine.
        (Hosts(localhost_addresses=BOTH), "127.0.0.1", "localhost:9000", False),
        (Hosts(localhost_addresses=BOTH), "127.0.0.1", "localhost", False),
        (Hosts("0.0.0.0", localhost_addresses=BOTH), "172.17.0.2", "localhost:8080", False),
        # Names below localhost lead to another address.
        (Hosts("10.0.0.1", localhost_addresses=BOTH), "10.0.0.1", "10.0.0.1:8080", False),
        (Hosts("127.0.0.2", localhost_addresses=BOTH), "127.0.0.2", "127.0.0.2:8080", False),
        (Hosts(localhost_addresses=BOTH), "127.0.0.1", "127.0.0.2:8080", False),
        (Hosts(localhost_addresses=BOTH), "127.0.0.1", "", False),  # HTTP/1.0 has no host names
    ],
)
def test_callers_that_get_a_link_by_host_name(hosts: Hosts, local: str, given: str, by_name: bool) -> None:
    assert hosts.link_by_name(scope(local), given) == by_name


def test_public_url() -> None:
    with agb.local.serve(allow_none=True, public_url="https://sandboxes.example.com/") as server:
        api = Api(server)
        with api.http:
            made = api.create()
            assert made["linkUrl"].startswith("https://sandboxes.example.com/sessions/")
            assert made["wsUrl"].startswith("wss://sandboxes.example.com/sessions/")
            assert made["resourceUrl"].startswith("https://sandboxes.example.com/sessions/")
            link = api.link(made["sessionId"], protocol="wss")
            assert link.startswith("wss://sandboxes.example.com/link/")
            by_proxy = {"host": "sandboxes.example.com", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
            assert httpx.get(server.endpoint + urlsplit(link).path, headers=by_proxy).status_code == 502  # no redirect


@pytest.mark.parametrize(
    "url", ["sandboxes.example.com", "https://", "https://a.example/path", "ftp://a.example", "https://a b"]
)
def test_public_url_that_is_none(url: str) -> None:
    with pytest.raises(CannotStart, match="public_url must be a scheme and a host"):
        Options(public_url=url)
