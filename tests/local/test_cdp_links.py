"""The links at which DevTools clients drive the browser of a session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from .browser import Browser, needs_chromium
from .browsers import cdp_link, initialize, new_session, no_cdp_link, status_of, tab, websocket
from .conftest import Api

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def driven(api: Api) -> Iterator[str]:
    """The id of a session whose browser runs."""
    session_id = new_session(api)
    assert initialize(api, session_id)["success"]
    yield session_id
    api.release(session_id)


@pytest.fixture(scope="module")
def link(api: Api, driven: str) -> str:
    return cdp_link(api, driven)


def by_path(link: str) -> str:
    """Return the URL of the DevTools' HTTP addresses below a link by path."""
    return f"http{link.partition('/devtools/')[0].removeprefix('ws')}"


def by_name(link: str) -> tuple[str, dict[str, str]]:
    """Return the URL of a server, and the headers by which a request to it is one to the link's host name."""
    url = httpx.URL(link)
    _, _, session_id, _, token = url.path.split("/")[:5]
    return f"http://{url.netloc.decode()}", {"host": f"cdp-{session_id}-{token}.localhost:{url.port}"}


# --- clients -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["path", "name"])
def test_http_addresses_lead_through_the_link(link: str, form: str) -> None:
    url, headers = by_name(link) if form == "name" else (by_path(link), {})
    own = f"ws://{headers.get('host', '')}" if form == "name" else f"ws{url.removeprefix('http')}"
    with httpx.Client(headers=headers, timeout=60) as http:
        for version in ("/json/version", "/json/version/"):
            answer = http.get(url + version).json()
            assert answer["webSocketDebuggerUrl"] == f"{own}/devtools/browser/{link.rpartition('/')[2]}"
            assert answer["Browser"].startswith("Chrome/")
        made = http.put(f"{url}/json/new?data:text/html,<title>New</title>").json()
        assert made["webSocketDebuggerUrl"] == f"{own}/devtools/page/{made['id']}"
        assert made["devtoolsFrontendUrl"].endswith(f"?ws={own.removeprefix('ws://')}/devtools/page/{made['id']}")
        assert made["id"] in [target["id"] for target in http.get(f"{url}/json/list").json()]
        assert http.get(f"{url}/json/activate/{made['id']}").status_code == 200
        assert http.get(f"{url}/json").json()[0]["id"] == made["id"]  # the one that was active last is the first
        with websocket(made["webSocketDebuggerUrl"]) as connection:
            connection.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": {"expression": "6 * 7"}}))
            assert json.loads(connection.recv(60))["result"]["result"]["value"] == 42
        assert http.get(f"{url}/json/close/{made['id']}").status_code == 200
        assert {domain["domain"] for domain in http.get(f"{url}/json/protocol").json()["domains"]} > {"Page", "Runtime"}
        for other in ("/", "/json/other", "/devtools/inspector.html"):
            assert http.get(url + other).status_code == 404


