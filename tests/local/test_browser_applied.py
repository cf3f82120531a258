"""The options of a browser, as pages and servers see them: a real Chromium, few starts."""

from __future__ import annotations

import base64
import json
import random
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import agb.local
from agb import AGB, BrowserContext, Config, CreateSessionParams, ExtensionsService
from agb.local.browser.generator import Criteria, generate
from tests.proxies import proxying

from .browser import Browser, needs_chromium
from .browsers import BROWSER_IMAGE, cdp_link, initialize, new_session, websocket
from .conftest import Api

pytestmark = needs_chromium

FINGERPRINT = "/tmp/agb_browser_fingerprint/fingerprint.json"
RETITLE = {
    "manifest.json": json.dumps(
        {
            "manifest_version": 3,
            "name": "Retitle",
            "version": "1.0",
            "content_scripts": [{"matches": ["<all_urls>"], "js": ["retitle.js"], "run_at": "document_end"}],
        }
    ),
    "retitle.js": "document.title = 'retitled'",
}
PAGE = """<title>plain</title><script>
  var early = [navigator.deviceMemory, navigator.platform];
  if (parent !== window) parent.postMessage(early, "*");
</script>"""
WORKER = """
const seen = () => {
  const gl = new OffscreenCanvas(1, 1).getContext("webgl");
  gl && gl.getExtension("WEBGL_debug_renderer_info");
  return [navigator.userAgent, navigator.platform, navigator.hardwareConcurrency, navigator.deviceMemory,
          gl && gl.getParameter(37446)];
};
onmessage = event => (event.source || self).postMessage(seen());
onconnect = event => event.ports[0].postMessage(seen());
"""
SEEN = """({
  agent: navigator.userAgent, platform: navigator.platform, languages: navigator.languages, vendor: navigator.vendor,
  webdriver: navigator.webdriver, cores: navigator.hardwareConcurrency, memory: navigator.deviceMemory ?? null,
  touch: navigator.maxTouchPoints, plugins: navigator.plugins.length, pdf: navigator.pdfViewerEnabled,
  chrome: !!window.chrome, hints: navigator.userAgentData?.toJSON() ?? null,
  screen: [screen.width, screen.height], available: [screen.availWidth, screen.availHeight],
  depth: screen.colorDepth, ratio: devicePixelRatio, inner: [innerWidth, innerHeight], outer: [outerWidth, outerHeight],
  mouse: matchMedia("(hover: hover) and (pointer: fine)").matches, finger: matchMedia("(pointer: coarse)").matches,
  locale: Intl.DateTimeFormat().resolvedOptions().locale, early: window.early,
})"""
GRAPHICS = """(() => {
  const gl = document.createElement("canvas").getContext("webgl");
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  return [gl.getParameter(names.UNMASKED_VENDOR_WEBGL), gl.getParameter(names.UNMASKED_RENDERER_WEBGL)];
})()"""
IN_WORKERS = {
    "worker": "new Promise(kept => { const one = new Worker('/worker.js');"
    " one.onmessage = event => kept(event.data); one.postMessage(1) })",
    "shared worker": "new Promise(kept => {"
    " new SharedWorker('/worker.js').port.onmessage = event => kept(event.data) })",
    "service worker": "(async () => { const found = await navigator.serviceWorker.register('/worker.js');"
    " await navigator.serviceWorker.ready; return await new Promise(kept => {"
    " navigator.serviceWorker.onmessage = event => kept(event.data); found.active.postMessage(1) }) })()",
}
TRACES = """(() => {
  const frame = document.createElement("iframe");
  document.body.append(frame);
  const other = frame.contentWindow;
  const getter = Object.getOwnPropertyDescriptor(Navigator.prototype, "platform").get;
  let thrown; try { Navigator.prototype.platform } catch (error) { thrown = error.constructor.name }
  return {
    own: Object.getOwnPropertyNames(navigator), thrown, name: getter.name, prototype: "prototype" in getter,
    getter: getter.toString(), byFrame: other.Function.prototype.toString.call(getter),
    toString: Function.prototype.toString.toString(),
    method: WebGLRenderingContext.prototype.getParameter.toString(),
    ordinary: (function named() {}).toString(), bound: (function named() {}).bind().toString(),
    frame: [other.navigator.platform, other.navigator.deviceMemory, other.navigator.hardwareConcurrency],
  };
})()"""


