"""The browser of a session: a real Chromium in the local runtime, driven by Playwright."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING, Any

import pytest

from agb import (
    AGB,
    AGBError,
    AsyncAGB,
    AsyncBrowser,
    BrowserError,
    BrowserOption,
    BrowserProxy,
    Config,
    CreateSessionParams,
    ErrorKind,
    SessionRef,
)
from agb.local import LocalServer
from tests.browsers import BROWSING, TALL_PAGE, drivers, needs_browser, size_of
from tests.servers import Action, Scripted, answer, refuse, scripted, value

if TYPE_CHECKING:
    from playwright.async_api import Browser as PlaywrightBrowser
    from playwright.async_api import Page

pytestmark = [pytest.mark.anyio, needs_browser]


NOTHING: Any = None
WRONG_OPTION: Any = {"useStealth": True}


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 120_000))


@pytest.fixture(scope="module")
def ref(runtime: LocalServer) -> Iterator[SessionRef]:
    """A session that the tests share; each leaves it without a browser."""
    with AGB(runtime.api_key, Config(runtime.endpoint, 120_000)) as agb, agb.session(BROWSING) as session:
        yield session.ref


@asynccontextmanager
async def browser_of(runtime: LocalServer, ref: SessionRef) -> AsyncIterator[AsyncBrowser]:
    """Return the browser of a session, through an object of its own."""
    async with client(runtime) as agb:
        yield agb.attach(ref).browser


async def fail(connection: PlaywrightBrowser) -> None:
    page = await connection.contexts[0].new_page()
    await page.set_content("<h1>Failed</h1>")
    raise ZeroDivisionError


async def until_ended(browser: AsyncBrowser) -> BrowserError:
    """Return the error of a browser that ends now; the service notices it a little later."""
    while True:
        try:
            await browser.get_endpoint_url()
        except BrowserError as error:
            return error


# --- start and stop ----------------------------------------------------------------------------------------------


@pytest.mark.one_flavour
async def test_life_of_a_browser(runtime: LocalServer, ref: SessionRef) -> None:
    async with browser_of(runtime, ref) as browser:
        assert not browser.is_initialized()
        assert browser.get_option() is None
        assert repr(browser).endswith(f"Browser of session {ref.session_id}, not initialized>")
        with pytest.raises(BrowserError, match=r"^Browser is not initialized\. Cannot access endpoint URL\.$"):
            await browser.get_endpoint_url()
        with pytest.raises(BrowserError, match=r"^Browser is not initialized\. Cannot stop browser\.$"):
            await browser.destroy()

        option = BrowserOption(user_agent="Demo/1")
        assert await browser.initialize(option)
        assert browser.is_initialized()
        assert browser.get_option() is option
        assert isinstance(browser.endpoint_router_port, int)
        assert (browser.error, browser.warnings) == (None, ())
        assert (await browser.get_endpoint_url()).startswith("ws://127.0.0.1:")

        assert await browser.initialize(BrowserOption())  # nothing is sent
        assert browser.get_option() is option
        with pytest.raises(BrowserError, match=r"runs with another option: destroy\(\) it first"):
            await browser.start(BrowserOption())
        await browser.start(BrowserOption(user_agent="Demo/1"))
        await browser.start()
        assert browser.is_initialized()
        assert browser.error is None

        await browser.destroy()
        assert not browser.is_initialized()
        assert browser.get_option() is None
        assert browser.endpoint_router_port is None
        # It is started again, with another option; the first page of a block is the one of its option.
        first = BrowserOption(default_navigate_url="data:text/html,<title>First</title>")
        async with browser.page(first) as page:
            assert await browser.get_endpoint_url()
            await page.wait_for_function("document.title === 'First'")
        assert not browser.is_initialized()


@pytest.mark.long
async def test_browser_that_has_crashed_is_reported_and_started_again(runtime: LocalServer, ref: SessionRef) -> None:
    async with browser_of(runtime, ref) as browser:
        await browser.start()
        async with browser.connect() as connection:
            devtools = await connection.new_browser_cdp_session()
            with pytest.raises(Exception, match="closed"):
                await devtools.send("Browser.crash")
        error = await until_ended(browser)
        assert error.kind is ErrorKind.REFUSED
        assert not browser.is_initialized()
        assert browser.error is error
        with pytest.raises(BrowserError, match=r"Cannot stop browser\. Could not get"):
            await browser.destroy()
        assert await browser.initialize()
        assert browser.error is None
        async with browser.page() as page:
            assert page.url == "about:blank"
        await browser.destroy()


async def test_session_without_a_browser(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        assert not await session.browser.initialize(BrowserOption())
        error = session.browser.error
        assert isinstance(error, BrowserError)
        assert error.kind is ErrorKind.REFUSED
        assert "browser" in str(error)
        with pytest.raises(BrowserError) as raised:
            async with session.browser.connect():
                pytest.fail("entered")
        assert raised.value.kind is ErrorKind.REFUSED
        assert drivers() == []


@pytest.mark.long
async def test_session_that_was_deleted(runtime: LocalServer) -> None:
    async with client(runtime) as agb:
        session = (await agb.create(BROWSING)).raise_for_error().session
        assert session is not None
        async with session.browser.page() as page:
            assert (await session.delete()).success
            with pytest.raises(Exception, match="closed"):
                await page.goto("about:blank")
        assert not await session.browser.initialize()
        assert session.browser.error is not None
        assert session.browser.error.kind is ErrorKind.NOT_FOUND
        with pytest.raises(BrowserError):
            await session.browser.start()


async def test_start_that_is_refused_means_that_no_browser_runs() -> None:
    started, gone = value({"port": 9222}), refuse("InvalidMcpSession.NotFound", "the session is not found", 404)
    async with scripted_browser(started, gone, gone) as (browser, server):
        await browser.start()
        with pytest.raises(BrowserError):
            await browser.start()
        assert not browser.is_initialized()
        assert not await browser.initialize()
        assert browser.error is not None
        assert browser.error.kind is ErrorKind.NOT_FOUND
        assert len(server.requests) == 3


# --- Playwright --------------------------------------------------------------------------------------------------


@pytest.mark.one_flavour
@pytest.mark.long
async def test_block_starts_and_stops_what_it_needs(runtime: LocalServer, ref: SessionRef) -> None:
    async with browser_of(runtime, ref) as browser:
        block = browser.connect(BrowserOption(user_agent="Demo/1"))
        assert "session.browser.connect() as browser" in repr(block)
        assert (drivers(), browser.is_initialized()) == ([], False)
        async with block as connection:
            assert len(drivers()) == 1
            page = await connection.contexts[0].new_page()
            await page.set_content("<title>Hello</title>")
            assert await page.title() == "Hello"
            assert await page.evaluate("navigator.userAgent") == "Demo/1"
        assert (drivers(), browser.is_initialized()) == ([], False)


@pytest.mark.one_flavour
async def test_blocks_share_a_driver_and_the_last_one_stops_the_browser(runtime: LocalServer, ref: SessionRef) -> None:
    async with browser_of(runtime, ref) as browser:
        outer = browser.connect()
        await outer.__aenter__()
        with pytest.raises(ZeroDivisionError):
            async with browser.page() as page:
                await outlive(outer, page, browser)
        assert (drivers(), browser.is_initialized()) == ([], False)


async def outlive(outer: Any, page: Page, browser: AsyncBrowser) -> None:
    """Leave a block before the one of the page within it, which then fails."""
    assert len(drivers()) == 1
    assert page in page.context.pages
    await outer.__aexit__(None, None, None)
    assert browser.is_initialized()
    assert len(drivers()) == 1
    await page.set_content("<p>still there</p>")
    raise ZeroDivisionError


@pytest.mark.one_flavour
async def test_browser_that_ran_before_goes_on(runtime: LocalServer, running: SessionRef) -> None:
    async with browser_of(runtime, running) as browser, browser_of(runtime, running) as other:
        await other.start()
        for one in (browser, other):
            async with one.page() as page:  # a new one, which is closed
                await page.set_content("<p>mine</p>")
                count = len(page.context.pages)
        async with browser.connect() as connection:
            assert len(connection.contexts[0].pages) == count - 1
        assert browser.is_initialized()
        assert await other.get_endpoint_url() == await browser.get_endpoint_url()


@pytest.mark.one_flavour
async def test_playwright_of_the_caller(runtime: LocalServer, running: SessionRef) -> None:
    from playwright.async_api import async_playwright

    async with browser_of(runtime, running) as browser, async_playwright() as playwright:
        async with browser.page(playwright=playwright) as page:
            assert len(drivers()) == 1
            assert page.url == "about:blank"
        assert playwright.chromium.name == "chromium"
        assert len(drivers()) == 1
        with pytest.raises(TypeError, match="playwright is that of playwright"):
            async with browser.connect(playwright=object()):  # type: ignore[arg-type]
                pytest.fail("entered")


@pytest.mark.one_flavour
async def test_recording(
    runtime: LocalServer, running: SessionRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with browser_of(runtime, running) as browser:
        async with browser.page(record=True) as page:
            await page.set_content("<h1>Recorded</h1>")
        with pytest.raises(ZeroDivisionError):
            async with browser.connect(record=tmp_path / "failed.zip") as connection:
                await fail(connection)
    for name in (f"{running.session_id}.trace.zip", "failed.zip"):
        with zipfile.ZipFile(tmp_path / name) as trace:
            assert "trace.trace" in trace.namelist()
            assert b"setContent" in trace.read("trace.trace")


async def test_without_playwright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agb._async.modules.browser_connection.find_spec", lambda name: None)
    async with AsyncAGB("k", Config("http://127.0.0.1:9")) as agb:
        browser = agb.attach("s-1").browser
        for make in (browser.connect, browser.page):
            with pytest.raises(ImportError, match=r"pip install 'agb\[browser\]'"):
                make()


# --- screenshots -------------------------------------------------------------------------------------------------


@pytest.mark.one_flavour
async def test_screenshots(runtime: LocalServer, running: SessionRef) -> None:
    async with browser_of(runtime, running) as browser:
        with pytest.raises(BrowserError, match=r"^Browser must be initialized before calling screenshot\."):
            await browser.screenshot(NOTHING)
        async with browser.page() as page:
            await whole_page(browser, page)
            await screenshots_that_fail(browser, page)


async def whole_page(browser: AsyncBrowser, page: Page) -> None:
    await page.set_viewport_size({"width": 800, "height": 600})
    await page.set_content(TALL_PAGE)
    await page.evaluate("scrollTo(0, 0)")
    picture = await browser.screenshot(page)
    width, height = size_of(picture)
    assert width == 1920
    assert height >= 4500  # with what was added when the page was scrolled
    assert page.viewport_size == {"width": 800, "height": 600}
    assert await page.evaluate("[innerWidth, innerHeight, scrollX, scrollY]") == [800, 600, 0, 0]
    assert await page.evaluate("document.images[0].src.startsWith('data:')")

    await page.set_content("<div style='height: 11000px'></div>")
    await page.evaluate("scrollTo(0, 300)")
    assert size_of(await browser.screenshot(page)) == (1920, 10_000)
    assert await page.evaluate("scrollY") == 300
    assert size_of(await browser.screenshot(page, full_page=True))[1] >= 11_000
    jpeg = await browser.screenshot(page, type="jpeg", quality=10, clip={"x": 0, "y": 0, "width": 10, "height": 10})
    assert jpeg.startswith(b"\xff\xd8")


async def screenshots_that_fail(browser: AsyncBrowser, page: Page) -> None:
    with pytest.raises(ValueError, match=r"^Page cannot be None$"):
        await browser.screenshot(NOTHING)
    await page.set_viewport_size({"width": 800, "height": 600})
    with pytest.raises(RuntimeError, match=r"^Failed to capture screenshot: .*type"):
        await browser.screenshot(page, type="bmp")
    assert page.viewport_size == {"width": 800, "height": 600}
    await page.close()
    with pytest.raises(RuntimeError, match=r"^Failed to capture screenshot: .*closed"):
        await browser.screenshot(page)


# --- the service's answers ---------------------------------------------------------------------------------------


@asynccontextmanager
async def scripted_browser(*script: Action) -> AsyncIterator[tuple[AsyncBrowser, Scripted]]:
    with scripted(*script) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 30_000)) as agb:
            yield agb.attach("s-1").browser, server


async def test_browser_that_is_not_installed() -> None:
    refusal = refuse("NotOffered", "there is no browser on this machine: apt install chromium", 501)
    async with scripted_browser(refusal) as (browser, server):
        assert not await browser.initialize(BrowserOption())
        assert browser.error is not None
        assert (browser.error.kind, browser.error.http_status) == (ErrorKind.REFUSED, 501)
        assert "apt install chromium" in str(browser.error)
        with pytest.raises(BrowserError, match="apt install chromium"):
            await browser.start()
        assert len(server.requests) == 2


async def test_warnings_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "agb")
    started = value({"port": "9222", "warnings": ["captchas are not solved here"]})
    async with scripted_browser(started, refuse(), started) as (browser, _):
        assert await browser.initialize(BrowserOption(solve_captchas=True))
        assert browser.endpoint_router_port == 9222
        assert browser.warnings == ("captchas are not solved here",)
        assert "browser of session s-1: captchas are not solved here" in caplog.text
        with pytest.raises(BrowserError):
            await browser.get_endpoint_url()
        assert not browser.warnings


@pytest.mark.parametrize("data", [None, {}, {"port": "none"}, {"port": 9222, "warnings": "none"}])
async def test_answer_that_is_no_browser(data: Any) -> None:
    async with scripted_browser(value(data)) as (browser, _):
        assert not await browser.initialize(BrowserOption())
        assert browser.error is not None
        assert browser.error.kind is ErrorKind.INVALID_ANSWER


@pytest.mark.parametrize("url", [None, "", 3])
async def test_answer_that_is_no_address(url: Any) -> None:
    async with scripted_browser(value({"port": 9222}), value({"url": url})) as (browser, _):
        await browser.start()
        with pytest.raises(BrowserError) as raised:
            await browser.get_endpoint_url()
        assert raised.value.kind is ErrorKind.INVALID_ANSWER
        assert browser.is_initialized()


async def test_browser_that_could_not_be_stopped() -> None:
    """After a refusal it counts as stopped; after a failure it may run, and can be stopped again."""
    failed = value({"isError": True, "content": [{"type": "text", "text": "it has ended"}]})
    async with scripted_browser(value({"port": 9222}), answer(b"<html>"), failed) as (browser, _):
        await browser.start()
        with pytest.raises(BrowserError) as raised:
            await browser.destroy()
        assert raised.value.kind is ErrorKind.INVALID_ANSWER
        assert browser.is_initialized()
        with pytest.raises(BrowserError, match="it has ended"):
            await browser.destroy()
        assert not browser.is_initialized()


@pytest.mark.one_event_loop  # Playwright has one only
async def test_secrets_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    link = "ws://127.0.0.1:9/sessions/s-1/cdp/7f3a90c1d2e4b5a6/devtools/browser/0c9d8e7f-1a2b"
    option = BrowserOption(proxies=[BrowserProxy("custom", "http://me:hunter2secret@10.0.0.1:1", "me", "geheim-123")])
    quoting = refuse("X", f"cannot reach {link} by http://me:hunter2secret@10.0.0.1:1 with geheim-123")
    async with scripted_browser(value({"port": 1}), value({"url": link}), quoting) as (browser, _):
        await browser.start(option)
        assert await browser.get_endpoint_url() == link
        with pytest.raises(AGBError) as refused:
            await browser.get_endpoint_url()
    async with scripted_browser(value({"port": 1}), value({"port": 1}), value({"url": link})) as (browser, _):
        await browser.start(option)
        with pytest.raises(BrowserError) as failed:
            async with browser.connect():
                pytest.fail("entered")
    assert failed.value.kind is ErrorKind.UNREACHABLE
    traceback = "".join(format_exception(failed.value))
    for text in (str(refused.value), str(failed.value), traceback, repr(option), caplog.text):
        for secret in ("7f3a90c1d2e4b5a6", "0c9d8e7f-1a2b", "hunter2secret", "geheim-123"):
            assert secret not in text


# --- wrong arguments ---------------------------------------------------------------------------------------------


async def test_wrong_arguments_are_refused_before_anything_is_sent() -> None:
    async with scripted_browser(refuse()) as (browser, server):
        for method in (browser.initialize, browser.start):
            with pytest.raises(TypeError, match="option must be a BrowserOption, not dict"):
                await method(WRONG_OPTION)
        for make in (browser.connect, browser.page):
            with pytest.raises(TypeError, match="option must be a BrowserOption, not str"):
                make("chrome")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="record is True, False or the path of a file, not int"):
                make(record=3)  # type: ignore[arg-type]
        assert server.requests == []
