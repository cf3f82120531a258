"""What a browser keeps from one session to the next: profile, fingerprint and extensions; and broken surroundings."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agb import (
    AsyncAGB,
    AsyncExtensionsService,
    BrowserContext,
    BrowserError,
    BrowserFingerprint,
    BrowserFingerprintContext,
    BrowserOption,
    BrowserProxy,
    Config,
    CreateSessionParams,
)
from agb.local import LocalServer
from tests.browsers import BROWSING, needs_browser, new_name

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

pytestmark = [pytest.mark.anyio, needs_browser]
SHOP = "https://shop.example/"
MANIFEST: dict[str, Any] = {
    "manifest_version": 3,
    "name": "Greeter",
    "version": "1",
    "content_scripts": [{"matches": ["<all_urls>"], "js": ["greet.js"], "run_at": "document_start"}],
}


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 120_000))


def extension(directory: Path, manifest: str) -> Path:
    path = directory / "greeter.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", manifest)
        archive.writestr("greet.js", "document.documentElement.dataset.greeting = 'hello'")
    return path


async def answer_of_the_shop(route: Route) -> None:
    await route.fulfill(body="<title>Shop</title>", content_type="text/html")


async def visit(page: Page) -> dict[str, Any]:
    """Return what a shop sees of its visitor."""
    await page.route(f"{SHOP}**", answer_of_the_shop)
    await page.goto(SHOP)
    return {
        "cookies": {cookie.get("name"): cookie.get("value") for cookie in await page.context.cookies(SHOP)},
        "agent": await page.evaluate("navigator.userAgent"),
        "greeting": await page.evaluate("document.documentElement.dataset.greeting"),
    }


@pytest.mark.one_flavour
async def test_browser_is_the_same_in_the_next_session(runtime: LocalServer, tmp_path: Path) -> None:
    async with client(runtime) as agb:
        profile = (await agb.context.create(new_name())).raise_for_error().context
        fingerprint = (await agb.context.create(new_name())).raise_for_error().context
        assert profile is not None
        assert fingerprint is not None
        extensions = AsyncExtensionsService(agb, new_name())
        greeter = await extensions.create(extension(tmp_path, json.dumps(MANIFEST)))
        context = BrowserContext(
            profile.id,
            extension_option=await extensions.create_extension_option([greeter.id]),
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
            session = (await agb.create(params)).raise_for_error().session
            assert session is not None
            try:
                async with session.browser.page(option) as page:
                    assert session.browser.warnings == ()
                    if number == 0:
                        expires = time.time() + 3600
                        await page.context.add_cookies(
                            [{"name": "basket", "value": "3 apples", "url": SHOP, "expires": expires}]
                        )
                    seen.append(await visit(page))
            finally:
                deleted = await session.delete(sync_context=True)
            assert (deleted.success, deleted.error_message) == (True, "")
        assert seen[0] == seen[1]
        assert seen[0]["cookies"] == {"basket": "3 apples"}
        assert seen[0]["greeting"] == "hello"
        assert "Linux" not in seen[0]["agent"]
        assert await extensions.cleanup()
        for used in (profile, fingerprint):
            assert (await agb.context.delete(used)).success


@pytest.mark.long
async def test_extension_that_is_broken_is_a_warning(runtime: LocalServer, tmp_path: Path) -> None:
    async with client(runtime) as agb:
        profile = (await agb.context.create(new_name())).raise_for_error().context
        assert profile is not None
        extensions = AsyncExtensionsService(agb, new_name())
        broken = await extensions.create(extension(tmp_path, "{"))
        context = BrowserContext(profile.id, extension_option=await extensions.create_extension_option([broken.id]))
        params = CreateSessionParams(image_id="agb-browser-use-1", browser_context=context)
        async with agb.session(params) as session, session.browser.page() as page:
            (warning,) = session.browser.warnings
            assert "extension" in warning
            assert (await visit(page))["greeting"] is None


@pytest.mark.long
async def test_surroundings_that_are_not_there(runtime: LocalServer) -> None:
    """A proxy that is away, and a page that does not load, are errors of the page; the browser goes on."""
    from playwright.async_api import Error, async_playwright

    async def never(route: Route) -> None:
        del route

    async with client(runtime) as agb, agb.session(BROWSING) as session:
        browser = session.browser
        option = BrowserOption(proxies=[BrowserProxy("custom", "127.0.0.1:9", "me", "hidden-secret")])
        async with browser.page(option) as page:
            with pytest.raises(Error):
                await page.goto(SHOP)
            await page.route("http://slow.example/**", never)
            with pytest.raises(Error, match="Timeout 100ms"):
                await page.goto("http://slow.example/", timeout=100)
            other = await page.context.new_page()
            await other.set_content("<title>still there</title>")
            assert await other.title() == "still there"
            url = await browser.get_endpoint_url()
        async with async_playwright() as playwright:
            with pytest.raises(Error):  # the browser has ended
                await playwright.chromium.connect_over_cdp(url, timeout=20_000)
            await browser.start(BrowserOption())
            good = await browser.get_endpoint_url()
            token = good.split("/cdp/")[1].partition("/")[0]
            assert token not in url
            for wrong in (good.replace(token, "0" * len(token)), url):
                with pytest.raises(Error):
                    await playwright.chromium.connect_over_cdp(wrong, timeout=20_000)
            connection = await playwright.chromium.connect_over_cdp(good)
            assert connection.contexts
            await connection.close()
    with pytest.raises(BrowserError):
        await browser.start()
