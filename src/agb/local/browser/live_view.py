"""A person's view of a browser: pictures of one page while it changes, its tabs, and input to it.

The pictures are the DevTools' screencast: JPEG images, each sent when the page has changed and the one before was
acknowledged. So a page that does not change costs nothing, and a slow viewer gets fewer pictures, not later ones.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from attrs import frozen

from .cdp import Cdp, CdpError
from .devtools import NoAnswer
from .live_input import Input, address
from .process import Browser

_SCREENCAST = {"format": "jpeg", "quality": 70, "maxWidth": 1600, "maxHeight": 1200, "everyNthFrame": 1}
_PICTURES = 15
"""Pictures in a second, at most."""


@frozen
class Picture:
    """A picture of the page."""

    jpeg: bytes


class LiveView:
    """One viewer of a browser. :meth:`open` it; :meth:`close` at the end. It shows the page that is active.

    :meth:`next` returns what is new: a picture, or a state (`state`) as it is sent to the viewer. Nothing is queued:
    what is newer replaces what was not taken yet. A picture is returned after :meth:`acknowledge` of the last one.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._cdp: Cdp
        self._news = asyncio.Event()
        self._tabs: dict[str, dict[str, Any]] = {}
        self._is_state_new = False
        self._dialog: dict[str, Any] | None = None
        self._picture: Picture | None = None
        self._is_ready = True
        self._size = (1.0, 1.0)
        self._unacknowledged: list[int] = []
        self._shown = ""
        self._session: str | None = None
        self._switching = asyncio.Lock()

    # --- what it shows ---

    async def open(self) -> None:
        """Connect, and show the page that is active. Raises ``CdpError``."""
        self._cdp = await self._browser.open_cdp()
        self._cdp.on_event(self._on_event)
        self._cdp.on_end = self._news.set
        await self._cdp.call("Target.setDiscoverTargets", {"discover": True})
        await self._follow()

    async def close(self) -> None:
        """Disconnect; the page stays as it is."""
        await self._cdp.close()

    async def next(self) -> Picture | dict[str, Any] | None:
        """Return what is new, once there is anything; None when the browser has ended."""
        while True:
            if self._cdp.ended.is_set():
                return None
            if self._is_state_new:
                self._is_state_new = False
                return self.state
            if self._picture is not None and self._is_ready:
                picture, self._picture, self._is_ready = self._picture, None, False
                return picture
            self._news.clear()
            await self._news.wait()

    @property
    def state(self) -> dict[str, Any]:
        """The tabs, the one that is shown, and the dialog that waits for an answer, if there is one."""
        tabs = [{"id": key, "title": tab["title"], "url": tab["url"]} for key, tab in self._tabs.items()]
        return {"tabs": tabs, "shown": self._shown, "dialog": self._dialog}

    def acknowledge(self) -> None:
        """Note that the viewer has painted the last picture: another one may follow after a moment."""
        self._cdp.run(self._acknowledge())

    async def _acknowledge(self) -> None:
        await asyncio.sleep(1 / _PICTURES)
        self._is_ready = True
        self._news.set()
        numbers, self._unacknowledged = self._unacknowledged, []
        for number in numbers:
            await self._page("Page.screencastFrameAck", {"sessionId": number})

    # --- input ---

    async def put(self, given: Input) -> None:
        """Pass input to the page. Raises ``CdpError``."""
        for method, params in given.calls(*self._size):
            await self._page(method, params)

    async def go(self, text: str) -> None:
        """Open what a person has typed into the address bar."""
        await self._page("Page.navigate", {"url": address(text)})

    async def reload(self) -> None:
        """Load the page again."""
        await self._page("Page.reload")

    async def step(self, by: int) -> None:
        """Go back or forward in the history of the page; nothing happens at its ends."""
        history = await self._page("Page.getNavigationHistory")
        wanted = history["currentIndex"] + by
        if 0 <= wanted < len(history["entries"]):
            await self._page("Page.navigateToHistoryEntry", {"entryId": history["entries"][wanted]["id"]})

    async def answer_dialog(self, *, accept: bool, text: str) -> None:
        """Answer the dialog that the page waits for."""
        await self._page("Page.handleJavaScriptDialog", {"accept": accept, "promptText": text})

    async def show(self, tab: str) -> None:
        """Bring a tab to the front and show it; nothing happens if it is gone."""
        async with self._switching:
            if tab not in self._tabs or tab == self._shown:
                return
            if self._session is not None:
                session, self._session = self._session, None
                await self._cdp.call("Target.detachFromTarget", {"sessionId": session})
            self._unacknowledged, self._dialog = [], None
            await self._cdp.call("Target.activateTarget", {"targetId": tab})
            attached = await self._cdp.call("Target.attachToTarget", {"targetId": tab, "flatten": True})
            self._session, self._shown = attached["sessionId"], tab
            await self._page("Page.enable")
            await self._page("Page.startScreencast", _SCREENCAST)
            self._note_state()

    async def open_tab(self) -> None:
        """Open a new tab and show it."""
        made = await self._cdp.call("Target.createTarget", {"url": "about:blank"})
        await self.show(made["targetId"])

    async def close_tab(self, tab: str) -> None:
        """Close a tab, unless it is the last one: the browser would end with it."""
        if tab in self._tabs and len(self._tabs) > 1:
            await self._cdp.call("Target.closeTarget", {"targetId": tab})

    # --- events ---

    async def _page(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._session is None:
            raise CdpError("no page is shown")
        return await self._cdp.call(method, params, session=self._session)

    async def _follow(self) -> None:
        """Show the page that is active."""
        try:
            pages = await self._browser.pages()
        except NoAnswer as error:
            raise CdpError(str(error)) from error
        if pages:
            await self.show(pages[0]["id"])

    def _on_event(self, name: str, params: dict[str, Any], session: str | None) -> None:
        match name:
            case "Target.targetCreated" | "Target.targetInfoChanged" if params["targetInfo"]["type"] == "page":
                self._note_tab(params["targetInfo"])
            case "Target.targetDestroyed" if self._tabs.pop(params["targetId"], None) is not None:
                self._note_state()
                if params["targetId"] == self._shown:
                    self._session = None
                    self._cdp.run(self._follow())
            case "Page.screencastVisibilityChanged" if session == self._session and not params["visible"]:
                self._cdp.run(self._follow())
            case "Page.screencastFrame" if session == self._session:
                self._note_picture(params)
            case "Page.domContentEventFired" | "Page.loadEventFired" if session == self._session:
                self._cdp.run(self._look_at_title())  # no event reports that it has changed
            case "Page.javascriptDialogOpening" if session == self._session:
                self._dialog = {key: params[key] for key in ("type", "message", "defaultPrompt") if key in params}
                self._note_state()
            case "Page.javascriptDialogClosed" if session == self._session:
                self._dialog = None
                self._note_state()

    async def _look_at_title(self) -> None:
        shown = await self._cdp.call("Target.getTargetInfo", {"targetId": self._shown})
        self._note_tab(shown["targetInfo"])

    def _note_tab(self, target: dict[str, Any]) -> None:
        is_new = target["targetId"] not in self._tabs
        self._tabs[target["targetId"]] = target
        self._note_state()
        if is_new and self._shown and target.get("openerId") == self._shown:
            self._cdp.run(self.show(target["targetId"]))  # a window that the page has opened

    def _note_picture(self, params: dict[str, Any]) -> None:
        self._unacknowledged.append(params["sessionId"])
        size = params["metadata"]
        try:
            self._picture = Picture(base64.b64decode(params["data"], validate=True))
        except binascii.Error:
            return
        self._size = (float(size["deviceWidth"]), float(size["deviceHeight"]))
        self._news.set()

    def _note_state(self) -> None:
        self._is_state_new = True
        self._news.set()
