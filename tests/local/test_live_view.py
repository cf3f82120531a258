"""The live view of a session's browser on the session's page, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.sync.client import ClientConnection

from .browser import SECONDS, Browser, needs_chromium
from .browsers import cdp_link, initialize, new_session, status_of, websocket
from .conftest import Api

pytestmark = needs_chromium

FORM = "data:text/html,<title>Form</title><input autofocus style='position:fixed;left:50vw;top:50vh'>"
VALUE = "document.querySelector('input').value"


@pytest.fixture(scope="module")
def shown(api: Api) -> Iterator[str]:
    """The id of a session whose browser shows a form."""
    session_id = new_session(api)
    assert initialize(api, session_id)["success"]
    with websocket(cdp_link(api, session_id)) as connection:
        Browser(connection, is_first=True).open(FORM)
    yield session_id
    api.release(session_id)


def page_of(api: Api, session_id: str) -> str:
    return str(api.post("/mcp/getMcpResource", sessionId=session_id)["resourceUrl"])


def live(page: str, **options: Any) -> Any:
    """Return the WebSocket of the live view of a page."""
    return websocket(page.replace("http", "ws", 1).replace("/page?", "/live?"), **options)


def messages(view: ClientConnection) -> Iterator[str | bytes]:
    """Return what is sent until the view is closed."""
    with suppress(ConnectionClosedOK, ConnectionClosedError):
        while True:
            yield view.recv(SECONDS)


def test_person_fills_a_form(api: Api, shown: str, visitor: Browser) -> None:
    visitor.open(page_of(api, shown))
    visitor.until("!document.querySelector('#browser').hidden && document.querySelector('canvas').width > 300")
    assert visitor.until("document.querySelector('#tabs .shown').textContent").startswith("Form")
    assert visitor.run("document.querySelector('#address').value").startswith("data:text/html,")

    visitor.run("document.querySelector('#browser').scrollIntoView()")
    box = visitor.run("JSON.stringify(document.querySelector('canvas').getBoundingClientRect())")
    x, y = (json.loads(box)[side] + json.loads(box)[size] * 0.52 for side, size in (("x", "width"), ("y", "height")))
    for kind in ("mousePressed", "mouseReleased"):
        visitor._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    for letter in "Hi":
        code = {"key": letter, "windowsVirtualKeyCode": ord(letter.upper())}
        visitor._call("Input.dispatchKeyEvent", type="keyDown", text=letter, **code)
        visitor._call("Input.dispatchKeyEvent", type="keyUp", **code)
    visitor._call("Input.insertText", text=" 世界 😀")  # as an input method does

    with websocket(cdp_link(api, shown)) as connection:
        page = Browser(connection, is_first=True)
        assert page.until(f"{VALUE} === 'Hi 世界 😀' && {VALUE}") == "Hi 世界 😀"
        visitor._call("Input.dispatchKeyEvent", type="rawKeyDown", key="Backspace", windowsVirtualKeyCode=8)
        assert page.until(f"{VALUE} === 'Hi 世界 ' && {VALUE}") == "Hi 世界 "

    visitor.run("document.querySelector('#address').value = 'data:text/html,<title>Other</title>'")
    visitor.run("document.querySelector('#bar').requestSubmit()")
    visitor.until("document.querySelector('#tabs .shown').textContent.startsWith('Other')")
    visitor.run("document.querySelector('#back').click()")
    visitor.until("document.querySelector('#tabs .shown').textContent.startsWith('Form')")
    visitor.run("document.querySelector('#new-tab').click()")
    visitor.until("document.querySelectorAll('#tabs > span').length === 2")
    visitor.run("document.querySelector('#tabs .shown [title=Close]').click()")
    visitor.until("document.querySelectorAll('#tabs > span').length === 1")
    errors = visitor.run("document.body.className")
    assert errors == "live"


def press(visitor: Browser, key: str, number: int, modifiers: int = 0) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        visitor._call(
            "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=number, modifiers=modifiers
        )


def test_keyboard_alone_reaches_everything(api: Api, shown: str, visitor: Browser) -> None:
    """Tab goes through tabs, buttons and address into the page, which receives it from there on."""
    with websocket(cdp_link(api, shown)) as connection:
        Browser(connection, is_first=True).open(FORM)
    visitor.open(page_of(api, shown))
    visitor.until("document.querySelector('#tabs .shown').textContent.startsWith('Form')")
    visitor.run("document.querySelector('#tabs button').focus()")
    names = []
    for _ in range(8):
        names.append(visitor.run("document.activeElement.ariaLabel"))
        press(visitor, "Tab", 9)
    assert names[:-1] == ["Form", "Close Form", "New tab", "Back", "Forward", "Reload", "Address"]
    assert names[-1].startswith("The page; what is typed here")
    assert visitor.run("document.querySelector('#tabs button').ariaCurrent") == "true"
    assert visitor.run("document.activeElement.id") == "keys"
    visitor._call("Input.dispatchKeyEvent", type="rawKeyDown", key="F6", windowsVirtualKeyCode=117, modifiers=2)
    visitor._call("Input.dispatchKeyEvent", type="keyUp", key="Control", windowsVirtualKeyCode=17)
    assert visitor.run("document.activeElement.id") == "address"


def test_tab_that_has_the_keyboard_keeps_it(api: Api, shown: str, visitor: Browser) -> None:
    visitor.open(page_of(api, shown))
    visitor.until("document.querySelector('#tabs .shown')")
    visitor.run("document.querySelector('#tabs button').focus()")
    with websocket(cdp_link(api, shown)) as connection:
        Browser(connection, is_first=True).open("data:text/html,<title>Renamed</title>")
    visitor.until("document.activeElement.ariaLabel === 'Renamed'")


def test_what_has_the_keyboard_is_not_replaced(api: Api, shown: str, visitor: Browser) -> None:
    visitor.open(page_of(api, shown))
    visitor.run("show('<a id=old href=#>link</a>')")
    visitor.run("document.querySelector('#old').focus()")
    visitor.run("show('<p id=new>')")
    assert visitor.run("document.querySelector('#old') === document.activeElement")
    visitor.run("document.activeElement.blur(); show('<p id=new>')")
    assert visitor.run("document.querySelector('#new') !== null")


def test_pictures_wait_for_the_viewer(api: Api, shown: str) -> None:
    moving = (
        "<body><script>setInterval(() => document.body.style.background = `hsl(${Date.now()} 50% 50%)`, 5)</script>"
    )
    with websocket(cdp_link(api, shown)) as connection, live(page_of(api, shown), origin=api.server.endpoint) as view:
        page = Browser(connection, is_first=True)
        page._call("Page.navigate", url=f"data:text/html,{moving}")
        picture = next(message for message in messages(view) if isinstance(message, bytes))
        assert picture.startswith(b"\xff\xd8\xff")
        # Not acknowledged, so nothing but the state of the tabs comes.
        view.send(json.dumps({"type": "go", "url": "data:text/html,<title>Next</title>"}))
        assert all(isinstance(message, str) for message in _until_title(view, "Next"))
        view.send(json.dumps({"type": "seen"}))
        assert any(isinstance(message, bytes) for message in messages(view))


def _until_title(view: ClientConnection, title: str) -> Iterator[str | bytes]:
    for message in messages(view):
        yield message
        if isinstance(message, str) and any(found["title"] == title for found in json.loads(message)["tabs"]):
            return


def test_dialog_is_answered_by_the_person(api: Api, shown: str) -> None:
    with websocket(cdp_link(api, shown)) as connection, live(page_of(api, shown), origin=api.server.endpoint) as view:
        next(state for state in map(json.loads, _states(view)) if state["shown"])  # dialogs of this page are ours now
        page = Browser(connection, is_first=True)
        page.run("setTimeout(() => document.title = String(prompt('Name?', 'none')), 0), 1")
        dialog = next(state for state in map(json.loads, _states(view)) if state["dialog"])["dialog"]
        assert dialog == {"type": "prompt", "message": "Name?", "defaultPrompt": "none"}
        view.send(json.dumps({"type": "dialog", "accept": True, "text": "Ada"}))
        assert page.until("document.title === 'Ada'")


def _states(view: ClientConnection) -> Iterator[str]:
    for message in messages(view):
        if isinstance(message, str):
            yield message
        else:
            view.send(json.dumps({"type": "seen"}))


def test_who_may_look(api: Api, shown: str) -> None:
    page = page_of(api, shown)
    url = page.replace("http", "ws", 1).replace("/page?", "/live?")
    assert status_of(url) == 403  # no page of this server asks
    assert status_of(url, origin="https://example.com") == 403
    assert status_of(url.replace("authcode=", "authcode=x"), origin=api.server.endpoint) == 403
    other = api.create()["sessionId"]
    assert status_of(url.replace(shown, other), origin=api.server.endpoint) == 403
    api.release(other)


@pytest.mark.parametrize(
    "message", ["x", "[]", '{"type": "mouse", "kind": "mouseMoved", "x": 5, "y": 0}', '{"type": "other"}']
)
def test_message_that_makes_no_sense(api: Api, shown: str, message: str) -> None:
    with live(page_of(api, shown), origin=api.server.endpoint) as view:
        view.send(message)
        for _ in messages(view):
            pass
        assert view.close_code == 1003


def test_session_without_a_running_browser(api: Api) -> None:
    session_id = new_session(api)
    with live(page_of(api, session_id), origin=api.server.endpoint) as view:
        assert list(messages(view)) == []
        assert view.close_reason is not None
        assert view.close_reason.startswith("no browser runs")
    api.release(session_id)
