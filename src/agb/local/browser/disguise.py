"""Applying a fingerprint to a browser that runs.

What Chromium takes on its command line is given there (`window`, `preparation`): user agent, languages and screen are
then the browser's own, for all of its processes and requests. The rest is set through a DevTools connection of the
runtime, which attaches to every page, frame and worker before it runs a script. Alternatives were an extension, whose
scripts do not run in workers, and run too late in a frame that a page makes and reads at once; and a client's own
commands, which end with its connection. DevTools commands change what the browser itself reports, also in headers, so
pages cannot see the difference. Only what has no command is changed by a script (``disguise.js``).

The connection attaches with ``waitForDebuggerOnStart``, so a new target waits until its commands were sent. Chromium
waits for each connection separately: clients that do the same neither wait for the runtime nor end its wait.
"""

from __future__ import annotations

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from .cdp import Cdp, CdpError
from .fingerprint import Fingerprint
from .window import Window

_FILTER: Final = [{"type": kind} for kind in ("page", "iframe", "worker", "shared_worker", "service_worker")]
_SET_LOCALE: Final = "Emulation.setLocaleOverride"
_ATTACH: Final = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True, "filter": _FILTER}

Command = tuple[str, dict[str, Any]]
"""A DevTools method and its parameters."""


@cache
def _script() -> str:
    """Return the source of the function that changes what no command sets."""
    return Path(__file__).with_name("disguise.js").read_text("utf-8").rstrip()


class Disguise:
    """Keeps a fingerprint applied to all pages and workers of a browser's default context.

    In other contexts, user agent and languages, which the command line has set for all, are replaced by those of
    ``elsewhere``. Nothing else is changed there: clients give these contexts an emulation of their own, and Chromium
    lets the connection that attached last win.

    The connection is its own: other code that attaches to a page on a shared one would cause the same events.
    """

    def __init__(self, cdp: Cdp, fingerprint: Fingerprint, elsewhere: Fingerprint, window: Window) -> None:
        self._cdp = cdp
        self._fingerprint = fingerprint
        self._elsewhere = elsewhere
        self._window = window
        self._source = f"{_script()}({json.dumps(_values(fingerprint))})"
        self._context = ""
        self._first_page = asyncio.Event()
        self._failure: CdpError | None = None

    async def start(self) -> None:
        """Apply it to the first page, and to every target from now on. Raises ``CdpError``."""
        targets = (await self._cdp.call("Target.getTargets"))["targetInfos"]
        self._context = next(target["browserContextId"] for target in targets if target["type"] == "page")
        self._cdp.on_event(self._on_event)
        await self._cdp.call("Target.setAutoAttach", _ATTACH)
        await self._first_page.wait()
        if self._failure is not None:
            raise CdpError(f"the browser refused the fingerprint: {self._failure}")

    def _on_event(self, name: str, params: dict[str, Any], _: str | None) -> None:
        if name == "Target.attachedToTarget":
            self._cdp.run(self._attached(params["sessionId"], params["targetInfo"]))

    async def _attached(self, session: str, target: dict[str, Any]) -> None:
        if target.get("browserContextId") != self._context:
            await self._send(session, [_agent(self._elsewhere)])
            return
        try:
            await self._apply(session, target["type"])
        except CdpError as error:
            # A page may be closed at any time. The first one shows whether the browser takes this fingerprint at all.
            if not self._first_page.is_set():
                self._failure = error
        if target["type"] == "page":
            self._first_page.set()

    async def _apply(self, session: str, kind: str) -> None:
        is_document = kind in ("page", "iframe")
        commands = list(self._overrides(is_page=kind == "page"))
        if is_document:
            script = {"source": self._source, "runImmediately": True}
            commands += [("Page.enable", {}), ("Page.addScriptToEvaluateOnNewDocument", script)]
        else:
            commands.append(("Runtime.evaluate", {"expression": self._source}))
        if is_document and self._fingerprint.languages:
            commands.append((_SET_LOCALE, {"locale": self._fingerprint.languages[0]}))
        await self._send(session, commands)

    async def _send(self, session: str, commands: list[Command]) -> None:
        """Send commands at once: the browser obeys them in order, and the target runs after the last one."""
        commands = [*commands, ("Target.setAutoAttach", _ATTACH), ("Runtime.runIfWaitingForDebugger", {})]
        await asyncio.gather(*(self._call(session, method, params) for method, params in commands))

    async def _call(self, session: str, method: str, params: dict[str, Any]) -> None:
        try:
            await self._cdp.call(method, params, session=session)
        except CdpError:
            # The locale of `Intl` is that of a process, and refused if another page has set it for this one.
            if method != _SET_LOCALE:
                raise

    def _overrides(self, *, is_page: bool) -> list[Command]:
        given = self._fingerprint
        commands = [_agent(given)]
        if given.cores:
            commands.append(("Emulation.setHardwareConcurrencyOverride", {"hardwareConcurrency": given.cores}))
        if is_page:
            commands += [_phone(self._window)] if given.is_mobile else []
            if given.touch_points:
                touch = {"enabled": True, "maxTouchPoints": given.touch_points}
                commands.append(("Emulation.setTouchEmulationEnabled", touch))
        return commands


def _agent(given: Fingerprint) -> Command:
    """Return the command that sets the user agent, and what goes with it."""
    agent: dict[str, Any] = {"userAgent": given.user_agent}
    if given.languages:
        agent["acceptLanguage"] = ",".join(given.languages)
    if given.platform:
        agent["platform"] = given.platform
    if given.metadata:
        agent["userAgentMetadata"] = given.metadata
    return "Emulation.setUserAgentOverride", agent


def _phone(window: Window) -> Command:
    """Return the command that gives pages a phone's screen, and its rules of layout."""
    screen = window.screen
    width, height = window.viewport or (screen.inner if all(screen.inner) else (screen.width, screen.height))
    metrics = {
        "width": width,
        "height": height,
        "screenWidth": screen.width,
        "screenHeight": screen.height,
        "deviceScaleFactor": screen.ratio,
        "mobile": True,
        "screenOrientation": {"type": "portraitPrimary", "angle": 0},
    }
    return "Emulation.setDeviceMetricsOverride", metrics


def _values(given: Fingerprint) -> dict[str, Any]:
    """Return what the script is called with."""
    own: dict[str, object] = {"platform": given.platform, "vendor": given.vendor, "userAgent": given.user_agent}
    own["deviceMemory"] = given.memory
    absent = [] if given.metadata else ["userAgentData"]
    if given.is_complete and given.memory is None:
        absent.append("deviceMemory")
    return {
        "navigator": {name: value for name, value in own.items() if value is not None},
        "absent": absent,
        "absentGlobals": [] if given.metadata else ["NavigatorUAData", "chrome"],
        "graphics": given.graphics,
    }