class Pages:
    """A web server that remembers the headers of requests."""

    def __init__(self) -> None:
        self.headers: dict[str, dict[str, str]] = {}
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pages.headers[self.path] = {name.lower(): text for name, text in self.headers.items()}
                kind, text = ("text/javascript", WORKER) if self.path == "/worker.js" else ("text/html", PAGE)
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.do_GET()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    pages = Pages()
    thread = threading.Thread(target=pages.server.serve_forever)
    thread.start()
    yield pages
    pages.server.shutdown()
    thread.join()
    pages.server.server_close()


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """A runtime whose sessions reach this machine's loopback."""
    with agb.local.serve(allow_none=True, warm=0, network="host") as server:
        api = Api(server)
        with api.http:
            yield api


@pytest.fixture(scope="module")
def session(api: Api) -> Iterator[str]:
    session_id = new_session(api)
    yield session_id
    api.release(session_id)


@contextmanager
def browser(api: Api, session_id: str, **option: Any) -> Iterator[tuple[Browser, dict[str, Any]]]:
    """The first page of a new browser, and the answer of its start."""
    answer = initialize(api, session_id, **option)
    assert answer["success"], answer
    try:
        with websocket(cdp_link(api, session_id)) as connection:
            yield Browser(connection, is_first=True), answer["data"]
    finally:
        api.tool(session_id, "stopChrome")


def put(api: Api, session_id: str, directory: str, files: dict[str, str]) -> None:
    for name, text in files.items():
        api.tool(session_id, "create_directory", path=directory)
        result = api.tool(session_id, "write_file", path=f"{directory}/{name}", content=text)
        assert not result["isError"], result


def test_windows_switches_stealth_and_extensions(api: Api, pages: Pages) -> None:
    session = new_session(api)
    put(api, session, "/tmp/extensions/good/unpacked", RETITLE)
    put(api, session, "/tmp/extensions/broken", {"manifest.json": '{"name": '})
    put(api, session, "/tmp/extensions/old", {"manifest.json": '{"name": "o", "version": "1", "manifest_version": 2}'})
    put(api, session, "/tmp/extensions/nothing", {"read.me": ""})
    put(api, session, "/tmp/extensions/odd", {"manifest.json": '{"name": 3, "manifest_version": 3}'})
    with browser(
        api,
        session,
        useStealth=True,
        solveCaptchas=True,
        viewport={"width": 1000, "height": 700},
        screen={"width": 1600, "height": 1000},
        extensionPath="/tmp/extensions/",
        cmdArgs=["--disable-features=PrivacySandboxSettings4"],
        defaultNavigateUrl="chrome://version/",
        browserType="chrome",
    ) as (page, data):
        warnings = sorted(data["warnings"])
        assert data["browserType"] in ("chromium", "chrome")
        assert ("browserType" in warnings[0]) == (data["browserType"] == "chromium")
        broken, nothing, odd, old, captchas = warnings[-5:]
        assert "'broken' was not loaded: its manifest.json is not valid JSON" in broken
        assert "'nothing' was not loaded: /tmp/extensions/nothing has no manifest.json" in nothing
        assert "'odd' was not loaded: its manifest.json has no name" in odd
        assert "'old' was not loaded: its manifest_version is 2" in old
        assert captchas.startswith("solveCaptchas has no effect")

        assert page.run("location.href") == "chrome://version/"
        line = page.run("document.getElementById('command_line').textContent")
        assert "--disable-features=PrivacySandboxSettings4" in line
        for tab in (page, Browser(page._connection)):
            tab.open(f"{pages.url}/stealth")
            seen = tab.run(SEEN)
            assert (seen["screen"], seen["ratio"]) == ([1600, 1000], 1)
            assert seen["inner"] == [1000, 700]
            assert tab.run("document.title") == "retitled"
        headers = pages.headers["/stealth"]
        assert seen["webdriver"] is False
        assert "Headless" not in seen["agent"] + headers["user-agent"] + headers["sec-ch-ua"]
        assert (seen["languages"], seen["chrome"], seen["mouse"], seen["plugins"]) == (["en-US", "en"], True, True, 5)
        # What pages may ask for is consistent: a tell of earlier headless browsers.
        asked = "navigator.permissions.query({name: 'notifications'}).then(one => [one.state, Notification.permission])"
        assert page.run(asked) == ["prompt", "default"]

        again = initialize(api, session)["data"]
        assert again["port"] == data["port"]
        assert "a browser runs already, with other options" in again["warnings"][-1]
    api.release(session)


