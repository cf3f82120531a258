"""Links: real programs inside sessions, reached by HTTP and WebSocket from outside."""

from __future__ import annotations

import asyncio
import shlex
import socket
import threading
from asyncio import Queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from attrs import evolve, frozen
from starlette.types import Message
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close, CloseCode
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from agb.local.api.app import build_app
from agb.local.api.links import is_link
from agb.local.api.proxy import Target, below_link, cookie_below_link, end_to_end, response_headers
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .conftest import Api
from .runtimes import IMAGE, Clock, application, needs_bubblewrap, output

FILES = "import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port=30100, bind='127.0.0.1')"

ECHO = """
import asyncio, json, h11

async def answer(reader, writer):
    conn = h11.Connection(h11.SERVER)

    async def event():
        while (found := conn.next_event()) is h11.NEED_DATA:
            conn.receive_data(await reader.read(65536))
        return found

    async def send(*events):
        writer.write(b"".join(conn.send(event) for event in events))
        await writer.drain()

    async def reply(body, *headers, status=200):
        body = body.encode()
        length = ("Content-Length", str(len(body)))
        head = h11.Response(status_code=status, headers=[length, *headers])
        await send(head, h11.Data(data=b"" if request.method == b"HEAD" else body), h11.EndOfMessage())

    request = await event()
    path = request.target.decode()
    if path == "/seen":
        seen = [[name.decode(), value.decode("latin-1")] for name, value in request.headers]
        await reply(json.dumps({"method": request.method.decode(), "headers": seen}))
    elif path == "/twice":  # answers while it still reads
        await send(h11.Response(status_code=200, headers=[("Transfer-Encoding", "chunked")]))
        while isinstance(found := await event(), h11.Data):
            await send(found)
        await send(h11.EndOfMessage())
    elif path == "/count":
        size = 0
        while isinstance(found := await event(), h11.Data):
            size += len(found.data)
        await reply(str(size))
    elif path == "/early":  # does not want to hear the body
        await reply("too much", status=413)
    elif path == "/endless":
        await send(h11.Response(status_code=200, headers=[("Transfer-Encoding", "chunked")]))
        try:
            while True:
                await send(h11.Data(data=b"x" * 65536))
        except OSError:
            open("caller-left", "w").close()
    elif path == "/cut":
        await send(h11.Response(status_code=200, headers=[("Content-Length", "100")]), h11.Data(data=b"half"))
    elif path == "/junk":
        writer.write(b"this is not HTTP\\r\\n\\r\\n")
        await writer.drain()
    elif path == "/silent":
        pass
    elif path == "/moved":
        cookies = [("Set-Cookie", "a=1; Path=/; HttpOnly"), ("Set-Cookie", "b=2")]
        await reply("", ("Location", "/to?x=1"), *cookies, status=302)
    else:
        await reply(path)
    writer.close()

async def main():
    async with await asyncio.start_server(answer, "127.0.0.1", 30100) as server:
        await server.serve_forever()

asyncio.run(main())
"""

SOCKETS = """
import asyncio
from http import HTTPStatus
from websockets.asyncio.server import serve

async def talk(connection):
    try:
        await connection.send(connection.request.path)
        async for message in connection:
            if message == "end":
                await connection.close(4321, "as asked")
            elif message == "drop":
                connection.transport.abort()
            else:
                await connection.send(message)
    finally:
        open("closed", "w").write(f"{connection.protocol.close_code} {connection.protocol.close_reason}")

def check(connection, request):
    if request.path == "/private":
        return connection.respond(HTTPStatus.FORBIDDEN, "members only")

def choose(connection, offered):
    return "chat" if "chat" in offered else None

async def main():
    async with serve(talk, "127.0.0.1", 30101, select_subprotocol=choose, process_request=check, max_size=None):
        await asyncio.Future()

asyncio.run(main())
"""


@frozen
class Inside:
    """A session with the programs above in it, and the links to them."""

    session: str
    http: str
    sockets: str