def test_playwright_connects_to_both_urls(api: Api, driven: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    urls = api.post("/internet/getCdpLink", {"sessionId": driven})
    with sync_api.sync_playwright() as playwright:
        for number, url in enumerate((urls["url"], by_path(urls["url"]))):
            browser = playwright.chromium.connect_over_cdp(url)
            [context] = browser.contexts
            page = context.new_page()
            page.goto("data:text/html,<h1>Hello</h1>")
            assert page.inner_text("h1") == "Hello"
            assert page.screenshot().startswith(b"\x89PNG")
            link = f"{{href: 'data:application/zip,hello', download: '{number}.zip'}}"
            with page.expect_download() as download:
                page.evaluate(f"Object.assign(document.createElement('a'), {link}).click()")
            assert download.value.failure() is None
            assert api.shell(driven, f"cat ~/Downloads/{number}.zip") == "hello"
            page.close()
            browser.close()
    assert initialize(api, driven)["success"]
    assert cdp_link(api, driven) == urls["url"]  # a client that disconnects does not end the browser


def test_large_messages(link: str) -> None:
    with tab(link) as page:
        assert len(page.run("'x'.repeat(20_000_000)")) == 20_000_000
        assert page.run(f"{json.dumps('x' * 5_000_000)}.length") == 5_000_000


def test_many_connections_at_once(link: str) -> None:
    def work(number: int) -> Any:
        with tab(link) as page:
            page.open(f"data:text/html,<title>{number}</title>")
            return page.run("Number(document.title)")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == list(range(4))


# --- who is refused ----------------------------------------------------------------------------------------------


def test_wrong_token(api: Api, link: str) -> None:
    token = link.split("/")[6]
    other = ("0" if token[0] != "0" else "1") + token[1:]
    assert status_of(link.replace(token, other)) == 404
    assert status_of(link.replace(token, "ü")) == 404
    assert status_of(link.replace("/devtools/browser/", "/devtools/other/")) == 404
    assert httpx.get(f"{by_path(link)}/json/version".replace(token, other)).status_code == 404
    url, headers = by_name(link)
    wrong = headers["host"].replace(token, other)
    assert httpx.get(f"{url}/json/version", headers={"host": wrong}).status_code == 404
    assert status_of(f"ws://{wrong}/devtools/browser/x") == 404


@pytest.mark.parametrize("origin", ["https://example.com", "null", "{server}"])
def test_web_page_of_the_user(api: Api, link: str, origin: str) -> None:
    """A page that has the URL of a link, from a log for instance, must not drive the browser."""
    headers = {"origin": origin.replace("{server}", api.server.endpoint)}
    assert status_of(link, additional_headers=headers) == 403
    assert httpx.put(f"{by_path(link)}/json/new", headers=headers).status_code == 403
    # A browser names no origin for an image, but that it is of another site.
    image = httpx.get(f"{by_path(link)}/json/version", headers={"sec-fetch-site": "cross-site"})
    assert image.status_code == 403


def test_window_of_the_devtools_may_connect(link: str) -> None:
    with websocket(link, origin="devtools://devtools") as connection:
        assert Browser(connection).run("1 + 1") == 2


def test_page_inside_cannot_drive_its_browser(api: Api, driven: str, link: str) -> None:
    port = initialize(api, driven)["data"]["port"]
    path = "/devtools/browser/" + link.rpartition("/")[2]
    server = "HTTPServer(('127.0.0.1', 30111), SimpleHTTPRequestHandler).serve_forever()"
    api.start(driven, f"from http.server import *; {server}", 30111)
    script = f"""(async () => {{
        const failed = async work => {{ try {{ return await work() }} catch (error) {{ return "refused" }} }};
        const base = "http://127.0.0.1:{port}";
        return [
            await failed(async () => (await fetch(base + "/json/version")).text()),
            await failed(async () => (await fetch(base + "/json/new", {{method: "PUT", mode: "cors"}})).text()),
            await failed(() => new Promise((resolve, reject) => {{
                const socket = new WebSocket("ws://127.0.0.1:{port}{path}");
                socket.onopen = () => resolve("open");
                socket.onerror = reject;
            }})),
        ];
    }})()"""
    with tab(link) as page:
        page.open("http://127.0.0.1:30111/")
        assert page.run(script) == ["refused", "refused", "refused"]


def test_link_ends_with_its_browser(api: Api) -> None:
    session_id = new_session(api)
    initialize(api, session_id)
    link = cdp_link(api, session_id)
    with websocket(link) as connection:
        api.tool(session_id, "stopChrome")
        with pytest.raises(ConnectionClosed):
            connection.recv(60)
    assert status_of(link) == 404
    assert "initialize it first" in no_cdp_link(api, session_id)

    assert initialize(api, session_id)["success"]
    second = cdp_link(api, session_id)
    assert second.split("/")[6] != link.split("/")[6]
    assert status_of(link) == 404
    with websocket(second) as connection:
        page = Browser(connection)
        assert page.run("1 + 1") == 2
        api.release(session_id)
        for _ in connection:  # until it is closed
            pass
    assert status_of(second) == 404
    gone = api.ask("POST", "/internet/getCdpLink", {"sessionId": session_id}, json={})
    assert gone["code"] == "InvalidMcpSession.NotFound"


def test_image_without_a_browser(api: Api, session: str) -> None:
    for refused in initialize(api, session), api.ask("POST", "/internet/getCdpLink", {"sessionId": session}, json={}):
        assert refused["code"] == "InvalidRequest"
        assert "has no browser" in refused["message"]
        assert "agb-browser-use-1" in refused["message"]
    assert "not offered" in api.tool(session, "stopChrome")["content"][0]["text"]
