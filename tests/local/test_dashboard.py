"""The dashboard: who is let in, what it shows, what its buttons do, and how a person uses it in a browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from agb.local.api.dashboard.access import Access
from agb.local.api.dashboard.usage import polyline
from agb.local.api.dashboard.views import Changes, Part, Rows, output_of

from .browser import chromium, needs_chromium
from .conftest import Api
from .desktops import IMAGE as DESKTOP_IMAGE
from .desktops import needs_desktop

HOSTILE = "<script>alert('1')</script>&\"'"


@pytest.fixture
def base(api: Api) -> str:
    """The address of the server, by which a test reaches the dashboard without a resolver."""
    return api.server.endpoint


@pytest.fixture
def host(base: str) -> str:
    return f"dashboard.localhost:{urlsplit(base).port}"


@pytest.fixture
def address(api: Api) -> str:
    """An address that lets one browser in."""
    return str(api.post("/dashboard")["url"])


@pytest.fixture
def viewer(base: str, host: str, address: str) -> Iterator[httpx.Client]:
    """A browser, more or less, that was let in."""
    with httpx.Client(base_url=base, headers={"host": host}, timeout=120) as client:
        answer = client.get("/", params=urlsplit(address).query)
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        client.headers["cookie"] = cookie.partition(";")[0]
        yield client


def update(client: httpx.Client, path: str) -> dict[str, Any]:
    """Return the first live update of a page."""
    with client.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                return dict(json.loads(line[6:]))
    raise AssertionError("there was no update")


# --- who is let in ----------------------------------------------------------------------------------------------------


def test_address_is_for_callers_with_the_key(base: str) -> None:
    assert httpx.post(f"{base}/dashboard", json={}).status_code == 401


def test_code_is_valid_once(base: str, host: str, address: str) -> None:
    query = urlsplit(address).query
    with httpx.Client(base_url=base, headers={"host": host}) as client:
        assert client.get("/", params=query).status_code == 303
        client.cookies.clear()  # another browser
        again = client.get("/", params=query)
    assert again.status_code == 403
    assert "valid once" in again.text


def test_used_code_leads_a_browser_that_was_let_in_to_the_page(viewer: httpx.Client, address: str) -> None:
    again = viewer.get("/contexts", params=urlsplit(address).query)
    assert (again.status_code, again.headers["location"]) == (303, "/contexts")
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("path", ["/", "/contexts", "/events", "/sessions/{id}", "/sessions/{id}/files"])
def test_nothing_is_shown_without_the_cookie(path: str, base: str, host: str, session: str) -> None:
    answer = httpx.get(f"{base}{path.format(id=session)}", headers={"host": host, "cookie": "agb-dashboard=x"})
    assert answer.status_code == 403
    assert session not in answer.text


def test_cookie_of_another_runtime_is_not_valid(base: str, host: str, viewer: httpx.Client) -> None:
    name, _, _ = viewer.headers["cookie"].partition("=")
    assert httpx.get(f"{base}/", headers={"host": host, "cookie": f"{name}=wrong"}).status_code == 403


def test_api_is_not_served_at_the_name_of_the_dashboard(api: Api, host: str, base: str) -> None:
    headers = {"host": host, "authorization": api.http.headers["authorization"]}
    assert httpx.get(f"{base}/sdk/ListSession", headers=headers).status_code == 404
    assert httpx.get(f"{base}/link/x/30100/y/", headers=headers).status_code == 404


def test_server_leads_to_the_dashboard(base: str, host: str) -> None:
    answer = httpx.get(f"{base}/")
    assert (answer.status_code, answer.headers["location"]) == (307, f"http://{host}/")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "{own}", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_buttons_of_other_pages_do_nothing(
    headers: dict[str, str], viewer: httpx.Client, host: str, session: str, api: Api
) -> None:
    sent = {name: value.format(own=f"http://{host}") for name, value in headers.items()}
    answer = viewer.post(f"/sessions/{session}/delete", headers=sent)
    assert answer.status_code == 403
    assert api.status(session) == "RUNNING"


def test_pages_allow_themselves_only_what_they_bring(viewer: httpx.Client) -> None:
    answer = viewer.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert "style=" not in answer.text
    assert "http" not in answer.text.replace("http-equiv", "")
    for name in ("dashboard.css", "dashboard.js"):
        assert viewer.get(f"/{name}").status_code == 200


def test_codes_and_cookies_end() -> None:
    now = 0.0
    access = Access(lambda: now)
    code = access.new_code()
    assert access.redeem("é") is None
    token = access.redeem(code)
    assert token is not None
    assert access.redeem(code) is None
    assert access.is_valid(token)
    late = access.new_code()
    now = 24 * 3600.0
    assert not access.is_valid(token)
    assert access.redeem(late) is None
    codes = [access.new_code() for _ in range(200)]
    assert access.redeem(codes[0]) is None
    assert access.redeem(codes[-1]) is not None


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_overview_shows_sessions_and_what_they_use(viewer: httpx.Client, api: Api) -> None:
    label = uuid4().hex
    hidden = json.dumps({label: HOSTILE, "agb.sdk/owner": "pool:x"})
    session = api.create(labels=hidden)["sessionId"]
    try:
        with viewer.stream("GET", "/events") as answer:
            updates = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))
            row = ""
            while "polyline" not in row:  # it is measured again every two seconds
                row = next(updates).get("rows", {}).get("sessions", {}).get("rows", {}).get(session, row)
    finally:
        api.release(session)
    assert label in row
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;" in row
    assert "<script" not in row
    assert "pool:x" not in row
    assert "agb-code-space-1" in row


def test_session_shows_its_calls_with_their_output(viewer: httpx.Client, api: Api, session: str) -> None:
    mark = uuid4().hex
    api.tool(session, "shell", command=f"echo {mark}-out; echo {HOSTILE!r} >&2; exit 3")
    api.tool(session, "shell", command="true", envs={"AGB_SHOWN": f"start: {mark}"})
    shown = update(viewer, f"/sessions/{session}/events")
    calls = list(shown["rows"]["calls"]["rows"].values())
    ran = next(call for call in calls if f"{mark}-out" in call)
    assert "✗" in ran
    assert "<pre>" in ran
    assert "<script" not in ran
    assert any(f"(start: {mark})" in call for call in calls)
    assert {"facts", "tables"} == set(shown["parts"])


def test_variable_that_says_what_a_script_is_for_is_not_passed_on(api: Api, session: str) -> None:
    ran = api.tool(session, "shell", command="echo [$AGB_SHOWN]", envs={"AGB_SHOWN": "x"})
    assert json.loads(ran["content"][0]["text"])["stdout"] == "[]\n"


def test_looking_is_no_activity(viewer: httpx.Client, api: Api, session: str) -> None:
    api.tool(session, "shell", command="true")
    update(viewer, f"/sessions/{session}/events")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        viewer.get(f"/sessions/{session}/files")
    idle = update(viewer, "/events")["rows"]["sessions"]["rows"][session].partition("<td data-name=idle>")[2]
    assert int(idle.partition(" s")[0]) >= 2


@needs_desktop
def test_screen_is_shown_live_in_the_page_of_its_session(viewer: httpx.Client, api: Api, base: str, host: str) -> None:
    session = api.post("/mcp/createSession", {"imageId": DESKTOP_IMAGE})["sessionId"]
    try:
        [frame] = re.findall(r'<iframe class=live src="([^"]+)"', viewer.get(f"/sessions/{session}").text)
        url = urlsplit(frame.replace("&amp;", "&"))
        page = httpx.get(f"{base}{url.path}?{url.query}", headers={"host": url.netloc})
        assert page.status_code == 200
        assert "<body class=live data-only=live>" in page.text
        assert f"frame-ancestors http://{host}" in page.headers["content-security-policy"]
        assert f"frame-src {url.scheme}://localhost:*" in viewer.get("/").headers["content-security-policy"]
    finally:
        api.release(session)


def test_files_are_shown_and_downloaded(viewer: httpx.Client, api: Api, session: str) -> None:
    api.tool(
        session, "shell", command="mkdir -p '/tmp/<b>'; printf 'a<i>' > '/tmp/<b>/x y.txt'; printf '\\0' > /tmp/bin"
    )
    listing = viewer.get(f"/sessions/{session}/files", params={"path": "/tmp/<b>"})
    assert "x y.txt" in listing.text
    assert "<b>/" not in listing.text
    shown = viewer.get(f"/sessions/{session}/file", params={"path": "/tmp/<b>/x y.txt"})
    assert "a&lt;i&gt;" in shown.text
    got = viewer.get(f"/sessions/{session}/download", params={"path": "/tmp/<b>/x y.txt"})
    assert got.content == b"a<i>"
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''x%20y.txt"
    assert "This is no text" in viewer.get(f"/sessions/{session}/file", params={"path": "/tmp/bin"}).text
    assert viewer.get(f"/sessions/{session}/files", params={"path": "/no/such"}).status_code == 404
    api.tool(session, "shell", command="mkdir /tmp/odd; touch \"/tmp/odd/$(printf 'a\\fb')\"; mkdir /tmp/odd/none")
    odd = viewer.get(f"/sessions/{session}/files", params={"path": "/tmp/odd"})
    assert odd.text.count("<li>") == 3
    empty = viewer.get(f"/sessions/{session}/files", params={"path": "/tmp/odd/none"})
    assert empty.text.count("<li>") == 1
    assert viewer.get(f"/sessions/{session}/file", params={"path": "/no/such"}).status_code == 404


def test_contexts_are_shown(viewer: httpx.Client, api: Api) -> None:
    name = f"<i>{uuid4().hex}"
    context = api.get("/sdk/GetContext", name=name, allowCreate="true")["id"]
    row = update(viewer, "/contexts/events")["rows"]["contexts"]["rows"][context]
    assert name.replace("<i>", "&lt;i&gt;") in row


def test_session_that_is_not_there(viewer: httpx.Client) -> None:
    for path in ("/sessions/s-none", "/sessions/s-none/events", "/sessions/s-none/files"):
        assert viewer.get(path).status_code == 404


def test_updates_have_only_what_changed() -> None:
    changes = Changes()
    assert changes.update([Part("a", "1")], [Rows("r", {"x": "1", "y": "2"})]) == {
        "parts": {"a": "1"},
        "rows": {"r": {"keys": ["x", "y"], "rows": {"x": "1", "y": "2"}}},
    }
    assert changes.update([Part("a", "1")], [Rows("r", {"x": "1", "y": "2"})]) == {}
    assert changes.update([Part("a", "1")], [Rows("r", {"y": "3"})]) == {
        "parts": {},
        "rows": {"r": {"keys": ["y"], "rows": {"y": "3"}}},
    }
    assert changes.update([], [Rows("r", {"x": "1", "y": "3"})])["rows"]["r"]["rows"] == {"x": "1"}


def test_output_of_replies() -> None:
    assert output_of("shell", json.dumps({"stdout": "a\n", "stderr": "b\n", "exit_code": 0})) == "a\nb"
    run = {"stdout": ["x"], "stderr": [], "result": [{"text/plain": "42"}], "executionError": None}
    assert output_of("run_code", json.dumps(run)) == "x\n42"
    assert output_of("run_code", json.dumps({"executionError": "ZeroDivisionError"})) == "ZeroDivisionError"
    assert output_of("list_directory", "[FILE] a") == "[FILE] a"
    assert output_of("shell", '{"stdout": "cut') == '{"stdout": "cut'


def test_lines_of_charts() -> None:
    assert polyline([]) == ""
    assert polyline([0.0, 10.0], top=10.0) == "0.0,27.0 120.0,1.0"


# --- a person ---------------------------------------------------------------------------------------------------------


@needs_chromium
def test_person_looks_at_sessions_and_deletes_one(api: Api, address: str, tmp_path: Path) -> None:
    label = f"<b>{uuid4().hex}"
    with chromium(tmp_path / "profile") as page:
        opened = page.open(address)
        assert "code=" not in opened
        page.until("document.getElementById('connection').textContent === 'live'")
        session = api.create(labels=json.dumps({"for": label}))["sessionId"]
        row = f"document.getElementById('sessions-{session}')"
        page.until(f"{row}?.textContent.includes({json.dumps(label)})")
        assert page.run("document.querySelectorAll('main b').length") == 0
        page.leave(f"document.getElementById('to-{session}').click()")
        mark = uuid4().hex
        api.tool(session, "shell", command=f"echo {mark}")
        page.until(f"document.getElementById('calls').textContent.includes('{mark}')")
        page.run("window.confirm = (question) => { window.asked = question; return false }")
        page.run("document.querySelector('button.danger').click()")
        assert session in page.run("window.asked")
        assert api.status(session) == "RUNNING"
        page.run("window.confirm = () => true")
        page.leave("document.querySelector('button.danger').click()")
        page.until("document.getElementById('connection').textContent === 'live'")
        page.until(f"!{row}")
    assert api.status(session) in ("DELETING", "FINISH")


@needs_chromium
def test_page_that_is_not_seen_holds_no_connection(api: Api, address: str, tmp_path: Path) -> None:
    """A browser opens six connections to a host at most: with six live pages, no other one would be loaded."""
    change = (
        "Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); "
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    state = "document.getElementById('connection').textContent"
    with chromium(tmp_path / "profile") as page:
        page.open(address)
        page.until(f"{state} === 'live'")
        page.run(change % "true")
        assert page.run(state) == "paused"
        page.run(change % "false")
        page.until(f"{state} === 'live'")
        session = api.create()["sessionId"]
        page.until(f"document.getElementById('to-{session}') !== null")
        page.leave(f"document.getElementById('to-{session}').click()")
        page.until(f"{state} === 'live'")
        api.release(session)
        page.until(f"{state} === 'the session has ended'")
        assert page.run("document.querySelector('button.danger').disabled") is True
        page.run(change % "true")
        page.run(change % "false")
        assert page.run(state) == "the session has ended"
