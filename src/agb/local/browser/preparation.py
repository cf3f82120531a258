"""From options to a start: what is read and started in the session before its browser, and done once it runs."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import PurePosixPath
from typing import Any

from attrs import define, field

from ..errors import Refused
from ..sandbox.sandbox import Sandbox
from .chromium import Chromium
from .disguise import Disguise
from .extensions import SessionFiles, find_extensions, not_loaded
from .fingerprint import MOST_BYTES, Fingerprint, read_fingerprint
from .generator import NoSuchMachine, generate
from .launch import LaunchOptions
from .options import BrowserOptions
from .process import Browser
from .proxies import Forwarder
from .window import Window

_STEALTH = (
    "--disable-blink-features=AutomationControlled",
    # A mouse, which a machine without a display has not: `(hover: hover)` and `(pointer: fine)` are true.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
)
_PHONE = (
    "--disable-blink-features=AutomationControlled",
    # A finger.
    "--blink-settings=primaryHoverType=1,availableHoverTypes=1,primaryPointerType=2,availablePointerTypes=2",
)


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
        self.fingerprint = await self._fingerprint()
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
            await Disguise(cdp, self.fingerprint).start()
        if self.extensions:
            self.warnings += await not_loaded(browser.cdp, self.files, self.extensions)

    # --- who the browser says it is ---

    def _identity(self) -> list[str]:
        given = self.fingerprint
        if given is None:
            agent = self.options.user_agent or (self.chromium.user_agent if self.options.use_stealth else "")
        else:
            agent = given.user_agent
        found = [f"--user-agent={agent}"] if agent else []
        if given is not None and given.languages:
            found.append(f"--accept-lang={','.join(given.languages)}")
        if self.options.use_stealth:
            found += _PHONE if given is not None and given.is_mobile else _STEALTH
        return found

    async def _fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint to apply, None for none; what has no effect is among the warnings."""
        options = self.options
        asked = {
            "fingerprint": options.criteria,
            "fingerprintRawData": options.fingerprint,
            "fingerprintPersistPath": options.fingerprint_path,
        }
        names = [name for name, value in asked.items() if value]
        if not options.use_stealth:
            self.warnings += [f"{name} has no effect without useStealth" for name in names]
            return None
        if options.fingerprint is None and options.user_agent:
            self.warnings += [f"{name} has no effect beside userAgent" for name in names]
            return Fingerprint.of_user_agent(options.user_agent)
        raw = await self._raw_fingerprint()
        return None if raw is None else read_fingerprint(raw, what="fingerprint")

    async def _raw_fingerprint(self) -> Mapping[str, Any] | None:
        """Return a given fingerprint, or the stored one, or a new one, in this order; new and given ones are stored."""
        options = self.options
        if options.fingerprint is not None:
            ignored = {"userAgent": options.user_agent, "fingerprint": options.criteria}
            self.warnings += [
                f"{name} has no effect beside fingerprintRawData" for name, value in ignored.items() if value
            ]
            await self._store(options.fingerprint)
            return options.fingerprint
        if (stored := await self._stored()) is not None:
            return stored
        if options.criteria is None:
            return None
        try:
            made = generate(options.criteria, self.chromium.number, random.SystemRandom())
        except NoSuchMachine as error:
            self.warnings.append(f"fingerprint has no effect: {error}")
            return None
        await self._store(made)
        return made

    async def _stored(self) -> dict[str, Any] | None:
        path = self.options.fingerprint_path
        if not path:
            return None
        place = self._seen(path)
        if not (await self.files.call("get_file_info", {"path": place})).ok:
            if self.options.criteria is None:
                self.warnings.append(f"fingerprintPersistPath has no effect: there is no fingerprint at {path}")
            return None
        reply = await self.files.call("read_file", {"path": place, "offset": 0, "length": MOST_BYTES, "format": "text"})
        try:
            raw = json.loads(reply.text) if reply.ok else None
            if isinstance(raw, dict):
                read_fingerprint(raw, what="the stored fingerprint")
                return raw
            reason = "it is no JSON object" if reply.ok else reply.text
        except (ValueError, Refused) as error:
            reason = str(error)
        self.warnings.append(f"the fingerprint at {path} was not used: {reason}")
        return None

    async def _store(self, raw: Mapping[str, Any]) -> None:
        path = self.options.fingerprint_path
        if not path:
            return
        place = PurePosixPath(self._seen(path))
        await self.files.call("create_directory", {"path": str(place.parent)})
        content = json.dumps(raw, indent=2).encode()
        reply = await self.files.call(
            "write_file", {"path": str(place), "mode": "overwrite", "format": "text"}, content
        )
        if not reply.ok:
            self.warnings.append(f"the fingerprint was not stored at {path}: {reply.text}")

    # --- extensions and proxy ---

    async def _extensions(self) -> tuple[str, ...]:
        found: list[str] = []
        if path := self.options.extension_path:
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
