"""The tools of the browser agent, in a real Chromium: pages served inside a session, and driven by instructions."""

from __future__ import annotations

import base64
import json
import os
import signal
import struct
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import httpx
import psutil
import pytest

from tests.waiting import pause

from .browser import needs_chromium
from .conftest import Api
from .runtimes import wait_for_end

needs_playwright = pytest.mark.skipif(find_spec("playwright") is None, reason="Playwright is not installed")
pytestmark = [needs_chromium, needs_playwright]
IMAGE = "agb-browser-use-1"

SHOP = """<!doctype html><title>Shop</title>
<nav><a href="/about">About</a></nav>
<h1>Sale</h1>
<form onsubmit="event.preventDefault(); out.textContent = `sent ${email.value} ${country.value} ${agree.checked}`">
  <label>Email <input id=email></label>
  <label>Password <input id=secret type=password></label>
  <label>Country <select id=country><option value=de>Germany<option value=fr selected>France</select></label>
  <label>Day <input id=day type=date></label>
  <label><input id=agree type=checkbox> I agree</label>
  <input type=search placeholder="Search products" oninput="out.textContent = 'searched ' + this.value">
  <button>Send</button>
</form>
<p id=out></p>
<section><h2>Products</h2><ul>
  <li><h3><a href="/shoes/1">Red shoes</a></h3> <span class=price>$1,299.50</span>
    <button onclick="out.textContent = 'red'">Buy</button>
  <li><h3><a href="/shoes/2">Blue shoes</a></h3> <span class=price>$20</span>
    <button onclick="out.textContent = 'blue'">Buy</button>
</ul></section>
<button onclick="setTimeout(() => { const late = document.createElement('button'); late.textContent = 'Late';
  late.onclick = () => { out.textContent = 'late' }; document.body.append(late) }, 300)">Slow</button>
<button onclick="out.textContent = 'said ' + confirm('Sure?')">Ask</button>
<button onclick="const other = window.open('about:blank'); other.document.body.innerHTML = '<button>Inside</button>'">
  Popup</button>
<button id=never disabled onclick="out.textContent = 'never'">Never</button>
<iframe srcdoc="<button onclick='parent.out.textContent = `framed`'>Framed</button>"></iframe>
<div id=host></div>
<script>host.attachShadow({mode: 'open'}).innerHTML = '<section><button>Shadowed</button></section>'</script>
"""
"""Elements by their ids are global variables of a page, which keeps its scripts short."""

ABOUT = """<!doctype html><title>About</title><h1>About us</h1>
<dl><dt>Order number<dd>A-17<dt>Total<dd>12,50 €</dl>
<table><tr><th>Country<th>Capital<th>Population<tr><td>France<td>Paris<td>68.2<tr><td>Spain<td>Madrid<td>47</table>
"""


CATALOGUE = """<!doctype html><title>Catalogue</title>
<nav><ul><li><a href=/a>One link</a><li><a href=/b>Another link</a><li><a href=/c>Third</a></ul></nav>
<main><h1>Sale today</h1><p>Updated: 2026-11-30</p>
<div class=products>
  <div class=product><h3><a href=/p/1>Red shoes</a></h3><span class=price>$1,299.50</span><p>Nice ones</p>
    <span>4.5 out of 5</span> <span>128 reviews</span> <i class=stock>In stock</i>
    <ul class=tags><li>new<li>hot</ul></div>
  <div class=product><h3><a href=/p/2>Blue shoes</a></h3><span class=price>$20</span><p>Good ones</p>
    <span>3 out of 5</span><span>2 reviews</span><i class=stock>Sold out</i><ul class=tags><li>old</ul></div>
</div>
<section><h2>Order</h2><dl><dt>Order number<dd>A-17<dt>Shipped<dd>yes</dl></section>
<h2>Colours</h2><ul><li>red<li>green</ul><h2>Shapes</h2><ul><li>round<li>flat</ul>
<form><label>First name <input value=Ada></label><label><input type=checkbox checked> Newsletter</label></form>
</main><footer>Contact: <a href="mailto:x@y.de">x@y.de</a> Phone: +49 30 1234567</footer>
"""

PAGES = {
    "catalogue": CATALOGUE,
    "index.html": SHOP,
    "about": ABOUT,
    "framed": "<iframe src='http://localhost:30100/about' width=600></iframe>",
    "late": "<p id=out></p><button id=late disabled onclick=\"out.textContent = 'late'\">Late</button>"
    "<script>setTimeout(() => { late.disabled = false; out.className = 'enabled' }, 700)</script>",
}
"""What the server in the session serves; ``localhost`` is another site than ``127.0.0.1``."""