@pytest.fixture(scope="module")
def inside(api: Api) -> Iterator[Inside]:
    session = api.create()["sessionId"]
    api.start(session, ECHO)
    api.start(session, SOCKETS, port=30101)
    yield Inside(session, api.link_by_path(session, protocol="https"), api.link_by_path(session, 30101, protocol="wss"))
    api.release(session)


# --- HTTP --------------------------------------------------------------------------------------------------------


@needs_bubblewrap
def test_two_sessions_serve_their_own_files_on_the_same_port(api: Api) -> None:
    links = {}
    for name in ("one", "two"):
        session = api.create()["sessionId"]
        api.shell(session, f"echo 'page of {name}' > index.html")
        api.start(session, FILES)
        links[name] = (session, api.link(session))
    for name, (_, link) in links.items():
        assert httpx.get(link).text == f"page of {name}\n"
    for session, link in links.values():
        api.release(session)
        assert httpx.get(link).status_code == 404


def test_link_has_the_servers_own_scheme(api: Api, inside: Inside) -> None:
    address = api.server.endpoint.partition("://")[2]
    assert inside.http.startswith(f"http://{address}/link/{inside.session}/30100/")
    assert inside.sockets.startswith(f"ws://{address}/link/{inside.session}/30101/")
    assert api.get("/mcp/getLink", sessionId=inside.session)["url"] == api.link(inside.session)  # the default port


def test_link_in_the_form_of_this_machine(api: Api, inside: Inside) -> None:
    """It is reached without further ado: where it has a host name, the resolver of this machine knows it."""
    link = api.link(inside.session)
    assert (".localhost:" in link) == (api.server.report.links == "name")
    assert httpx.get(f"{link}x?y=1").text == "/x?y=1"
    with connect(f"{api.link(inside.session, 30101, 'wss')}ws?x") as outside:
        assert outside.recv(timeout=120) == "/ws?x"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_every_method_goes_through(inside: Inside, method: str) -> None:
    assert httpx.request(method, f"{inside.http}seen").json()["method"] == method


def test_head_has_no_body(inside: Inside) -> None:
    answer = httpx.head(f"{inside.http}seen")
    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0


def test_path_and_query_arrive_as_they_were_sent(inside: Inside) -> None:
    for path in ("a%2Fb/c?x=1%202&x=%C3%BC", "", "?q", "a//b/./c;d=e"):
        with socket.create_connection((urlsplit(inside.http).hostname, urlsplit(inside.http).port)) as raw:
            target = urlsplit(inside.http).path + path
            raw.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
        assert answer.rpartition(b"\r\n\r\n")[2].decode() == f"/{path}"


def test_headers_seen_inside(api: Api, inside: Inside) -> None:
    sent = {"x-mine": "1", "connection": "x-dropped", "x-dropped": "2", "cookie": "c=1"}
    claimed = {
        "x-forwarded-for": "10.0.0.9",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "x-forwarded-prefix": "/evil",
        "x-forwarded-port": "1",
        "x-forwarded-client-cert": "evil",
        "forwarded": "for=10.0.0.9;host=evil.example",
    }
    seen = dict(httpx.get(f"{inside.http}seen", headers=sent | claimed).json()["headers"])
    address = api.server.endpoint.partition("://")[2]
    assert seen["host"] == seen["x-forwarded-host"] == address
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["forwarded"] == f'for=127.0.0.1;host="{address}";proto=http'
    assert seen["x-forwarded-prefix"] == urlsplit(inside.http).path.rstrip("/")
    assert (seen["x-mine"], seen["cookie"]) == ("1", "c=1")
    assert not {"connection", "x-dropped", "x-forwarded-port", "x-forwarded-client-cert"} & set(seen)


def test_addresses_and_cookies_stay_below_the_link(inside: Inside) -> None:
    answer = httpx.get(f"{inside.http}moved")
    prefix = urlsplit(inside.http).path.rstrip("/")
    assert answer.headers["location"] == f"{prefix}/to?x=1"
    assert answer.headers.get_list("set-cookie") == [f"a=1; Path={prefix}/; HttpOnly", "b=2"]
    assert httpx.get(f"{inside.http}moved", follow_redirects=True).text == "/to?x=1"


