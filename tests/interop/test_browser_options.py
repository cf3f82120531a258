"""The options of a browser, as 0.12's classes send them, and what pages see of them."""

from __future__ import annotations

import asyncio
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), reason="Chromium is not installed"
)
playwright = pytest.importorskip("playwright.sync_api")
sdk = pytest.importorskip("agb.modules.browser")

MANIFEST = """{
  "name": "retitle", "version": "1", "manifest_version": 3,
  "content_scripts": [{"matches": ["<all_urls>"], "js": ["retitle.js"], "run_at": "document_end"}]
}"""
SCREEN = {
    "availHeight": 900,
    "availWidth": 1440,
    "availTop": 0,
    "availLeft": 0,
    "colorDepth": 24,
    "height": 900,
    "pixelDepth": 24,
    "width": 1440,
    "devicePixelRatio": 1.0,
    "pageXOffset": 0,
    "pageYOffset": 0,
    "innerHeight": 0,
    "outerHeight": 0,
    "outerWidth": 0,
    "innerWidth": 0,
    "screenX": 0,
    "clientWidth": 0,
    "clientHeight": 0,
    "hasHDR": False,
}


@contextmanager
def browser(agb: Any, option: Any, **params: Any) -> Iterator[tuple[Any, Any]]:
    """The first page of a browser in a new session, and the session."""
    from agb import CreateSessionParams

    created = agb.create(CreateSessionParams(image_id="agb-browser-use-1", **params))
    assert created.success, created.error_message
    session = created.session
    try:
        assert session.browser.initialize(option)
        with playwright.sync_playwright() as driver:
            connected = driver.chromium.connect_over_cdp(session.browser.get_endpoint_url())
            yield connected.contexts[0].pages[0], session
            connected.close()
    finally:
        agb.delete(session)


def test_windows_switches_and_an_extension(agb: Any, tmp_path: Path) -> None:
    from agb import ExtensionsService
    from agb.session_params import BrowserContext

    archive = tmp_path / "retitle.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("manifest.json", MANIFEST)
        made.writestr("retitle.js", "document.title = 'retitled'")
    extensions = ExtensionsService(agb, f"interop-extensions-{uuid4().hex}")
    profile = agb.context.get(f"interop-profile-{uuid4().hex}", create=True)
    extension = extensions.create(str(archive))
    option = extensions.create_extension_option([extension.id])
    context = BrowserContext(profile.context_id, extension_option=option)
    try:
        with browser(
            agb,
            sdk.BrowserOption(
                use_stealth=True,
                viewport=sdk.BrowserViewport(1000, 700),
                screen=sdk.BrowserScreen(1600, 1000),
                cmd_args=["--disable-features=PrivacySandboxSettings4"],
                default_navigate_url="chrome://version/",
                browser_type="chrome",
                solve_captchas=True,
            ),
            browser_context=context,
        ) as (page, session):
            assert page.url == "chrome://version/"
            assert "--disable-features=PrivacySandboxSettings4" in page.content()
            session.file.write("/tmp/page.html", "<title>plain</title>")
            assert page.evaluate("[innerWidth, innerHeight, screen.width, navigator.webdriver]") == [
                1000,
                700,
                1600,
                False,
            ]
            session.command.execute(
                "cd /tmp && nohup python3 -m http.server 30100 --bind 127.0.0.1 > /dev/null 2>&1 & "
                "until (exec 3<>/dev/tcp/127.0.0.1/30100) 2>/dev/null; do :; done",
                timeout_ms=60_000,
            )
            page.goto("http://127.0.0.1:30100/page.html")
            assert page.title() == "retitled"
    finally:
        extensions.cleanup()


def test_fingerprint_is_carried_to_the_next_session(agb: Any) -> None:
    from agb.session_params import BrowserContext

    stored = agb.context.get(f"interop-fingerprint-{uuid4().hex}", create=True)
    profile = agb.context.get(f"interop-profile-{uuid4().hex}", create=True)
    context = BrowserContext(profile.context_id, fingerprint_context=sdk.BrowserFingerprintContext(stored.context_id))
    seen = "[navigator.userAgent, navigator.platform, navigator.hardwareConcurrency, screen.width, navigator.languages]"
    criteria = sdk.BrowserFingerprint(devices=["desktop"], operating_systems=["windows", "macos"], locales=["de-DE"])
    option = sdk.BrowserOption(use_stealth=True, fingerprint=criteria, fingerprint_persistent=True)
    with browser(agb, option, browser_context=context) as (page, session):
        first = page.evaluate(seen)
        assert first[4] == ["de-DE", "de"]
        sync = session.context.sync(stored.context_id, "/tmp/agb_browser_fingerprint")
        with ThreadPoolExecutor(1) as thread:  # Playwright's event loop runs in this one
            assert thread.submit(asyncio.run, sync).result().success
    option = sdk.BrowserOption(use_stealth=True, fingerprint_persistent=True)
    with browser(agb, option, browser_context=context) as (page, _):
        assert page.evaluate(seen) == first


def test_given_fingerprint(agb: Any) -> None:

    agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0"
    brands = [{"brand": "Google Chrome", "version": "156"}]
    given = sdk.FingerprintFormat.load(
        {
            "fingerprint": {
                "screen": SCREEN,
                "navigator": {
                    "userAgent": agent,
                    "userAgentData": {"brands": brands, "mobile": False, "platform": "macOS"},
                    "languages": ["fr-FR", "fr"],
                    "platform": "MacIntel",
                    "hardwareConcurrency": 10,
                },
                "videoCard": {"vendor": "Google Inc. (Apple)", "renderer": "ANGLE (Apple, Apple M1)"},
            },
            "headers": {"user-agent": agent},
        }
    )
    with browser(agb, sdk.BrowserOption(use_stealth=True, fingerprint_format=given)) as (page, _):
        seen = "[navigator.userAgent, navigator.platform, navigator.hardwareConcurrency, screen.width]"
        assert page.evaluate(seen) == [agent, "MacIntel", 10, 1440]


def test_proxy_of_the_cloud_service_is_refused(agb: Any) -> None:
    from agb import CreateSessionParams

    session = agb.create(CreateSessionParams(image_id="agb-browser-use-1")).session
    assert session is not None
    proxy = sdk.BrowserProxy(proxy_type="managed", strategy="sticky", user_id="u")
    assert not session.browser.initialize(sdk.BrowserOption(proxies=[proxy]))
    assert session.browser.initialize(sdk.BrowserOption())
    assert agb.delete(session).success
