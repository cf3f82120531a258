"""Proxies: of the environment and explicit, HTTP, HTTPS and SOCKS5, for calls and streams, and those that refuse."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agb import AGBError, AsyncAGB, AsyncSession, Config, ErrorKind, Limits, Sent
from agb._wire.proxy import needs_none, settings_of
from tests.pools import pool_of
from tests.proxies import Proxy, proxying
from tests.servers import Scripted, scripted, silent, value
from tests.websocket_server import Talk, websocket_service

pytestmark = pytest.mark.anyio

LINK = value({"url": "http://127.0.0.1/link"})
CERTIFICATE = Path(__file__).parent.parent / "async_only" / "localhost.pem"
PASSWORD = "very-secret"
USER = f"me:{PASSWORD}"


@pytest.fixture
def tls() -> ssl.SSLContext:
    """What a server needs to be localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted(LINK) as server:
        yield server


@pytest.fixture
def secure(tls: ssl.SSLContext) -> Iterator[Scripted]:
    with scripted(LINK, tls=tls) as server:
        yield server


def client(server: Scripted, **more: Any) -> AsyncAGB:
    endpoint = server.endpoint
    return AsyncAGB("ako-key", Config(endpoint, 5000), **more)


def secure_client(server: Scripted, **more: Any) -> AsyncAGB:
    return AsyncAGB("ako-key", Config(f"https://localhost:{server.port}", 5000), **{"verify": CERTIFICATE, **more})


async def links(agb: AsyncAGB, count: int = 3) -> None:
    async with agb:
        for _ in range(count):
            assert (await agb.attach("s-1").get_link()).data == "http://127.0.0.1/link"


async def failure_of(agb: AsyncAGB) -> AGBError:
    async with agb:
        with pytest.raises(AGBError) as caught:
            await agb.attach("s-1").get_link()
        assert pool_of(agb).stats().open == 0
    error = caught.value
    while error is not None:
        assert PASSWORD not in str(error) + repr(error)
        error = error.__cause__  # type: ignore[assignment]
    return caught.value


# --- HTTP --------------------------------------------------------------------------------------------------------


async def test_http_by_way_of_http(server: Scripted) -> None:
    with proxying(users={"me": PASSWORD}) as proxy:
        await links(client(server, proxy=proxy.url(USER)))
        assert proxy.asked == [f"GET {server.endpoint}/internet/getLink?sessionId=s-1"] * 3
        assert proxy.connections == 1
    assert all("proxy-authorization" not in request.headers for request in server.requests)
    assert server.requests[0].headers["authorization"] == "Bearer ako-key"


async def test_forwarding_proxy_is_asked_for_many_hosts_on_one_connection(server: Scripted) -> None:
    with proxying(hosts={"one.invalid": "127.0.0.1", "two.invalid": "127.0.0.1"}) as proxy:
        async with client(server, proxy=proxy.url(), limits=Limits(connections=1)) as agb:
            pool = pool_of(agb)
            for host in ("one.invalid", "two.invalid"):
                agb.client.endpoint = type(agb.client.endpoint)("http", host, server.port, "")
                assert (await agb.attach("s-1").get_link()).success
            assert pool.stats().opened == 1
        assert proxy.connections == 1


async def test_https_by_way_of_http(secure: Scripted) -> None:
    with proxying(users={"me": PASSWORD}) as proxy:
        await links(secure_client(secure, proxy=proxy.url(USER)))
        assert proxy.asked == [f"CONNECT localhost:{secure.port}"]
        assert "authorization" not in proxy.headers[0]
    assert "proxy-authorization" not in secure.requests[0].headers
    assert secure.connections == 1


async def test_http_by_way_of_https(server: Scripted, tls: ssl.SSLContext) -> None:
    with proxying("https", tls=tls) as proxy:
        await links(client(server, proxy=proxy.url(), verify=CERTIFICATE))
        assert proxy.connections == 1


async def test_https_by_way_of_https(secure: Scripted, tls: ssl.SSLContext) -> None:
    """TLS in TLS."""
    with proxying("https", tls=tls) as proxy:
        await links(secure_client(secure, proxy=proxy.url()), 20)
        assert proxy.asked == [f"CONNECT localhost:{secure.port}"]
    assert secure.connections == 1


async def test_certificate_behind_a_proxy_is_verified(secure: Scripted) -> None:
    with proxying() as proxy:
        error = await failure_of(secure_client(secure, proxy=proxy.url(), verify=True))
    assert "certificate verify failed" in str(error)
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.UNREACHABLE, Sent.NO, False)
    assert proxy.connections == 1