@pytest.mark.long
def test_generated_fingerprint(api: Api, session: str, pages: Pages) -> None:
    criteria = {"devices": ["desktop"], "operatingSystems": ["windows"], "locales": ["de-DE"]}
    asked: dict[str, Any] = {"useStealth": True, "fingerprintPersistPath": FINGERPRINT}
    with browser(api, session, **asked, fingerprint=criteria) as (page, data):
        assert data["warnings"] == []
        page.open(f"{pages.url}/fingerprint")
        seen, graphics = page.run(SEEN), page.run(GRAPHICS)
        stored = json.loads(api.shell(session, f"cat {FINGERPRINT}"))["fingerprint"]
        navigator, screen = stored["navigator"], stored["screen"]
        assert seen["agent"] == navigator["userAgent"]
        assert "Windows NT 10.0" in seen["agent"]
        assert (seen["platform"], seen["languages"], seen["locale"]) == ("Win32", ["de-DE", "de"], "de-DE")
        assert (seen["cores"], seen["memory"]) == (navigator["hardwareConcurrency"], navigator["deviceMemory"])
        assert seen["early"] == [seen["memory"], "Win32"]
        assert seen["hints"]["platform"] == "Windows"
        assert "Google Chrome" in [brand["brand"] for brand in seen["hints"]["brands"]]
        assert seen["screen"] == [screen["width"], screen["height"]]
        assert seen["available"] == seen["outer"] == [screen["availWidth"], screen["availHeight"]]
        assert seen["ratio"] == screen["devicePixelRatio"]
        assert graphics == [stored["videoCard"]["vendor"], stored["videoCard"]["renderer"]]
        headers = pages.headers["/fingerprint"]
        assert headers["user-agent"] == seen["agent"]
        assert headers["accept-language"] == "de-DE,de;q=0.9"
        assert headers["sec-ch-ua-platform"] == '"Windows"'
        assert "Google Chrome" in headers["sec-ch-ua"]

        machine = [seen["agent"], "Win32", seen["cores"], seen["memory"], graphics[1]]
        for kind, script in IN_WORKERS.items():
            assert page.run(script) == machine, kind
            assert pages.headers["/worker.js"]["user-agent"] == seen["agent"], kind
        new = Browser(page._connection)
        new.open(f"{pages.url}/new")
        assert new.run(SEEN) == {**seen, "inner": new.run("[innerWidth, innerHeight]")}

        traces = page.run(TRACES)
        assert traces["own"] == []
        assert (traces["thrown"], traces["name"], traces["prototype"]) == ("TypeError", "get platform", False)
        assert traces["getter"] == traces["byFrame"] == "function get platform() { [native code] }"
        assert traces["toString"] == "function toString() { [native code] }"
        assert traces["method"] == "function getParameter() { [native code] }"
        assert (traces["ordinary"], traces["bound"]) == ("function named() {}", "function () { [native code] }")
        assert traces["frame"] == ["Win32", seen["memory"], seen["cores"]]

        # A frame of another site has a process of its own. "localhost" is another site than "127.0.0.1".
        foreign = f"{pages.url}/frame".replace("127.0.0.1", "localhost")
        frame = f"Object.assign(document.createElement('iframe'), {{src: '{foreign}'}})"
        answer = f"new Promise(kept => {{ onmessage = event => kept(event.data); document.body.append({frame}) }})"
        memory = page.run(answer)[0]
        assert (memory, pages.headers["/frame"]["sec-ch-ua-platform"]) == (seen["memory"], '"Windows"')

        other = page.in_new_context()
        other.open(f"{pages.url}/context")
        plain = other.run(SEEN)
        assert plain["platform"].startswith("Linux")
        assert "X11; Linux" in plain["agent"]
        assert (plain["hints"]["platform"], plain["languages"], plain["locale"]) == ("Linux", ["en-US", "en"], "en-US")
        headers = pages.headers["/context"]
        assert (headers["user-agent"], headers["sec-ch-ua-platform"]) == (plain["agent"], '"Linux"')


