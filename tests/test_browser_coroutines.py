"""Programs written for 0.12, whose synchronous browser has coroutine functions, with either of Playwright's APIs."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident

import pytest

from agb import (
    AGB,
    AsyncAGB,
    AsyncBrowserFingerprintGenerator,
    Browser,
    BrowserError,
    BrowserFingerprintGenerator,
    BrowserOption,
    Config,
)
from agb.local import LocalServer
from tests.browsers import BROWSING, TALL_PAGE, needs_browser, size_of
from tests.local.browser import PROGRAM

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(runtime: LocalServer) -> Iterator[Browser]:
    with AGB(runtime.api_key, Config(runtime.endpoint, 120_000)) as agb, agb.session(BROWSING) as session:
        yield session.browser


def test_asynchronous_page_with_the_synchronous_client(browser: Browser) -> None:
    """As the examples of 0.12 do it."""
    from playwright.async_api import async_playwright

    async def program() -> bytes:
        assert await browser.initialize_async(BrowserOption())
        async with async_playwright() as playwright:
            connection = await playwright.chromium.connect_over_cdp(browser.get_endpoint_url())
            page = await connection.contexts[0].new_page()
            await page.set_viewport_size({"width": 800, "height": 600})
            await page.set_content(TALL_PAGE)
            picture = await browser.screenshot(page, full_page=True)
            assert page.viewport_size == {"width": 800, "height": 600}
            with pytest.raises(RuntimeError, match="Failed to capture screenshot"):
                await browser.screenshot(page, type="bmp")
            await page.close()
            return picture

    width, height = size_of(asyncio.run(program()))
    assert (width, height >= 4500) == (1920, True)
    browser.destroy()


def test_event_loop_goes_on_while_the_browser_starts(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def initialize(option: BrowserOption | None = None, *, timeout: float | None = None) -> bool:
        del option, timeout
        threads.append(get_ident())
        return False

    monkeypatch.setattr(browser, "initialize", initialize)
    assert asyncio.run(browser.initialize_async(BrowserOption())) is False
    assert threads
    assert threads[0] != get_ident()


def test_methods_count_as_coroutine_functions() -> None:
    for method in (Browser.initialize_async, BrowserFingerprintGenerator.generate_fingerprint):
        assert inspect.iscoroutinefunction(method)


@pytest.mark.long
def test_fingerprint_in_an_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        generator = BrowserFingerprintGenerator(headless=True, executable_path=PROGRAM)
        found = await generator.generate_fingerprint()
        assert found is not None
        assert generator.error is None
        assert "Chrome/" in found.fingerprint.navigator.userAgent
        monkeypatch.setattr(generator, "generate", lambda *, timeout: found)  # a second browser shows nothing more
        assert await generator.generate_fingerprint_to_file(str(tmp_path / "fingerprint.json"))
        assert not await generator.generate_fingerprint_to_file(str(tmp_path / "missing" / "fingerprint.json"))
        assert isinstance(generator.error, FileNotFoundError)

    asyncio.run(program())
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprint.json"]


@pytest.mark.parametrize("flavour", [BrowserFingerprintGenerator, AsyncBrowserFingerprintGenerator])
def test_fingerprint_that_cannot_be_read(
    flavour: type[BrowserFingerprintGenerator | AsyncBrowserFingerprintGenerator], tmp_path: Path
) -> None:
    async def program() -> None:
        generator = flavour(executable_path=str(tmp_path / "chrome"))
        assert await generator.generate_fingerprint() is None
        assert isinstance(generator.error, BrowserError)
        assert not await generator.generate_fingerprint_to_file(str(tmp_path / "fingerprint.json"))
        assert "Could not read the fingerprint" in str(generator.error)

    asyncio.run(program())


def test_trio_has_no_playwright() -> None:
    """Nothing is sent before that is known."""
    import trio

    async def program() -> None:
        async with AsyncAGB("k", Config("http://127.0.0.1:9")) as agb:
            with pytest.raises(RuntimeError, match="Playwright runs on asyncio only"):
                async with agb.attach("s-1").browser.connect():
                    pytest.fail("entered")

    trio.run(program)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_child_leaves_the_block_of_its_parent(browser: Browser) -> None:
    block = browser.page()
    page = block.__enter__()
    child = os.fork()
    if not child:
        code = 1
        try:
            block.__exit__(None, None, None)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    page.set_content("<title>still there</title>")
    assert page.title() == "still there"
    block.__exit__(None, None, None)
    assert not browser.is_initialized()