class Agent:
    """The tools of one session with a browser, and a page in it."""

    def __init__(self, api: Api, session_id: str) -> None:
        self.api = api
        self.session_id = session_id

    def call(self, name: str, **args: Any) -> tuple[bool, str]:
        """Return whether a tool succeeded, and its text."""
        result = self.api.tool(self.session_id, f"page_use_{name}", **args)
        return not result["isError"], str(result["content"][0]["text"])

    def act(self, action: str, **args: Any) -> dict[str, Any]:
        _, text = self.call("act", action=action, **args)
        value = json.loads(text)
        assert isinstance(value, dict)
        return value

    def does(self, action: str, **args: Any) -> list[str]:
        """Return the steps of an instruction that succeeds."""
        result = self.act(action, **args)
        assert result["success"], result
        return list(result["steps"])

    def refuses(self, action: str, **args: Any) -> str:
        """Return the reason of an instruction that fails."""
        result = self.act(action, **args)
        assert not result["success"], result
        return str(result["steps"][-1])

    def observe(self, instruction: str, **args: Any) -> list[dict[str, str]]:
        ok, text = self.call("observe", instruction=instruction, **args)
        assert ok, text
        found = json.loads(text)
        assert isinstance(found, list)
        return found

    def extract(self, schema: dict[str, Any], instruction: str = "", **args: Any) -> tuple[bool, Any]:
        schema = {"type": "object", "required": list(schema["properties"]), **schema}
        ok, text = self.call("extract", instruction=instruction, field_schema=f"schema: {json.dumps(schema)}", **args)
        return ok, json.loads(text) if ok else text

    def shown(self) -> str:
        """Return what the page shows as the outcome of an action."""
        ok, value = self.extract({"properties": {"out": {"type": ["string", "null"]}}})
        assert ok, value
        return str(value["out"])


@pytest.fixture(scope="module")
def session_id(api: Api) -> Iterator[str]:
    """A session whose browser runs, and in which a server serves the pages."""
    session_id = str(api.post("/mcp/createSession", {"imageId": IMAGE})["sessionId"])
    api.post("/browser/init", {"sessionId": session_id, "browserOption": "{}"})
    api.shell(session_id, "mkdir /tmp/site")
    for name, text in PAGES.items():
        api.tool(session_id, "write_file", path=f"/tmp/site/{name}", content=text)
    server = (
        "import http.server, os; os.chdir('/tmp/site'); H = http.server.SimpleHTTPRequestHandler; "
        "H.extensions_map = {'': 'text/html'}; http.server.ThreadingHTTPServer(('127.0.0.1', 30100), H).serve_forever()"
    )
    api.start(session_id, server)
    yield session_id
    api.release(session_id)


SITE = "http://127.0.0.1:30100/"


@pytest.fixture
def agent(api: Api, session_id: str) -> Agent:
    """The agent of that session, with the shop in its current page."""
    agent = Agent(api, session_id)
    assert agent.call("navigate", url=SITE) == (True, f"Successfully navigated to {SITE}")
    return agent


def test_several_steps_of_a_form(agent: Agent) -> None:
    steps = agent.does(
        "Fill the Email field with 'a@b.c', then select 'Germany' from the Country dropdown\n"
        "check 'I agree' and click the Send button"
    )
    assert steps == [
        "filled 'a@b.c' into the textbox 'Email'",
        "selected 'Germany' in the combobox 'Country'",
        "checked the checkbox 'I agree'",
        "clicked the button 'Send'",
    ]
    assert agent.shown() == "sent a@b.c de true"


def test_variables_go_into_the_page_and_into_no_text(agent: Agent) -> None:
    values = {"mail": "hidden@example.com"}
    steps = agent.does("type %mail% into the Email field, then click Send", variables=values)
    assert steps[0] == "filled '%mail%' into the textbox 'Email'"
    assert agent.shown() == "sent hidden@example.com fr false"
    why = agent.refuses("select %mail% from the Country dropdown", variables=values)
    assert "has no option '%mail%'" in why
    assert "there is no variable %mial%" in agent.refuses("type %mial% into the Email field", variables=values)
    page = agent.api.http.get(f"/sessions/{agent.session_id}/page").text
    assert "hidden@example.com" not in page