def test_link_without_its_slash_is_completed(inside: Inside) -> None:
    answer = httpx.get(inside.http.rstrip("/") + "?x=1")
    assert answer.status_code == 307
    assert answer.headers["location"] == urlsplit(inside.http).path + "?x=1"


def test_large_bodies_are_streamed_both_ways(inside: Inside) -> None:
    chunk = b"y" * 2**20
    assert httpx.post(f"{inside.http}count", content=(chunk for _ in range(48)), timeout=120).text == str(48 * 2**20)
    assert httpx.post(f"{inside.http}count", content=chunk, timeout=120).text == str(2**20)


def test_answer_may_come_while_the_request_is_still_sent(inside: Inside) -> None:
    """Both sides are held back by each other: neither the whole request nor the whole answer is kept anywhere."""
    link, size = urlsplit(inside.http), 24 * 2**20
    with socket.create_connection((link.hostname, link.port), timeout=120) as raw:
        head = (
            f"POST {link.path}twice HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
        )
        raw.sendall(head.encode())
        sender = threading.Thread(target=raw.sendall, args=(b"z" * size,))
        sender.start()
        received = 0
        while some := raw.recv(2**18):
            received += some.count(b"z")
        sender.join()
    assert received == size


def test_early_answer_is_passed_on(inside: Inside) -> None:
    answer = httpx.post(f"{inside.http}early", content=b"x" * 1000)
    assert (answer.status_code, answer.text) == (413, "too much")


def test_caller_who_leaves_is_noticed_inside(api: Api, inside: Inside) -> None:
    with httpx.stream("GET", f"{inside.http}endless", timeout=120) as answer:
        next(answer.iter_raw())
    api.shell(inside.session, "until [ -e caller-left ]; do read -t 0.01 <> <(:) || true; done")


def test_cut_answer_is_seen_as_cut(inside: Inside) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{inside.http}cut")


@pytest.mark.parametrize("path", ["junk", "silent"])
def test_program_that_speaks_no_http(inside: Inside, path: str) -> None:
    answer = httpx.get(f"{inside.http}{path}")
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/plain")
    assert "port 30100" in answer.text


def test_nothing_listening(api: Api, inside: Inside) -> None:
    answer = httpx.get(api.link(inside.session, 30199))
    assert answer.status_code == 502
    assert "Nothing answers on port 30199" in answer.text


def test_wrong_token_is_not_found(api: Api, inside: Inside) -> None:
    good = urlsplit(inside.http).path.strip("/").split("/")
    for part, wrong in ((1, "s-0"), (2, "30101"), (2, "99"), (3, "x"), (3, "%ff"), (3, "%F0%9F%98%80")):
        parts = [wrong if number == part else text for number, text in enumerate(good)]
        answer = httpx.get(f"{api.server.endpoint}/{'/'.join(parts)}/")
        assert answer.status_code == 404, parts
        assert "no such link" in answer.text


def test_page_with_absolute_addresses_finds_its_parts(api: Api, inside: Inside) -> None:
    style = f"{api.server.endpoint}/static/style.css?v=%2F1"
    answer = httpx.get(style, headers={"referer": f"{inside.http}pages/first"}, follow_redirects=True)
    assert answer.text == "/static/style.css?v=%2F1"
    for elsewhere in ("http://example.com" + urlsplit(inside.http).path, inside.http + "x/../..", "http://[", "/", ""):
        found = httpx.get(style, headers={"referer": elsewhere.replace(inside.http + "x", api.server.endpoint)})
        assert found.status_code == 404, elsewhere
    own = httpx.get(f"{api.server.endpoint}/sdk/ListSession", headers={"referer": inside.http})
    assert own.status_code == 401  # the API comes first


# --- a host name of its own --------------------------------------------------------------------------------------


