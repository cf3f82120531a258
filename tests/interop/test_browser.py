"""The browser of a session, driven through the other SDK's names: options, fingerprints, profiles and extensions."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from .harness import IMAGE, Sessions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from agb import AGB, Session

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
BROWSING = "agb-browser-use-1"
SHOP = "https://shop.example/"


@pytest.fixture(scope="module")
def browsing(module_sessions: Sessions) -> Session:
    """A session whose browser each test starts and stops."""
    return module_sessions.create(image=BROWSING)


@contextmanager
def connected(session: Session) -> Iterator[Browser]:
    """Connect to the browser that was initialized, as the SDK's examples do; stop it at the end."""
    with playwright.sync_playwright() as driver:
        yield driver.chromium.connect_over_cdp(session.browser.get_endpoint_url())
    session.browser.destroy()
    session.browser._initialized = False  # type: ignore[attr-defined]  # 0.12 does not do that itself


def visit(page: Page) -> None:
    page.route(f"{SHOP}**", lambda route: route.fulfill(body="<title>Shop</title>", content_type="text/html"))
    page.goto(SHOP)


def test_browser_with_options(browsing: Session) -> None:
    from agb.modules.browser import BrowserOption, BrowserScreen, BrowserViewport

    option = BrowserOption(
        use_stealth=True,
        user_agent="Interop/1",
        viewport=BrowserViewport(1280, 720),
        screen=BrowserScreen(1440, 900),
        cmd_args=["--lang=de"],
        default_navigate_url="chrome://version/",
    )
    assert browsing.browser.initialize(option)
    assert browsing.browser.is_initialized()
    assert browsing.browser.get_option() is option
    assert isinstance(browsing.browser.endpoint_router_port, int)
    with connected(browsing) as browser:
        first = browser.contexts[0].pages[0]
        first.wait_for_url("chrome://version/")
        assert "--lang=de" in (first.locator("#command_line").text_content() or "")
        page = browser.contexts[0].new_page()
        visit(page)
        assert page.evaluate("[navigator.userAgent, navigator.webdriver, innerWidth, screen.width]") == [
            "Interop/1",
            False,
            1280,
            1440,
        ]


def test_browser_is_started_again_with_another_option(browsing: Session) -> None:
    from agb.modules.browser import BrowserOption

    for agent in ("First/1", "Second/1"):
        assert browsing.browser.initialize(BrowserOption(user_agent=agent))
        with connected(browsing) as browser:
            assert browser.contexts[0].new_page().evaluate("navigator.userAgent") == agent


def test_asynchronous_names(browsing: Session) -> None:
    from playwright.async_api import async_playwright

    from agb.modules.browser import BrowserOption

    async def program() -> bytes:
        assert await browsing.browser.initialize_async(BrowserOption())
        async with async_playwright() as driver:
            browser = await driver.chromium.connect_over_cdp(browsing.browser.get_endpoint_url())
            page = await browser.contexts[0].new_page()
            await page.set_content("<div style='height: 2000px'></div>")
            picture = browsing.browser.screenshot(page, full_page=True)
            return bytes(await picture)

    assert asyncio.run(program()).startswith(b"\x89PNG")
    browsing.browser.destroy()
    browsing.browser._initialized = False  # type: ignore[attr-defined]


def test_image_without_a_browser(module_sessions: Sessions) -> None:
    from agb.exceptions import BrowserError
    from agb.modules.browser import BrowserOption

    session = module_sessions.create(image=IMAGE)
    assert session.browser.initialize(BrowserOption()) is False
    with pytest.raises(BrowserError, match="not initialized"):
        session.browser.get_endpoint_url()


def test_fingerprint_that_is_given(browsing: Session) -> None:
    from agb.modules.browser import BrowserOption, FingerprintFormat

    screen = dict.fromkeys(
        (
            *("availHeight", "availTop", "availLeft", "height", "pageXOffset", "pageYOffset", "innerHeight"),
            *("outerHeight", "outerWidth", "innerWidth", "screenX", "clientWidth", "clientHeight"),
        ),
        0,
    )
    screen |= {"availWidth": 1600, "width": 1600, "height": 900, "availHeight": 900, "colorDepth": 24, "pixelDepth": 24}
    engine = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    agent = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {engine}"
    found = FingerprintFormat.load(
        {
            "fingerprint": {
                "screen": {**screen, "devicePixelRatio": 1.0, "hasHDR": False},
                "navigator": {
                    "userAgent": agent,
                    "platform": "Win32",
                    "hardwareConcurrency": 4,
                    "languages": ["en-US"],
                },
            },
            "headers": {"user-agent": agent},
        }
    )
    assert browsing.browser.initialize(BrowserOption(use_stealth=True, fingerprint_format=found))
    with connected(browsing) as browser:
        page = browser.contexts[0].new_page()
        visit(page)
        assert page.evaluate("[navigator.userAgent, navigator.platform, screen.width]") == [agent, "Win32", 1600]


def test_profile_and_extension_in_the_next_session(agb: AGB, sessions: Sessions, tmp_path: Path) -> None:
    from agb.extension import ExtensionsService
    from agb.modules.browser import BrowserFingerprint, BrowserFingerprintContext, BrowserOption
    from agb.session_params import BrowserContext

    path = tmp_path / "greeter.zip"
    script: dict[str, Any] = {"matches": ["<all_urls>"], "js": ["greet.js"], "run_at": "document_start"}
    manifest = {"manifest_version": 3, "name": "Greeter", "version": "1", "content_scripts": [script]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("greet.js", "document.documentElement.dataset.greeting = 'hello'")
    extensions = ExtensionsService(agb, f"interop-{uuid4().hex}")
    option = extensions.create_extension_option([extensions.create(str(path)).id])
    profile, fingerprint = (agb.context.get(f"interop-{uuid4().hex}", create=True).context for _ in range(2))
    assert profile is not None
    assert fingerprint is not None
    context = BrowserContext(
        profile.id,
        extension_option=option,
        fingerprint_context=BrowserFingerprintContext(fingerprint.id),
    )
    browser_option = BrowserOption(
        use_stealth=True, fingerprint=BrowserFingerprint(["desktop"], ["macos"]), fingerprint_persistent=True
    )
    seen = []
    for number in range(2):
        session = sessions.create(image=BROWSING, browser_context=context)
        assert session.browser.initialize(browser_option)
        with connected(session) as browser:
            page = browser.contexts[0].new_page()
            visit(page)
            cookies = browser.contexts[0].cookies(SHOP)
            seen.append(
                [page.evaluate("document.documentElement.dataset.greeting"), page.evaluate("navigator.userAgent")]
            )
            assert [cookie.get("value") for cookie in cookies] == ["3 apples"] * number
            browser.contexts[0].add_cookies(
                [{"name": "basket", "value": "3 apples", "url": SHOP, "expires": time.time() + 3600}]
            )
        assert agb.delete(session, sync_context=True).success
    assert seen[0] == seen[1]
    assert seen[0][0] == "hello"
    assert "Macintosh" in seen[0][1]
    assert extensions.cleanup()