OUTCOMES = {
    "click the 'Buy' button for 'Blue shoes'": "blue",
    "click Buy in the item 'Red shoes'": "red",
    "click the second Buy button": "blue",
    "click the first Buy button in the Products section": "red",
    "click Slow, then click 'Late'": "late",
    "type 'boots' into the search field": "searched boots",
    "click the Ask button": "said false",
}
"""Each is another one than that before it."""
REASONS = {
    "dance": "not understood: 'dance'",
    "click Buy": "2 elements match element 'Buy'",
    "click the Sgn in button": "there is no button 'Sgn in'; there are: button 'Send'",
    "fill Day with 'tomorrow'": "takes a date, as in 2026-12-31",
    "go forward": "there is no page to go forward to",
    '{"method": "click", "arguments": {}}': "needs the selector of its element",
}


def test_elements_are_found_by_what_a_reader_would_call_them(agent: Agent) -> None:
    for action, outcome in OUTCOMES.items():
        agent.does(action)
        assert agent.shown() == outcome, action


def test_refusals_say_why(agent: Agent) -> None:
    for action, reason in REASONS.items():
        assert reason in agent.refuses(action), action


def test_frames_and_shadow_roots(agent: Agent) -> None:
    agent.does("click the Framed button", iframes=True)
    assert agent.shown() == "framed"
    assert [one["description"] for one in agent.observe("find the Shadowed button")] == ["button 'Shadowed'"]
    agent.does("click the Shadowed button, then search for x")


def test_page_that_an_action_opens_becomes_the_current_one(agent: Agent) -> None:
    steps = agent.does("click Popup, then click the Inside button")
    assert "clicked the button 'Inside'" in steps
    assert "a new page was opened: about:blank" in steps


def test_observe_and_replay(agent: Agent) -> None:
    assert agent.observe("find the login button") == []
    assert [one["description"] for one in agent.observe("all links")] == [
        "link 'About'",
        "link 'Red shoes'",
        "link 'Blue shoes'",
    ]
    (found,) = agent.observe("the button that says 'Send'")
    assert (found["method"], json.loads(found["arguments"])["selector"]) == ("click", found["selector"])
    # What clients of 0.12 send: the selector is in the arguments only.
    agent.does(json.dumps({"method": found["method"], "arguments": json.loads(found["arguments"])}))
    assert agent.shown() == "sent fr false"
    (email,) = agent.observe("fill the email with 'x@y.z'")
    agent.does(json.dumps({key: email[key] for key in ("method", "arguments", "selector")}))
    agent.does("click Send")
    assert agent.shown() == "sent x@y.z fr false"


def test_extract(agent: Agent) -> None:
    product = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "price": {"type": "number"},
            "url": {"type": "string", "format": "uri"},
        },
        "required": ["name", "price", "url"],
    }
    ok, value = agent.extract({"properties": {"products": {"type": "array", "items": product}}})
    assert ok, value
    assert value["products"] == [
        {"name": "Red shoes", "price": 1299.5, "url": f"{SITE}shoes/1"},
        {"name": "Blue shoes", "price": 20, "url": f"{SITE}shoes/2"},
    ]
    ok, value = agent.extract({"properties": {"horsepower": {"type": "integer"}}})
    assert not ok
    assert "not found in the page: horsepower" in value

    agent.does("click the About link")
    country = {"country": {"type": "string"}, "capital": {"type": "string"}, "population": {"type": "number"}}
    schema = {
        "order_number": {"type": "string"},
        "total": {"type": "number"},
        "title": {"type": "string"},
        "countries": {"type": "array", "items": {"type": "object", "properties": country, "required": list(country)}},
    }
    ok, value = agent.extract({"properties": schema})
    assert value == {
        "order_number": "A-17",
        "total": 12.5,
        "title": "About us",
        "countries": [
            {"country": "France", "capital": "Paris", "population": 68.2},
            {"country": "Spain", "capital": "Madrid", "population": 47},
        ],
    }


TEXT, NUMBER, WHOLE, FLAG = ({"type": name} for name in ("string", "number", "integer", "boolean"))


