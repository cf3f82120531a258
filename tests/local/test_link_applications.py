"""Applications of others behind links, unchanged and as their own documentation starts them, in a real browser.

They are large, so they have an environment of their own: ``nox -s links`` makes it, and names its Python here.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

import agb.local

from .browser import Browser, chromium, needs_chromium
from .conftest import Api

PYTHON = os.environ.get("AGB_APPLICATIONS_PYTHON", "")
pytestmark = [
    needs_chromium,
    pytest.mark.skipif(not PYTHON, reason="AGB_APPLICATIONS_PYTHON does not name a Python with the applications"),
]

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


@pytest.fixture(scope="module")
def applications() -> Iterator[Api]:
    """A runtime whose sessions see the environment of the applications."""
    with agb.local.serve(isolation="none") as server:
        api = Api(server)
        with api.http:
            yield api


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def start(api: Api, port: int, command: str, app: str = "") -> str:
    """Start a command in a new session; return the link when something listens there.

    The sessions have one network, so each application needs a port of its own.
    """
    session = api.create()["sessionId"]
    python = shlex.quote(PYTHON)
    api.shell(
        session,
        f"printf %s {shlex.quote(app)} > app.py\nnohup {python} {command} > log 2>&1 &\n"
        f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null\n"
        "do kill -0 $! || { cat log; exit 1; }; sleep 0.1; done",
    )
    return api.link(session, port)


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


def test_gradio(applications: Api, browser: Browser) -> None:
    link = start(applications, 30111, "app.py", app=GRADIO)
    browser.open(link)
    browser.until("!!document.querySelector('#greet')")
    browser.run("document.querySelector('#greet').click()")
    browser.until("document.querySelector('#said textarea')?.value == 'Hello, name'")


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
