"""Web applications behind links, in a real browser."""

from __future__ import annotations

from urllib.parse import urlsplit

from .browser import Browser, needs_chromium
from .conftest import Api

pytestmark = needs_chromium

APP = '''
import asyncio
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

PAGE = """<!doctype html><link rel="stylesheet" href="/static/style.css"><body><script src="/static/app.js"></script>"""
SCRIPT = """
async function look() {
    const seen = {style: getComputedStyle(document.body).color};
    history.pushState(null, "", "/route/2?x=1");
    seen.route = location.pathname;
    seen.api = await (await fetch("/api/x")).text();
    seen.cookie = await (await fetch("/cookie")).text();
    const socket = new WebSocket("/ws");
    socket.onopen = () => socket.send("hello");
    seen.socket = await new Promise(resolve => {
        socket.onmessage = message => resolve(message.data);
        socket.onclose = event => resolve(`closed ${event.code}`);
    });
    return seen;
}
var seen = look();
"""
ANSWERS = {"/": ("text/html", PAGE), "/static/style.css": ("text/css", "body { color: rgb(1, 2, 3) }"),
           "/static/app.js": ("text/javascript", SCRIPT), "/moved": ("text/plain", "")}

async def answer(connection, request):
    if request.headers.get("Upgrade"):
        return None
    kind, body = ANSWERS.get(request.path.partition("?")[0], ("text/plain", request.path))
    if request.path == "/cookie":
        body = request.headers.get("Cookie", "")
    if request.path.startswith("/route/"):  # the application's own routes, opened by their address
        kind, body = ANSWERS["/"]
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Referrer-Policy": "no-referrer"})
    if request.path == "/":
        headers["Set-Cookie"] = "__Host-session=1; Path=/; Secure; HttpOnly"
    if request.path == "/moved":
        headers["Location"] = f"http://{request.headers['Host']}/route/3"
    return Response(302 if request.path == "/moved" else 200, "", headers, body.encode())

async def echo(ws):
    async for message in ws:
        await ws.send(f"{message} {ws.request.headers['Host']} {ws.request.headers.get('Origin')}")

async def main():
    async with serve(echo, "127.0.0.1", 30100, process_request=answer):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
'''


def test_application_runs_as_on_a_host_of_its_own(api: Api, visitor: Browser) -> None:
    session = api.create()["sessionId"]
    api.start(session, APP)
    link = api.link_by_path(session)
    shown = urlsplit(visitor.open(link))
    server = urlsplit(link)
    token = server.path.strip("/").split("/")[-1]
    assert shown.netloc == f"30100-{session}-{token}.localhost:{server.port}"
    seen = visitor.run("seen")
    assert seen == {
        "style": "rgb(1, 2, 3)",
        "route": "/route/2",
        "api": "/api/x",
        "cookie": "__Host-session=1",
        "socket": f"hello localhost:{server.port} None",
    }
    # A route of the application that is opened anew, and an address that the application makes of its own host.
    assert visitor.open(f"{link}route/2?y=1") == f"http://{shown.netloc}/route/2?x=1"
    assert urlsplit(visitor.open(f"{link}moved")).netloc == shown.netloc
    other = api.create()["sessionId"]
    api.start(other, APP)
    visitor.open(f"{api.link(other)}cookie")
    assert visitor.run("document.body.innerText") == ""  # cookies belong to one link
    for name in (session, other):
        api.release(name)
    visitor.open(link)
    assert "no such link" in visitor.run("document.body.innerText")