async def test_certificate_of_a_proxy_is_verified(secure: Scripted, tls: ssl.SSLContext) -> None:
    with proxying("https", tls=tls) as proxy:
        error = await failure_of(secure_client(secure, proxy=proxy.url(), verify=True))
    assert "certificate verify failed" in str(error)
    assert not error.retryable


# --- those that refuse -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["", "me:wrong", f"you:{PASSWORD}"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["forwarded", "tunnel"])
async def test_wrong_credentials(server: Scripted, secure: Scripted, user: str, is_secure: bool) -> None:
    with proxying(users={"me": PASSWORD}) as proxy:
        made = secure_client(secure, proxy=proxy.url(user)) if is_secure else client(server, proxy=proxy.url(user))
        error = await failure_of(made)
        assert f"the proxy {proxy.url()} refused" in str(error)
        assert "407" in str(error)
        assert ("wants a user name" in str(error)) == (user == "")
        assert len(proxy.asked) == 1  # trying again would help nobody
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.UNREACHABLE, Sent.NO, False)
    assert server.requests == secure.requests == []


@pytest.mark.parametrize(
    ("instead", "told", "retryable"),
    [
        (b"HTTP/1.1 403 Not allowed here\r\nContent-Length: 0\r\n\r\n", "(403 Not allowed here)", False),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "(502 Bad Gateway)", True),
        (b"HTTP/1.1 403 \xff\xfe\r\n\r\n", "(403)", False),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "answers, but not in HTTP", False),
        (b"HTTP/1.1 200 Go\r\n\r\nsurprise", "sends more than its answer", False),
        (b"", "closed the connection", True),
    ],
    ids=["403", "502", "odd reason", "no http", "surprise", "closed"],
)
async def test_tunnel_is_refused(secure: Scripted, instead: bytes, told: str, retryable: bool) -> None:
    with proxying(instead=instead) as proxy:
        agb = secure_client(secure, proxy=proxy.url(USER))
        agb.client._random = lambda: 0.0
        error = await failure_of(agb)
    assert f"no connection to https://localhost:{secure.port}: the proxy {proxy.url()}" in str(error)
    assert told in str(error)
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.UNREACHABLE, Sent.NO, retryable)


async def test_proxy_that_is_not_there(server: Scripted, secure: Scripted) -> None:
    with proxying() as proxy:
        url = proxy.url(USER)
    for agb in (client(server, proxy=url), secure_client(secure, proxy=url)):
        error = await failure_of(agb)
        assert f"(that is the proxy {proxy.url()})" in str(error)
        assert (error.kind, error.sent, error.retryable) == (ErrorKind.UNREACHABLE, Sent.NO, True)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_proxy_that_says_nothing(secure: Scripted, scheme: str) -> None:
    with scripted(silent, early=lambda request: silent) as deaf:
        agb = AsyncAGB(
            "ako-key",
            Config(f"https://localhost:{secure.port}", 300),
            proxy=deaf.endpoint.replace("http", scheme),
        )
        error = await failure_of(agb)
    assert f"within 0.3 s: the proxy {scheme}://127.0.0.1:{deaf.port} did not answer" in str(error)
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.TIMED_OUT, Sent.NO, True)


# --- SOCKS5 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["", USER])
@pytest.mark.parametrize("is_secure", [False, True])
async def test_socks(server: Scripted, secure: Scripted, user: str, is_secure: bool) -> None:
    with proxying("socks5", users={"me": PASSWORD} if user else {}) as proxy:
        made = secure_client(secure, proxy=proxy.url(user)) if is_secure else client(server, proxy=proxy.url(user))
        await links(made)
        (asked,) = proxy.asked
        assert asked in {f"SOCKS {host}:{(secure if is_secure else server).port}" for host in ("127.0.0.1", "::1")}
        assert proxy.connections == 1


async def test_socks_proxy_looks_names_up(server: Scripted) -> None:
    """For socks5h; for socks5 this machine does."""
    endpoint = f"http://only-there.invalid:{server.port}"
    with proxying("socks5h", hosts={"only-there.invalid": "127.0.0.1"}) as proxy:
        await links(AsyncAGB("ako-key", Config(endpoint, 5000), proxy=proxy.url()))
        assert proxy.asked == [f"SOCKS only-there.invalid:{server.port}"]
        agb = AsyncAGB("ako-key", Config(endpoint, 5000), proxy=proxy.url(scheme="socks5"))
        agb.client._random = lambda: 0.0
        error = await failure_of(agb)
    assert error.kind is ErrorKind.UNREACHABLE
    assert len(proxy.asked) == 1