@pytest.mark.long
def test_given_fingerprint_of_a_phone(api: Api, session: str, pages: Pages) -> None:
    given = generate(Criteria(("mobile",), ("android",), ("fr-FR",)), "156.0.1.2", random.Random(3))
    put(api, session, FINGERPRINT.rpartition("/")[0], {"fingerprint.json": "{"})
    with browser(
        api,
        session,
        useStealth=True,
        fingerprintRawData=base64.b64encode(json.dumps(given, indent=2).encode()).decode(),
        fingerprintPersistPath=FINGERPRINT,
        fingerprint={"devices": ["desktop"]},
    ) as (page, data):
        assert data["warnings"] == ["fingerprint has no effect beside fingerprintRawData"]
        assert json.loads(api.shell(session, f"cat {FINGERPRINT}")) == given
        page.open(f"{pages.url}/phone")
        seen = page.run(SEEN)
        screen = given["fingerprint"]["screen"]
        assert (seen["platform"], seen["languages"], seen["locale"]) == ("Linux armv81", ["fr-FR", "fr"], "fr-FR")
        assert (seen["touch"], seen["finger"], seen["mouse"]) == (5, True, False)
        assert (seen["hints"]["mobile"], seen["plugins"], seen["pdf"]) == (True, 0, False)
        assert (seen["screen"], seen["ratio"]) == ([screen["width"], screen["height"]], screen["devicePixelRatio"])
        asked = "navigator.userAgentData.getHighEntropyValues(['model', 'formFactors'])"
        high = page.run(asked)
        model = given["fingerprint"]["navigator"]["userAgentData"]["model"]
        assert (high["model"], high["formFactors"]) == (model, ["Mobile"])
        assert pages.headers["/phone"]["sec-ch-ua-mobile"] == "?1"


@pytest.mark.long
def test_user_agent_of_another_browser(api: Api, session: str, pages: Pages) -> None:
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    with browser(api, session, useStealth=True, userAgent=firefox, fingerprint={}) as (page, data):
        assert data["warnings"] == ["fingerprint has no effect beside userAgent"]
        page.open(f"{pages.url}/firefox")
        seen = page.run(SEEN)
        assert (seen["agent"], seen["platform"], seen["hints"], seen["chrome"]) == (firefox, "Win32", None, False)
        headers = pages.headers["/firefox"]
        assert headers["user-agent"] == firefox
        assert not [name for name in headers if name.startswith("sec-ch-ua")]


@pytest.mark.parametrize("scheme", ["http", pytest.param("socks5", marks=pytest.mark.long)])
def test_proxy_with_credentials(api: Api, session: str, pages: Pages, scheme: str) -> None:
    port = pages.server.server_port
    with proxying(scheme, users={"me": "se:cret"}, hosts={"inner.example": "127.0.0.1"}) as proxy:
        option = {"type": "custom", "server": proxy.url(), "username": "me", "password": "se:cret"}
        with browser(api, session, proxies=[option]) as (page, data):
            assert data["warnings"] == []
            page.open(f"http://inner.example:{port}/proxied")
            post = "fetch('/', {method: 'POST', body: 'x'.repeat(1e5)}).then(one => one.status)"
            assert page.run(f"Promise.all([{post}, {post}, fetch('/').then(one => one.status)])") == [200] * 3
            assert page.run("fetch('https://inner.example/').catch(() => 'refused')") == "refused"
            # Neither the arguments nor the environment of a program shows the password.
            everything = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '; true"
            assert "cret" not in api.shell(session, everything)
            # The browser asks for nothing by itself.
            assert {asked.split("/")[2] if "//" in asked else asked.split()[1] for asked in proxy.asked} == {
                f"inner.example:{port}",
                "inner.example:443",
            }
    assert "browser_proxy" not in api.shell(session, "cat /proc/[0-9]*/cmdline 2>/dev/null; true")


@pytest.mark.long
def test_proxy_that_is_away(api: Api, session: str) -> None:
    with proxying("http") as proxy:
        away = proxy.port
    option = {"type": "custom", "server": f"http://me:secret@127.0.0.1:{away}"}
    with browser(api, session, proxies=[option], defaultNavigateUrl="https://inner.example/") as (page, data):
        assert data["warnings"] == []
        assert page._call("Page.reload") == {}
        assert page.until("document.title == 'inner.example' && document.body.innerText").count(
            "ERR_TUNNEL_CONNECTION_FAILED"
        )


@pytest.mark.long
def test_extension_brought_by_a_context(api: Api, pages: Pages, tmp_path: Path) -> None:
    archive = tmp_path / "retitle.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for name, text in RETITLE.items():
            made.writestr(name, text)
    with AGB(api.server.api_key, Config(api.server.endpoint, 60_000)) as client:
        extensions = ExtensionsService(client, "extensions-of-the-browser")
        extension = extensions.create(str(archive))
        context = client.context.create("profile-of-the-browser").raise_for_error()
        option = extensions.create_extension_option([extension.id])
        params = CreateSessionParams(
            image_id=BROWSER_IMAGE, browser_context=BrowserContext(context.context_id, extension_option=option)
        )
        with (
            client.session(params) as session,
            browser(api, session.session_id, extensionPath="/tmp/extensions/") as (page, data),
        ):
            assert data["warnings"] == []
            page.open(f"{pages.url}/")
            assert page.run("document.title") == "retitled"
        extensions.cleanup()