@frozen
class Named:
    """A link by its host name, as a browser uses it: names below localhost are loopback."""

    name: str
    address: str
    http: httpx.Client

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(f"{self.address}{path}", headers={"host": self.name, **headers})

    def websocket(self, path: str) -> ClientConnection:
        at = urlsplit(self.address)
        sock = socket.create_connection((at.hostname, at.port))
        return connect(f"ws://{self.name}{path}", sock=sock)


@pytest.fixture
def named(api: Api, inside: Inside) -> Iterator[Callable[[str], Named]]:
    """Return a link that was made by path, by its name."""
    with httpx.Client() as http:

        def of(link: str) -> Named:
            parts = urlsplit(link)
            _, session, port, token = parts.path.strip("/").split("/")
            return Named(f"{port}-{session}-{token}.localhost:{parts.port}", api.server.endpoint, http)

        yield of


NAVIGATION = {
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "user-agent": "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
}
SAFARI = "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15"


def test_browser_is_led_to_the_host_name(inside: Inside, named: Callable[[str], Named]) -> None:
    link = named(inside.http)
    for path, below in (("seen?x=%2F", "/seen?x=%2F"), ("", "/")):
        for destination in ("document", "iframe", "frame", "embed", "object"):
            answer = httpx.get(f"{inside.http}{path}", headers={**NAVIGATION, "sec-fetch-dest": destination})
            assert answer.status_code == 307
            assert answer.headers["location"] == f"http://{link.name}{below}"
            assert answer.headers["cache-control"] == "no-store"
    assert httpx.get(inside.http.rstrip("/") + "?x", headers=NAVIGATION).headers["location"] == f"http://{link.name}/?x"
    at_localhost = {**NAVIGATION, "host": f"localhost:{urlsplit(inside.http).port}"}
    assert httpx.get(inside.http, headers=at_localhost).headers["location"] == f"http://{link.name}/"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**NAVIGATION, "sec-fetch-mode": "cors"},
        {**NAVIGATION, "sec-fetch-dest": "empty"},
        {**NAVIGATION, "user-agent": SAFARI},  # does not resolve such names
        {**NAVIGATION, "host": "127.0.0.2"},  # names below localhost lead to 127.0.0.1
    ],
)
def test_other_callers_are_served_by_path(inside: Inside, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{inside.http}seen", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["method"] == "GET"
    assert httpx.post(f"{inside.http}seen", headers=NAVIGATION).json()["method"] == "POST"


def test_headers_seen_behind_the_host_name(inside: Inside, named: Callable[[str], Named]) -> None:
    """The program sees a local name, finds its own Origin in no header, and learns the real host from the others."""
    link = named(inside.http)
    own, port = f"http://{link.name}", urlsplit(inside.http).port
    answer = link.get("/seen", origin=own, referer=f"{own}/page?x", **{"x-forwarded-host": "evil.example"})
    seen = dict(answer.json()["headers"])
    assert seen["host"] == f"localhost:{port}"
    assert seen["referer"] == f"http://localhost:{port}/page?x"
    assert "origin" not in seen
    assert "x-forwarded-prefix" not in seen
    assert seen["x-forwarded-host"] == link.name
    assert seen["forwarded"] == f'for=127.0.0.1;host="{link.name}";proto=http'
    foreign = dict(link.get("/seen", origin="http://evil.example", referer="http://evil.example/x").json()["headers"])
    assert (foreign["origin"], foreign["referer"]) == ("http://evil.example", "http://evil.example/x")


def test_answers_behind_the_host_name(inside: Inside, named: Callable[[str], Named]) -> None:
    link = named(inside.http)
    answer = link.get("/moved")
    assert answer.headers["location"] == "/to?x=1"
    assert answer.headers.get_list("set-cookie") == ["a=1; Path=/; HttpOnly", "b=2"]
    for path in ("/sdk/ListSession", "/link/x", "/a%2Fb?x"):  # the API has another host
        assert link.get(path).text == path
    with named(inside.sockets).websocket("/ws?x") as outside:
        assert outside.recv(timeout=120) == "/ws?x"
        outside.send("hello")
        assert outside.recv(timeout=120) == "hello"


def test_host_name_needs_its_token(inside: Inside, named: Callable[[str], Named]) -> None:
    link = named(inside.http)
    for name in (
        link.name.replace(inside.session, "s-00000000000000000000"),
        link.name.replace("30100-", "30101-"),
        link.name.replace("30100-", "99999-"),
        link.name.replace(link.name.split(".")[0][-32:], "0" * 32),
    ):
        answer = link.get("/seen", host=name)
        assert answer.status_code == 404, name
        assert "no such link" in answer.text
    assert link.get("/seen", host=link.name.upper()).status_code == 200


def test_absolute_url_of_the_seen_host_leads_back(api: Api, inside: Inside, named: Callable[[str], Named]) -> None:
    """A program that makes a URL of its Host: the browser asks this server, and sends the origin of the page."""
    link = named(inside.http)
    own = httpx.get(f"{api.server.endpoint}/static/a.css?v=1", headers={"referer": f"http://{link.name}/"})
    assert own.status_code == 307
    assert own.headers["location"] == f"http://{link.name}/static/a.css?v=1"
    wrong = link.name.replace("30100-", "30101-")
    assert httpx.get(f"{api.server.endpoint}/a.css", headers={"referer": f"http://{wrong}/"}).status_code == 404


# --- WebSocket ---------------------------------------------------------------------------------------------------


def test_messages_go_both_ways(inside: Inside) -> None:
    with connect(f"{inside.sockets}room?x=1", max_size=None) as outside:
        assert outside.recv(timeout=120) == "/room?x=1"
        for message in ("grüße", b"\x00\xff", "", b"", "x" * 3_000_000):
            outside.send(message)
            assert outside.recv(timeout=120) == message


def test_subprotocol_is_the_programs_choice(inside: Inside) -> None:
    with connect(inside.sockets, subprotocols=[Subprotocol("other"), Subprotocol("chat")]) as outside:
        assert outside.subprotocol == "chat"
    with connect(inside.sockets) as outside:
        assert outside.subprotocol is None


def test_programs_close_code_comes_out(inside: Inside) -> None:
    with connect(inside.sockets) as outside:
        outside.recv(timeout=120)
        outside.send("end")
        with pytest.raises(ConnectionClosed) as closed:
            outside.recv(timeout=120)
        assert closed.value.rcvd == Close(4321, "as asked")


def test_callers_close_code_goes_in(api: Api, inside: Inside) -> None:
    api.shell(inside.session, "rm -f closed")
    with connect(inside.sockets) as outside:
        outside.close(4001, "bye")
    wait = "until [ -s closed ]; do read -t 0.01 <> <(:) || true; done; cat closed"
    assert api.shell(inside.session, wait) == "4001 bye"


def test_dropped_connection_inside_is_reported(inside: Inside) -> None:
    with connect(inside.sockets) as outside:
        outside.recv(timeout=120)
        outside.send("drop")
        with pytest.raises(ConnectionClosed) as closed:
            outside.recv(timeout=120)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CloseCode.BAD_GATEWAY


def test_refused_handshake_is_passed_on(api: Api, inside: Inside) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{inside.sockets}private"):
        pass
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b"members only"


def test_no_websocket_there(api: Api, inside: Inside) -> None:
    for port, status in ((30100, 200), (30199, 502)):  # a program that answers as if it were HTTP; none at all
        with pytest.raises(InvalidStatus) as refused, connect(api.link(inside.session, port, "ws")):
            pass
        assert refused.value.response.status_code == status
    with pytest.raises(InvalidStatus) as refused, connect(inside.sockets.replace("/30101/", "/30102/")):
        pass
    assert refused.value.response.status_code == 404


def test_end_of_the_session_ends_its_websockets(api: Api) -> None:
    session = api.create()["sessionId"]
    api.start(session, SOCKETS.replace("30101", "30102"), port=30102)
    with connect(api.link(session, 30102, "ws")) as outside:
        outside.recv(timeout=120)
        api.release(session)
        with pytest.raises(ConnectionClosed) as closed:
            outside.recv(timeout=120)
    assert closed.value.rcvd == Close(CloseCode.GOING_AWAY, "the session has ended")


def test_end_of_the_session_is_the_reason_of_a_failed_request(api: Api) -> None:
    session = api.create()["sessionId"]
    api.start(session, HOLD)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(httpx.get, api.link(session), timeout=120)
        api.shell(session, HELD)
        api.release(session)
        answer = waiting.result()
    assert answer.status_code == 502
    assert f"Session {session} has ended" in answer.text


# --- activity ----------------------------------------------------------------------------------------------------

HOLD = """
import http.server, pathlib, time
class Held(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        pathlib.Path("held").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"done")
http.server.ThreadingHTTPServer(("127.0.0.1", 30100), Held).serve_forever()
"""
HELD = "until [ -e held ]; do read -t 0.01 <> <(:) || true; done"


async def started(runtime: Runtime, session: LocalSession, program: str, port: int) -> None:
    """Start a Python program inside a session and return when something listens on the port."""
    await output(
        runtime,
        session,
        f"nohup python3 -c {shlex.quote(program)} > log 2>&1 &\n"
        f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do kill -0 $! || {{ cat log; exit 1; }}; done",
    )


@pytest.mark.asyncio
async def test_request_under_way_is_activity() -> None:
    clock = Clock()
    async with application(clock) as (runtime, caller):
        session = await runtime.create(IMAGE, idle_timeout=60)
        await started(runtime, session, HOLD, 30100)
        link = (await caller.get("/internet/getLink", params={"sessionId": session.id})).json()["data"]["url"]
        async with anyio.create_task_group() as group:

            async def request() -> None:
                assert (await caller.get(link)).text == "done"

            group.start_soon(request)
            await output(runtime, session, HELD)
            clock.now += 600
            runtime.sweep()
            assert runtime.status(session.id) == "RUNNING"
            await output(runtime, session, "touch go")
        assert session.idle_for == 0  # counted from its end
        clock.now += 61
        runtime.sweep()
        assert runtime.status(session.id) == "DELETING"  # the program alone is not activity


@pytest.mark.asyncio
async def test_open_websocket_is_activity() -> None:
    clock = Clock()
    async with application(clock) as (runtime, caller):
        session = await runtime.create(IMAGE, idle_timeout=60)
        await started(runtime, session, SOCKETS, 30101)
        query = {"sessionId": session.id, "port": "30101"}
        path = urlsplit((await caller.get("/internet/getLink", params=query)).json()["data"]["url"]).path
        to_app, from_app = Queue[Message](), Queue[Message]()
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "subprotocols": [],
            "extensions": {},
        }
        to_app.put_nowait({"type": "websocket.connect"})
        app = build_app(runtime, "key")
        open_socket = asyncio.create_task(app(scope, to_app.get, from_app.put))
        assert (await from_app.get())["type"] == "websocket.accept"
        clock.now += 600
        runtime.sweep()
        assert runtime.status(session.id) == "RUNNING"
        to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await open_socket
        assert session.idle_for == 0
        clock.now += 61
        runtime.sweep()
        assert runtime.status(session.id) == "DELETING"


