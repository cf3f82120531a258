# Generated from tests/_async/test_browser_contexts.py by tools/unasync.py. Do not edit.
"""What a browser keeps from one session to the next: profile, fingerprint and extensions; and broken surroundings."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agb import (
    AGB,
    BrowserContext,
    BrowserError,
    BrowserFingerprint,
    BrowserFingerprintContext,
    BrowserOption,
    BrowserProxy,
    Config,
    CreateSessionParams,
    ExtensionsService,
)
from agb.local import LocalServer
from tests.browsers import BROWSING, needs_browser, new_name

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = [needs_browser]
SHOP = "https://shop.example/"
MANIFEST: dict[str, Any] = {
    "manifest_version": 3,
    "name": "Greeter",
    "version": "1",
    "content_scripts": [{"matches": ["<all_urls>"], "js": ["greet.js"], "run_at": "document_start"}],
}


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 120_000))


def extension(directory: Path, manifest: str) -> Path:
    path = directory / "greeter.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", manifest)
        archive.writestr("greet.js", "document.documentElement.dataset.greeting = 'hello'")
    return path


def answer_of_the_shop(route: Route) -> None:
    route.fulfill(body="<title>Shop</title>", content_type="text/html")


def visit(page: Page) -> dict[str, Any]:
    """Return what a shop sees of its visitor."""
    page.route(f"{SHOP}**", answer_of_the_shop)
    page.goto(SHOP)
    return {
        "cookies": {cookie.get("name"): cookie.get("value") for cookie in page.context.cookies(SHOP)},
        "agent": page.evaluate("navigator.userAgent"),
        "greeting": page.evaluate("document.documentElement.dataset.greeting"),
    }


@pytest.mark.one_flavour
def test_browser_is_the_same_in_the_next_session(runtime: LocalServer, tmp_path: Path) -> None:
    with client(runtime) as agb:
        profile = agb.context.create(new_name()).raise_for_error().context
        fingerprint = agb.context.create(new_name()).raise_for_error().context
        assert profile is not None
        assert fingerprint is not None
        extensions = ExtensionsService(agb, new_name())
        greeter = extensions.create(extension(tmp_path, json.dumps(MANIFEST)))
        context = BrowserContext(
            profile.id,
            extension_option=extensions.create_extension_option([greeter.id]),
            fingerprint_context=BrowserFingerprintContext(fingerprint.id),
        )
        params = CreateSessionParams(image_id="agb-browser-use-1", browser_context=context)
        option = BrowserOption(
            use_stealth=True,
            fingerprint=BrowserFingerprint(["desktop"], ["windows", "macos"]),
            fingerprint_persistent=True,
        )
        seen = []
        for number in range(2):
            session = agb.create(params).raise_for_error().session
            assert session is not None
            try:
                with session.browser.page(option) as page:
                    assert session.browser.warnings == ()
                    if number == 0:
                        expires = time.time() + 3600
                        page.context.add_cookies(
                            [{"name": "basket", "value": "3 apples", "url": SHOP, "expires": expires}]
                        )
                    seen.append(visit(page))
            finally:
                deleted = session.delete(sync_context=True)
            assert (deleted.success, deleted.error_message) == (True, "")
        assert seen[0] == seen[1]
        assert seen[0]["cookies"] == {"basket": "3 apples"}
        assert seen[0]["greeting"] == "hello"
        assert "Linux" not in seen[0]["agent"]
        assert extensions.cleanup()
        for used in (profile, fingerprint):
            assert agb.context.delete(used).success


@pytest.mark.long
def test_extension_that_is_broken_is_a_warning(runtime: LocalServer, tmp_path: Path) -> None:
    with client(runtime) as agb:
        profile = agb.context.create(new_name()).raise_for_error().context
        assert profile is not None
        extensions = ExtensionsService(agb, new_name())
        broken = extensions.create(extension(tmp_path, "{"))
        context = BrowserContext(profile.id, extension_option=extensions.create_extension_option([broken.id]))
        params = CreateSessionParams(image_id="agb-browser-use-1", browser_context=context)
        with agb.session(params) as session, session.browser.page() as page:
            (warning,) = session.browser.warnings
            assert "extension" in warning
            assert visit(page)["greeting"] is None


@pytest.mark.long
def test_surroundings_that_are_not_there(runtime: LocalServer) -> None:
    """A proxy that is away, and a page that does not load, are errors of the page; the browser goes on."""
    from playwright.sync_api import Error, sync_playwright

    def never(route: Route) -> None:
        del route

    with client(runtime) as agb, agb.session(BROWSING) as session:
        browser = session.browser
        option = BrowserOption(proxies=[BrowserProxy("custom", "127.0.0.1:9", "me", "hidden-secret")])
        with browser.page(option) as page:
            with pytest.raises(Error):
                page.goto(SHOP)
            page.route("http://slow.example/**", never)
            with pytest.raises(Error, match="Timeout 100ms"):
                page.goto("http://slow.example/", timeout=100)
            other = page.context.new_page()
            other.set_content("<title>still there</title>")
            assert other.title() == "still there"
            url = browser.get_endpoint_url()
        with sync_playwright() as playwright:
            with pytest.raises(Error):  # the browser has ended
                playwright.chromium.connect_over_cdp(url, timeout=20_000)
            browser.start(BrowserOption())
            good = browser.get_endpoint_url()
            token = good.split("/cdp/")[1].partition("/")[0]
            assert token not in url
            for wrong in (good.replace(token, "0" * len(token)), url):
                with pytest.raises(Error):
                    playwright.chromium.connect_over_cdp(wrong, timeout=20_000)
            connection = playwright.chromium.connect_over_cdp(good)
            assert connection.contexts
            connection.close()
    with pytest.raises(BrowserError):
        browser.start()