@pytest.mark.parametrize(("user", "told"), [("", "wants a user name"), ("me:wrong", "does not accept its user name")])
async def test_socks_with_wrong_credentials(server: Scripted, user: str, told: str) -> None:
    with proxying("socks5", users={"me": PASSWORD}) as proxy:
        error = await failure_of(client(server, proxy=proxy.url(user)))
        assert proxy.connections == 1
    assert f"the proxy {proxy.url()} {told}" in str(error)
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.UNREACHABLE, Sent.NO, False)


async def test_socks_that_takes_no_users(server: Scripted) -> None:
    with proxying("socks5") as proxy:
        error = await failure_of(client(server, proxy=proxy.url(USER)))
    assert "takes no user name and password" in str(error)


async def test_socks_proxy_that_cannot_connect() -> None:
    with scripted(LINK) as gone:
        pass
    with proxying("socks5") as proxy:
        agb = client(gone, proxy=proxy.url())
        agb.client._random = lambda: 0.0
        error = await failure_of(agb)
    assert f"refused a connection to 127.0.0.1:{gone.port} (connection refused)" in str(error)
    assert error.retryable


@pytest.mark.parametrize("instead", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\x04\x5b", b"\x05"])
async def test_no_socks_there(server: Scripted, instead: bytes) -> None:
    with proxying("socks5", instead=instead) as proxy:
        agb = client(server, proxy=proxy.url())
        agb.client._random = lambda: 0.0
        error = await failure_of(agb)
    assert str(proxy.url()) in str(error)


async def test_socks_without_its_package(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setattr("agb._wire.proxy.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"for the proxy socks5://127.0.0.1:1080 install agb\[socks\]"):
        client(server, proxy=f"socks5://{USER}@127.0.0.1")
    monkeypatch.setenv("ALL_PROXY", f"socks5://{USER}@127.0.0.1")
    error = await failure_of(client(server))
    assert "install agb[socks]" in str(error)
    assert not error.retryable


# --- where from --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_environment(server: Scripted, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with proxying() as proxy:
        monkeypatch.setenv(name, proxy.url().removeprefix("http://"))
        await links(client(server))
        assert len(proxy.asked) == 3


async def test_environment_for_https(secure: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        await links(secure_client(secure))
        assert proxy.asked == [f"CONNECT localhost:{secure.port}"]


@pytest.mark.parametrize("named", ["127.0.0.1", "*", "example.com, 127.0.0.0/8", "127.0.0.1:{port}"])
async def test_hosts_that_need_no_proxy(server: Scripted, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", named.format(port=server.port))
    await links(client(server))


@pytest.mark.parametrize("blank", ["", "  "])
async def test_blank_variables_are_no_proxy(server: Scripted, monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.setenv(name, blank)
    await links(client(server))
    with proxying() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f" {proxy.url()} ")  # the blank one in lower case does not hide it
        await links(client(server), 1)
        assert len(proxy.asked) == 1
        monkeypatch.setenv("HTTP_PROXY", blank)
        monkeypatch.setenv("all_proxy", proxy.url())
        await links(client(server), 1)
        assert len(proxy.asked) == 2


@pytest.mark.parametrize(
    ("host", "patterns", "is_named"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.9.9.9/8", True),
        ("fd00::1", "fd00::/8", True),
        ("[fd00::1]", "[fd00::]/8,fd00::/8", True),
        ("fe80::1", "fd00::/8 10.0.0.0/8", False),
        ("::1", "[::1]", True),
        ("::1", "[::1]:443", True),
        ("::1", "[::1]:80", False),
        ("0:0::1", "::1", True),
        ("10.1.2.3", "10.1.2.3:443", True),
        ("10.1.2.3", "10.1.2.3:80", False),
        ("api.example.com", "example.com", True),
        ("api.example.com", ".example.com", True),
        ("example.com", ".Example.COM", True),
        ("API.example.com.", "*.example.com", True),
        ("badexample.com", "example.com", False),
        ("example.com", "example.com:443", True),
        ("example.com", "example.com:80", False),
        ("example.com", "other, *", True),
        ("10.1.2.3", "*", True),
        ("10.example.com", "10.0.0.0/8", False),
        ("example.com", ", ,.", False),
        ("example.com", "example.com/8 300.0.0.0/8 10.0.0.0/99", False),
    ],
)
def test_hosts_and_networks_without_a_proxy(host: str, patterns: str, is_named: bool) -> None:
    assert needs_none(host, 443, patterns) is is_named


def test_variables_of_proxies() -> None:
    found = settings_of(
        {"HTTP_PROXY": "http://upper", "http_proxy": "http://lower", "No_Proxy": "a", "https_proxy": " "}
    )
    assert found == {"http": "http://lower", "no": "a"}
    assert settings_of({"HTTP_PROXY": "http://sent-by-a-visitor", "REQUEST_METHOD": "GET"}) == {}


async def test_proxy_that_could_not_connect_in_time(secure: Scripted) -> None:
    with proxying(instead=b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n") as proxy:
        agb = secure_client(secure, proxy=proxy.url())
        agb.client._random = lambda: 0.0
        error = await failure_of(agb)
        async with httpx.AsyncClient(proxy=proxy.url()) as mine:
            own = AsyncAGB("ako-key", Config(f"https://localhost:{secure.port}", 5000), http_client=mine)
            own.client._random = lambda: 0.0
            async with own:
                other = (await own.attach("s-1").info()).error
    for found in (error, other):
        assert found is not None
        assert (found.kind, found.sent, found.retryable) == (ErrorKind.TIMED_OUT, Sent.NO, True)


async def test_explicit_goes_before_the_environment(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    with proxying() as proxy:
        await links(client(server, proxy=proxy.url()))
        assert len(proxy.asked) == 3


async def test_switched_off(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    await links(client(server, proxy=""))


async def test_environment_that_names_no_proxy(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"ftp://{USER}@proxy.invalid")
    error = await failure_of(client(server))
    assert "the proxy that the environment names 'ftp://****@proxy.invalid' begins with ftp://" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    "url",
    ["ftp://h", f"http://{USER}@", "http://h:x", "http://h:0", "http://h/path", "http://h?x=1", "http://a..b", "://"],
)
def test_what_is_no_proxy(server: Scripted, url: str) -> None:
    with pytest.raises(ValueError, match="the proxy ") as caught:
        client(server, proxy=url)
    assert PASSWORD not in str(caught.value)


def test_password_longer_than_socks_can_carry(server: Scripted) -> None:
    with pytest.raises(ValueError, match="longer than SOCKS5 can carry"):
        client(server, proxy=f"socks5://me:{'x' * 256}@host")


def test_type_of_a_proxy(server: Scripted) -> None:
    with pytest.raises(TypeError, match=r"proxy is a URL such as .*, not int"):
        client(server, proxy=3128)


# --- streams -----------------------------------------------------------------------------------------------------


def hello(talk: Talk) -> None:
    talk.stdout("hello\n")
    talk.end()


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_streams_go_through_proxies(scheme: str) -> None:
    with websocket_service(hello) as service, proxying(scheme) as proxy:
        async with AsyncAGB("ako-key", Config("http://127.0.0.1:9", 5000), proxy=proxy.url()) as agb:
            session = AsyncSession(agb, "s-1")
            session.ws_url, session.token = service.url, "tok-secret"
            for _ in range(2):
                result = await session.code.run("x", "python", stream_beta=True)
                assert result.logs.stdout == ["hello\n"]
            assert pool_of(agb).stats().open == 0  # a stream is not counted
        port = service.url.partition("127.0.0.1:")[2].partition("/")[0]
        assert proxy.asked == [f"{'CONNECT' if scheme == 'http' else 'SOCKS'} 127.0.0.1:{port}"]


async def refused_stream(proxy: Proxy) -> str:
    async with AsyncAGB("ako-key", Config("http://127.0.0.1:9", 5000), proxy=proxy.url(USER)) as agb:
        session = AsyncSession(agb, "s-1")
        session.ws_url, session.token = "ws://127.0.0.1:9/ws", "tok-secret"
        result = await session.code.run("x", "python", stream_beta=True)
    assert result.error is not None
    assert PASSWORD not in result.error_message
    return f"{result.error.retryable} {result.error_message}"


async def test_stream_that_a_proxy_refuses() -> None:
    with proxying(instead=b"HTTP/1.1 403 No\r\n\r\n") as proxy:
        told = await refused_stream(proxy)
    assert told.startswith("False Could not open a stream to session s-1: no connection to ws://127.0.0.1:9: the proxy")
    assert "refused a tunnel to 127.0.0.1:9 (403 No)" in told