# --- what a proxy changes ----------------------------------------------------------------------------------------

PREFIX = "/link/s-1/30100/t"
NAME = f"30100-s-1-{'0' * 32}.localhost:8080"


def target(base: str, prefix: str) -> Target:
    return Target(cast("LocalSession", None), 30100, base, prefix, b"/")


@pytest.mark.parametrize(
    ("address", "moved"),
    [
        ("/", f"{PREFIX}/"),
        ("/a?b=/c#d", f"{PREFIX}/a?b=/c#d"),
        ("http://localhost:30100/a", f"{PREFIX}/a"),
        ("http://127.0.0.1:30100", f"{PREFIX}/"),
        ("https://runtime:8080/a", f"{PREFIX}/a"),
        ("//runtime:8080/a", f"{PREFIX}/a"),
        ("a/b", "a/b"),
        ("?next", "?next"),
        ("http://localhost:30101/a", "http://localhost:30101/a"),
        ("https://example.com/", "https://example.com/"),
        ("//example.com/a", "//example.com/a"),
        ("mailto:someone@example.com", "mailto:someone@example.com"),
        (f"{PREFIX}/a", f"{PREFIX}/a"),
        ("http://[", "http://["),
    ],
)
def test_addresses_of_the_program_lead_through_the_link(address: str, moved: str) -> None:
    assert below_link(address, target("http://runtime:8080", PREFIX)) == moved


