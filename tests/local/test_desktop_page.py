"""Pictures of a desktop by URL, and its screen in the session's page, where a person works on it."""

from __future__ import annotations

import io
import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from .browser import needs_chromium
from .conftest import Api
from .desktops import Desk, desk, needs_desktop

pytestmark = needs_desktop
__all__ = ["desk"]


def _url_of_picture(desk: Desk) -> str:
    result = desk.api.tool(desk.id, "system_screenshot")
    assert not result["isError"], result
    return str(result["content"][0]["text"])


def test_picture_is_fetched_by_its_url_without_a_key(desk: Desk) -> None:
    from PIL import Image

    url = _url_of_picture(desk)
    assert url.startswith(f"{desk.api.server.endpoint}/sessions/{desk.id}/screenshots/")
    answer = httpx.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).size == (1920, 1080)
    other = "A" if url[-5] != "A" else "B"
    assert httpx.get(f"{url[:-5]}{other}.png").status_code == 404
    assert httpx.get(url.replace(desk.id, "s-0")).status_code == 404


def test_pictures_end_with_the_session(api: Api) -> None:
    session = api.post("/mcp/createSession", {"imageId": "agb-computer-use-1"})["sessionId"]
    url = _url_of_picture(Desk(api, session))
    api.release(session)
    assert httpx.get(url).status_code == 404


def test_each_way_to_take_a_picture_has_an_image(api: Api, desk: Desk) -> None:
    """Clients take a picture by ``screenshot`` with a linkUrl, and by ``system_screenshot`` without."""
    assert api.post("/mcp/getSession", sessionId=desk.id)["linkUrl"]
    made = api.post("/mcp/createSession", {"imageId": "agb-computer-use-1"})
    assert made["linkUrl"] == ""
    assert api.post("/mcp/getSession", sessionId=made["sessionId"])["linkUrl"] == ""
    api.release(made["sessionId"])


def test_desktop_info_leads_viewers_to_the_screen(desk: Desk) -> None:
    resource = desk.api.post("/mcp/getMcpResource", sessionId=desk.id)
    info = resource["desktopInfo"]
    assert set(info) == {"appId", "authCode", "connectionProperties", "resourceId", "resourceType", "ticket"}
    url = json.loads(info["connectionProperties"])["url"]
    with connect(url, subprotocols=["binary"]) as viewer:  # type: ignore[list-item]
        assert viewer.subprotocol == "binary"
        assert viewer.recv() == b"RFB 003.008\n"
    with pytest.raises(InvalidStatus, match="403"):
        connect(url.replace(info["authCode"], "wrong"))


def test_code_image_has_no_desktop_info(api: Api, session: str) -> None:
    resource = api.post("/mcp/getMcpResource", sessionId=session)
    assert "desktopInfo" not in resource
    assert "id=desktop" not in httpx.get(resource["resourceUrl"]).text


def test_page_loads_the_viewer_and_nothing_else(desk: Desk) -> None:
    resource = desk.api.post("/mcp/getMcpResource", sessionId=desk.id)
    answer = httpx.get(resource["resourceUrl"])
    policy = answer.headers["content-security-policy"]
    endpoint = desk.api.server.endpoint
    assert f" {endpoint}/novnc/; connect-src 'self' ws{endpoint.removeprefix('http')};" in policy
    assert "unsafe" not in policy
    code = parse_qs(urlsplit(resource["resourceUrl"]).query)["authcode"][0]
    assert code in answer.text


@needs_chromium
def test_person_types_into_a_terminal_on_the_page(desk: Desk, address_of_a_browser: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    desk.terminal("by_hand")
    (window,) = desk.call("list_root_windows")
    url = desk.api.post("/mcp/getMcpResource", sessionId=desk.id)["resourceUrl"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.connect_over_cdp(address_of_a_browser)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(url)
        page.wait_for_selector("#desktop[data-state=shown] canvas")
        box = page.locator("#desktop canvas").bounding_box()
        assert box is not None
        x = window["absolute_upper_left_x"] + window["width"] / 2
        y = window["absolute_upper_left_y"] + window["height"] / 2
        page.mouse.click(box["x"] + x * box["width"] / 1920, box["y"] + y * box["height"] / 1080)
        page.keyboard.type("Typed by hand: 1 + 1 = 2\n")
        text = "Typed by hand: 1 + 1 = 2\n"
        assert desk.typed(text, "by_hand") == text
        assert problems == []
        position = desk.position()
        assert abs(position[0] - x) <= 2
        assert abs(position[1] - y) <= 2

        page.keyboard.press("Control+F6")  # Tab would go to the screen
        page.wait_for_selector("#text:focus")
        page.keyboard.insert_text("größer, 日本語 😀")  # as an input method does
        page.keyboard.press("Enter")
        page.wait_for_selector("#text:placeholder-shown")  # it was typed
        page.get_by_role("button", name="Enter").click()
        text += "größer, 日本語 😀\n"
        assert desk.typed(text, "by_hand") == text
        page.get_by_role("textbox", name="Text to type").press("Shift+Tab")
        assert page.evaluate("document.activeElement.ariaLabel").startswith("Screen of the session")
        assert problems == []
        page.context.close()
        browser.close()
    desk.close_terminals()


def test_who_may_type(desk: Desk, api: Api, session: str) -> None:
    page = desk.api.post("/mcp/getMcpResource", sessionId=desk.id)["resourceUrl"]
    url = page.replace("/page?", "/typed?")
    ours = {"origin": api.server.endpoint}
    for address, headers in (
        (url, {}),
        (url, {"origin": "https://example.com"}),
        (url.replace("authcode=", "authcode=x"), ours),
        (url.replace(desk.id, session), ours),
    ):
        assert httpx.post(address, content="x", headers=headers).status_code == 403
    without_desktop = api.post("/mcp/getMcpResource", sessionId=session)["resourceUrl"].replace("/page?", "/typed?")
    answer = httpx.post(without_desktop, content="x", headers=ours)
    assert (answer.status_code, "has no desktop" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [(b"\xff", 400, "UTF-8"), (b"x" * 5000, 413, "too long"), (b"a\x07", 400, "control character")],
)
def test_text_that_is_not_typed(desk: Desk, body: bytes, status: int, reason: str) -> None:
    page = desk.api.post("/mcp/getMcpResource", sessionId=desk.id)["resourceUrl"]
    headers = {"origin": desk.api.server.endpoint}
    answer = httpx.post(page.replace("/page?", "/typed?"), content=body, headers=headers)
    assert (answer.status_code, reason in answer.text) == (status, True), answer.text