def listed(item: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list of values, or of objects if these are properties."""
    if "type" in item:
        return {"type": "array", "items": item}
    return {"type": "array", "items": {"type": "object", "properties": item, "required": list(item)}}


EXTRACTED: list[tuple[dict[str, Any], Any]] = [
    (
        {
            "products": listed(
                {"name": TEXT, "price": NUMBER, "rating": NUMBER, "reviews": WHOLE, "stock": FLAG}
                | {"tags": listed(TEXT), "description": TEXT}
            )
        },
        {
            "products": [
                {"name": "Red shoes", "price": 1299.5, "rating": 4.5, "reviews": 128, "stock": True}
                | {"tags": ["new", "hot"], "description": "Nice ones"},
                {"name": "Blue shoes", "price": 20, "rating": 3, "reviews": 2, "stock": False}
                | {"tags": ["old"], "description": "Good ones"},
            ]
        },
    ),
    (
        {"heading": TEXT, "email": TEXT, "phone": TEXT, "updated": TEXT, "pageTitle": TEXT},
        {"heading": "Sale today", "email": "x@y.de", "phone": "+49 30 1234567", "updated": "2026-11-30"}
        | {"pageTitle": "Catalogue"},
    ),
    (
        {"colours": listed(TEXT), "prices": listed(NUMBER), "headings": listed(TEXT)},
        {"colours": ["red", "green"], "prices": [1299.5, 20]}
        | {"headings": ["Sale today", "Red shoes", "Blue shoes", "Order", "Colours", "Shapes"]},
    ),
    (
        {"order": {"type": "object", "properties": {"orderNumber": TEXT, "shipped": FLAG}}}
        | {"first_name": TEXT, "newsletter": FLAG, "note": {"anyOf": [TEXT, {"type": "null"}]}},
        {"order": {"orderNumber": "A-17", "shipped": True}, "first_name": "Ada", "newsletter": True, "note": None},
    ),
    ({"shape": {"enum": ["SQUARE", "ROUND"]}}, None),
]
"""Properties of a schema, and what of the catalogue has them."""


def test_extract_by_labels_classes_and_kinds(agent: Agent) -> None:
    agent.call("navigate", url=f"{SITE}catalogue")
    for properties, value in EXTRACTED:
        ok, found = agent.extract({"properties": properties})
        assert (found if ok else None) == value


def test_part_of_what_is_extracted(agent: Agent) -> None:
    agent.call("navigate", url=f"{SITE}catalogue")
    schema = {"properties": {"links": listed(TEXT)}}
    assert agent.extract(schema, selector="nav li:nth-child(2)") == (True, {"links": [f"{SITE}b"]})
    assert agent.extract(schema, "the first 2 links") == (True, {"links": [f"{SITE}a", f"{SITE}b"]})
    ok, why = agent.extract(schema, selector="aside")
    assert not ok
    assert "the selector 'aside' finds no visible element" in why


def test_screenshots(agent: Agent) -> None:
    ok, text = agent.call("screenshot", clip={"x": 0, "y": 0, "width": 40, "height": 30}, full_page=False)
    assert ok, text
    head, _, data = text.partition(",")
    picture = base64.b64decode(data)
    assert (head, struct.unpack(">II", picture[16:24])) == ("data:image/png;base64", (40, 30))
    ok, text = agent.call("screenshot", quality=30)
    assert ok
    assert text.startswith("data:image/jpeg;base64,/9j/")


def test_tasks(agent: Agent) -> None:
    def begin(name: str, **args: Any) -> str:
        ok, text = agent.call(name, **args)
        assert ok, text
        return str(json.loads(text)["task_id"])

    task = begin("act_async", action="wait 100 seconds, then click Send")
    assert json.loads(agent.call("get_act_result", task_id=task)[1])["is_done"] is False
    assert agent.call("cancel_task", task_id=task) == (True, "true")
    done = json.loads(agent.call("get_act_result", task_id=task)[1])
    assert (done["is_done"], done["success"]) == (True, False)
    assert agent.shown() == "None"

    task = begin("act_async", action="click the Never button", timeout_ms=200)
    while not (result := json.loads(agent.call("get_act_result", task_id=task)[1]))["is_done"]:
        pause()
    assert (result["success"], result["steps"]) == (False, ["it was ended after 200 ms, its time limit"])

    schema = {"type": "object", "properties": {"horsepower": {"type": "integer"}}, "required": ["horsepower"]}
    task = begin("extract_async", instruction="", field_schema=f"schema: {json.dumps(schema)}")
    while (found := agent.call("get_extract_result", task_id=task)) == (True, ""):
        pause()
    assert found[0] is False  # which clients of 0.12 take for "not yet"
    failed = json.loads(found[1])
    assert (failed["is_done"], failed["success"]) == (True, False)
    assert "horsepower" in failed["error"]

    task = begin("observe_async", instruction="the Send button")
    while (found := agent.call("get_observe_result", task_id=task)) == (True, ""):
        pause()
    assert json.loads(found[1])[0]["description"] == "button 'Send'"
    assert agent.call("get_act_result", task_id="task-0")[0] is False


def test_page_by_its_id(api: Api, agent: Agent) -> None:
    ok, why = agent.call("observe", instruction="all links", page_id="no such page")
    assert not ok
    assert "has no page 'no such page'" in why
    assert "has no context 7" in agent.call("observe", instruction="all links", context_id=7)[1]


def test_frames_of_other_sites(agent: Agent) -> None:
    """Another process renders them, so they have a DevTools session of their own."""
    agent.call("navigate", url=f"{SITE}framed")
    ok, value = agent.extract({"properties": {"order_number": {"type": "string"}}}, iframe=True)
    assert (ok, value) == (True, {"order_number": "A-17"})


def test_nothing_happens_after_a_time_limit(agent: Agent) -> None:
    """A click that waits for its button, which becomes enabled too late."""
    agent.call("navigate", url=f"{SITE}late")
    assert agent.refuses("click the Late button", timeout_ms=300) == "it was ended after 300 ms, its time limit"
    agent.does("wait 1 second")
    assert agent.shown() == "None"
    agent.does("click the Late button")
    assert agent.shown() == "late"


def test_page_that_cannot_be_opened(agent: Agent) -> None:
    ok, why = agent.call("navigate", url="http://127.0.0.1:30199/")
    assert not ok
    assert "could not open http://127.0.0.1:30199/: net::ERR_CONNECTION_REFUSED" in why
    assert "could not open" in agent.refuses("go to http://127.0.0.1:30199/")


def test_caller_that_hangs_up_ends_what_it_has_begun(agent: Agent) -> None:
    silent = "import socket, time; s = socket.create_server(('127.0.0.1', 30150)); time.sleep(1000)"
    agent.api.start(agent.session_id, silent, 30150)
    args = json.dumps({"url": "http://127.0.0.1:30150/"})
    body = {"sessionId": agent.session_id, "name": "page_use_navigate", "args": args}
    with pytest.raises(httpx.ReadTimeout):
        agent.api.http.post("/mcp", json=body, timeout=1)
    # Otherwise the page would be busy until the time limit of navigations, which is 30 seconds.
    assert agent.does("click the first Buy button", timeout_ms=15_000) == ["clicked the button 'Buy'"]


@pytest.mark.long
def test_browser_that_does_not_run_and_one_that_is_stopped(api: Api) -> None:
    session_id = str(api.post("/mcp/createSession", {"imageId": IMAGE})["sessionId"])
    agent = Agent(api, session_id)
    ok, why = agent.call("navigate", url="about:blank")
    assert not ok
    assert "initialize it first" in why
    assert agent.call("act_async", action="click Send")[0] is False
    assert agent.call("close_session") == (True, "closed")
    for _ in range(2):  # what connects to the second browser must not be kept from the first one
        api.post("/browser/init", {"sessionId": session_id, "browserOption": "{}"})
        agent.call("navigate", url="data:text/html,<button>Go</button>")
        assert agent.does("click Go") == ["clicked the button 'Go'"]
        task = json.loads(agent.call("act_async", action="wait 100 seconds")[1])["task_id"]
        assert api.tool(session_id, "stopChrome")["isError"] is False
        done = json.loads(agent.call("get_act_result", task_id=task)[1])
        assert (done["is_done"], done["success"]) == (True, False)
        assert agent.call("act", action="click Go")[0] is False
    api.release(session_id)


def test_driver_that_ends_is_started_again(api: Api, agent: Agent) -> None:
    (driver,) = drivers(api.server.pid)
    os.kill(driver, signal.SIGKILL)
    assert wait_for_end(driver)
    agent.call("act", action="click Buy")  # it may notice, and fail; the next one has a driver of its own
    assert agent.does("click the first Buy button") == ["clicked the button 'Buy'"]
    assert len(drivers(api.server.pid)) == 1


def drivers(pid: int) -> list[int]:
    """Return the processes of Playwright's driver below a process."""
    found = []
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            if "playwright" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found