@pytest.mark.parametrize(
    ("address", "moved"),
    [
        ("/a?b", "/a?b"),
        ("?b", "?b"),
        (f"http://{NAME}/a", "/a"),
        ("http://localhost:8080/a", "/a"),  # made of the Host that the program sees
        ("http://localhost:30100", "/"),
        ("http://localhost:30101/a", "http://localhost:30101/a"),
        ("https://example.com/", "https://example.com/"),
    ],
)
def test_addresses_behind_a_host_name(address: str, moved: str) -> None:
    assert below_link(address, target(f"http://{NAME}", "")) == moved


@pytest.mark.parametrize(
    ("cookie", "moved"),
    [
        ("a=1", "a=1"),
        ("a=1; Path=/", f"a=1; Path={PREFIX}/"),
        ("a=1; path=/x; HttpOnly", f"a=1; Path={PREFIX}/x; HttpOnly"),
        ("a=1;Path=/;Domain=localhost;Secure", f"a=1; Path={PREFIX}/;Secure"),
        (f"a=1; Path={PREFIX}/x", f"a=1; Path={PREFIX}/x"),
        ("a=path=/; SameSite=Lax", "a=path=/; SameSite=Lax"),
        ("", ""),
    ],
)
def test_cookies_hold_for_the_link_only(cookie: str, moved: str) -> None:
    assert cookie_below_link(cookie, PREFIX) == moved


