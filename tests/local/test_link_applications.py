"""Applications of others behind links, unchanged and as their own documentation starts them, in a real browser.

They are large, so they have an environment of their own: ``nox -s links`` makes it, and names its Python here.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import agb.local

from .browser import Browser, chromium, needs_chromium, new_visitor
from .conftest import Api

PYTHON = os.environ.get("AGB_APPLICATIONS_PYTHON", "")
VITE = os.environ.get("AGB_APPLICATIONS_VITE", "")
pytestmark = needs_chromium
needs_python = pytest.mark.skipif(
    not PYTHON, reason="AGB_APPLICATIONS_PYTHON does not name a Python with the applications"
)
needs_vite = pytest.mark.skipif(not VITE, reason="AGB_APPLICATIONS_VITE does not name the program of Vite")

STREAMLIT = """
import streamlit
streamlit.title("Sums")
number = streamlit.number_input("Number", value=20)
if streamlit.button("Add"):
    streamlit.write(f"The sum is {number + 22}")
"""
GRADIO = """
import gradio
with gradio.Blocks() as page:
    given, said = gradio.Textbox("name", elem_id="given"), gradio.Textbox(elem_id="said")
    gradio.Button("Greet", elem_id="greet").click(lambda name: f"Hello, {name}", given, said)
page.launch(server_port=30111)
"""
VITE_PROJECT = {
    "index.html": '<img src="/logo.svg"><p id="text"></p><script type="module" src="/src/main.js"></script>',
    "public/logo.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"></svg>',
    "src/text.js": 'export const text = "first"',
    "src/main.js": """
import { text } from "/src/text.js"
const show = module => { document.querySelector("#text").innerText = module.text }
show({ text })
import.meta.hot.accept("/src/text.js", show)
import.meta.hot.on("test:answer", () => { window.connected = true })
import.meta.hot.send("test:ask")  // is kept until the WebSocket is open
""",
    "vite.config.js": """
const answer = (_, client) => client.send("test:answer", {})
export default { plugins: [{ name: "test", configureServer: server => server.ws.on("test:ask", answer) }] }
""",
}


@pytest.fixture(scope="module")
def applications() -> Iterator[Api]:
    """A runtime whose sessions see the environment of the applications."""
    with agb.local.serve(isolation="none") as server:
        api = Api(server)
        with api.http:
            yield api


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as address, new_visitor(address) as browser:
        yield browser


def start(api: Api, port: int, command: str, app: str = "") -> str:
    """Start a command of Python in a new session; return the link when something listens there."""
    session = api.create()["sessionId"]
    api.shell(session, f"printf %s {shlex.quote(app)} > app.py")
    listen(api, session, port, f"{shlex.quote(PYTHON)} {command}")
    return api.link(session, port)


def listen(api: Api, session: str, port: int, command: str) -> None:
    """Start a command, and return when something listens there.

    The sessions have one network, so each application needs a port of its own.
    """
    api.shell(
        session,
        f"nohup {command} > log 2>&1 &\n"
        f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null\n"
        "do kill -0 $! || { cat log; exit 1; }; sleep 0.1; done",
    )


@needs_python
def test_streamlit(applications: Api, browser: Browser) -> None:
    link = start(
        applications, 30110, "-m streamlit run --server.headless true --server.port 30110 app.py", app=STREAMLIT
    )
    browser.open(link)
    browser.until("document.querySelector('h1')?.innerText.includes('Sums')")
    add = "[...document.querySelectorAll('button')].find(button => button.innerText == 'Add')"
    browser.until(f"!!{add}")
    browser.run(f"{add}.click()")
    browser.until("document.body.innerText.includes('The sum is 42')")


@needs_python
def test_gradio(applications: Api, browser: Browser) -> None:
    link = start(applications, 30111, "app.py", app=GRADIO)
    browser.open(link)
    browser.until("!!document.querySelector('#greet')")
    browser.run("document.querySelector('#greet').click()")
    browser.until("document.querySelector('#said textarea')?.value == 'Hello, name'")


@needs_python
def test_jupyter(applications: Api, browser: Browser) -> None:
    """Its server: the login page and its form, cookies, a kernel, and the WebSocket to it."""
    link = start(
        applications, 30112, "-m jupyter server --no-browser --allow-root --port 30112 --IdentityProvider.token=secret"
    )
    browser.open(f"{link}login?next=%2Fapi%2Fstatus")
    browser.run("document.querySelector('input[type=password]').value = 'secret'")
    shown = browser.leave("document.querySelector('form').submit()")
    assert urlsplit(shown).path == "/api/status"
    browser.open(link)
    answer = browser.run(
        """(async () => {
            const token = document.cookie.match(/_xsrf=([^;]*)/)[1];
            const made = await fetch("/api/kernels", {method: "POST", headers: {"X-XSRFToken": token}, body: "{}"});
            const kernel = await made.json();
            const socket = new WebSocket(`/api/kernels/${kernel.id}/channels`);
            const header = {msg_id: "1", session: "s", username: "", msg_type: "kernel_info_request", version: "5.3"};
            socket.onopen = () => socket.send(
                JSON.stringify({channel: "shell", header, parent_header: {}, metadata: {}, content: {}}));
            return await new Promise(resolve => {
                socket.onclose = event => resolve(`closed ${event.code}`);
                socket.onmessage = message => {
                    const found = JSON.parse(message.data).header.msg_type;
                    if (found == "kernel_info_reply") resolve(found);
                };
            });
        })()"""
    )
    assert answer == "kernel_info_reply"


@needs_vite
@pytest.mark.parametrize("by_path", [False, True])
def test_vite(applications: Api, browser: Browser, by_path: bool) -> None:
    """Its development server: modules and files by absolute paths, and changed modules by a WebSocket."""
    port = 30113 + by_path
    session = applications.create()["sessionId"]
    for name, content in VITE_PROJECT.items():
        applications.shell(session, f"mkdir -p {shlex.quote(str(Path(name).parent))}; {_write(name, content)}")
    listen(applications, session, port, f"node {shlex.quote(VITE)} --port {port} --strictPort --host 127.0.0.1")
    browser.open(applications.link_by_path(session, port) if by_path else applications.link(session, port))
    browser.until("document.querySelector('#text')?.innerText == 'first' && window.connected")
    assert browser.run("document.querySelector('img').naturalWidth") == 7
    applications.shell(session, _write("src/text.js", 'export const text = "second"'))
    browser.until("document.querySelector('#text').innerText == 'second'")
    assert browser.run("window.connected")  # the page was not loaded again


def _write(name: str, content: str) -> str:
    return f"printf %s {shlex.quote(content)} > {shlex.quote(name)}"
