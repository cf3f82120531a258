"""From options to a start: what is read and started in the session before its browser, and done once it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import define, field

from ..sandbox.sandbox import Sandbox
from .chromium import Chromium
from .disguise import Disguise
from .extensions import find_extensions, not_loaded
from .files import SessionFiles
from .fingerprint import Fingerprint
from .fingerprint_choice import choose_fingerprint
from .launch import LaunchOptions
from .options import BrowserOptions
from .process import Browser
from .proxies import Forwarder
from .window import Window

_NO_AUTOMATION = "--disable-blink-features=AutomationControlled"
_MOUSE = "primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"
_FINGER = "primaryHoverType=1,availableHoverTypes=1,primaryPointerType=2,availablePointerTypes=2"
"""What media queries say: `(hover: hover)`, `(pointer: fine)`. A machine without a display has neither."""
_NO_PDF_VIEWER = "pluginsEnabled=false"


@asynccontextmanager
async def prepared(
    options: BrowserOptions, sandbox: Sandbox, files: SessionFiles, chromium: Chromium
) -> AsyncIterator[LaunchOptions]:
    """Yield what a start needs; what it keeps open for the browser is closed at the end of the block.

    Raises ``ForwarderFailed`` and ``SandboxGone``.
    """
    async with AsyncExitStack() as stack:
        yield await _Preparation(options, sandbox, files, chromium, stack, list(options.warnings)).run()


@define
class _Preparation:
    options: BrowserOptions
    sandbox: Sandbox
    files: SessionFiles
    chromium: Chromium
    stack: AsyncExitStack
    warnings: list[str]
    window: Window = field(init=False)
    fingerprint: Fingerprint | None = field(init=False)
    extensions: tuple[str, ...] = field(init=False)

    async def run(self) -> LaunchOptions:
        """Return what the start needs."""
        options = self.options
        path = self._seen(options.fingerprint_path) if options.fingerprint_path else ""
        self.fingerprint, warnings = await choose_fingerprint(options, self.files, path, self.chromium.number)
        self.warnings += warnings
        self.window = Window.wanted(options.screen, options.viewport, self.fingerprint)
        self.extensions = await self._extensions()
        if options.browser_type == "chrome" and not self.chromium.is_chrome:
            self.warnings.append("browserType: Google Chrome is not installed here, so the browser is Chromium")
        own = [*self.window.switches(), *self._identity(), *await self._proxy()]
        return LaunchOptions(
            arguments=(*own, *options.arguments),
            start_url=options.start_url,
            extensions=self.extensions,
            after_start=self._after_start,
            warnings=self.warnings,
        )

    async def _after_start(self, browser: Browser) -> None:
        await self.window.apply(browser)
        if self.fingerprint is not None:
            cdp = await browser.open_cdp()
            self.stack.push_async_callback(cdp.close)
            given = self.fingerprint
            # A user agent that was asked for is that of the whole browser, a fingerprint that of its default context.
            elsewhere = self.chromium.own_fingerprint if given.is_complete else given
            await Disguise(cdp, given, elsewhere, self.window).start()
        if self.extensions:
            self.warnings += await not_loaded(browser.cdp, self.files, self.extensions)

    # --- who the browser says it is ---

    def _identity(self) -> list[str]:
        given = self.fingerprint
        if given is None:
            agent = self.options.user_agent or (
                self.chromium.own_fingerprint.user_agent if self.options.use_stealth else ""
            )
        else:
            agent = given.user_agent
        found = [f"--user-agent={agent}"] if agent else []
        if given is not None and given.languages:
            found.append(f"--accept-lang={','.join(given.languages)}")
        if self.options.use_stealth:
            settings = [_FINGER if given is not None and given.is_mobile else _MOUSE]
            settings += [_NO_PDF_VIEWER] if given is not None and not given.has_pdf_viewer else []
            found += [_NO_AUTOMATION, f"--blink-settings={','.join(settings)}"]
        return found

    # --- extensions and proxy ---

    async def _extensions(self) -> tuple[str, ...]:
        found: list[str] = []
        # Clients name a directory in every start; most sessions have none, and need no program that looks into it.
        if (path := self.options.extension_path) and not self.sandbox.directories.is_missing(path):
            below = await find_extensions(self.files, self._seen(path), shown_as=path)
            self.warnings += below.warnings
            found += below.directories
        found += [self._seen(path) for path in self.options.extensions]
        return tuple(dict.fromkeys(found))

    async def _proxy(self) -> list[str]:
        proxy = self.options.proxy
        if proxy is None:
            return []
        address = proxy.address
        if proxy.username:
            forwarder = await Forwarder.start(self.sandbox, proxy)
            self.stack.push_async_callback(forwarder.close)
            address = forwarder.address
        # Without the second switch, WebRTC shows pages the address that the proxy is to hide.
        return [f"--proxy-server={address}", "--webrtc-ip-handling-policy=disable_non_proxied_udp"]

    def _seen(self, path: str) -> str:
        return self.sandbox.inside(path)