def test_cookies_behind_a_host_name_keep_their_path() -> None:
    for cookie in ("__Host-a=1; Path=/; Secure", "a=1; path=/x; HttpOnly"):
        assert cookie_below_link(cookie, "") == cookie
    assert cookie_below_link("a=1; Path=/; Domain=localhost", "") == "a=1; Path=/"


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        (NAME, True),
        (NAME.upper(), True),
        (NAME.removesuffix(":8080"), True),
        (NAME.replace("localhost", "localhost."), True),
        (NAME.replace("localhost", "example.com"), False),
        (f"x.{NAME}", False),
        (f"{NAME}.example.com", False),
        ("localhost:8080", False),
        ("127.0.0.1:8080", False),
        ("", False),
    ],
)
def test_host_names_of_links(host: str, is_one: bool) -> None:
    assert is_link(host) == is_one


@pytest.mark.asyncio
async def test_headers_that_hold_for_all_links_by_path_are_not_passed_on() -> None:
    """One program could watch, or disturb, the pages of all other sessions."""
    names = ["Service-Worker-Allowed", "Clear-Site-Data", "NEL", "Report-To", "Strict-Transport-Security", "Alt-Svc"]
    headers = [(name.lower().encode(), b"x") for name in [*names, "Content-Security-Policy"]]
    async with application() as (runtime, _):
        session = await runtime.create(IMAGE)
        by_path = Target(session, 30100, "https://sandboxes.example.com", "/link/s/30100/t", b"/")
        assert response_headers(headers, by_path) == [(b"content-security-policy", b"x")]
        assert response_headers(headers, evolve(by_path, prefix="")) == headers


def test_headers_of_one_connection_are_not_passed_on() -> None:
    headers = [
        (b"connection", b"close, X-One"),
        (b"x-one", b"1"),
        (b"te", b"trailers"),
        (b"upgrade", b"h2c"),
        (b"x-two", b"2"),
    ]
    assert end_to_end(headers) == [(b"x-two", b"2")]
