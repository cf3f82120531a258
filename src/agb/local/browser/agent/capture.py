"""Taking snapshots of pages that Playwright drives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .snapshot import FrameTrees, Snapshot, build

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Frame, Page


async def capture(page: Page, *, iframes: bool = False) -> Snapshot:
    """Return a snapshot of a page; with ``iframes`` the documents of its frames are in it.

    Raises Playwright's ``Error`` if the page is closed or navigates meanwhile.
    """
    session = await page.context.new_cdp_session(page)
    try:
        trees = await _trees(session, iframes=iframes)
    finally:
        await _detach(session)
    others = await _other_processes(page) if iframes else {}
    # In a thread, as all that looks at a whole page: one with many thousands of elements takes a while.
    return await asyncio.to_thread(build, trees, others, iframes=iframes)


async def _trees(session: CDPSession, *, iframes: bool) -> FrameTrees:
    document = (await session.send("DOM.getDocument", {"depth": -1, "pierce": True}))["root"]
    frames = _frames(document) if iframes else []
    answers = await asyncio.gather(
        session.send("Accessibility.getFullAXTree"),
        *(session.send("Accessibility.getFullAXTree", {"frameId": frame}) for frame in frames),
    )
    nodes: dict[int, Mapping[str, Any]] = {}
    for answer in answers:
        nodes.update((node["backendDOMNodeId"], node) for node in answer["nodes"] if "backendDOMNodeId" in node)
    return FrameTrees(document, nodes)


def _frames(document: Mapping[str, Any]) -> list[str]:
    """Return the ids of the frames whose documents are in this one."""
    found = []
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if (inside := node.get("contentDocument")) is not None:
            found.append(str(node["frameId"]))
            waiting.append(inside)
        waiting.extend(node.get("children", []))
        waiting.extend(node.get("shadowRoots", []))
    return found


async def _other_processes(page: Page) -> dict[str, FrameTrees]:
    """Return the documents of the frames that other processes render, by the frame's id."""
    found = {}
    for frame in page.frames[1:]:
        session = await _own_session(page, frame)
        if session is not None:
            try:
                tree = (await session.send("Page.getFrameTree"))["frameTree"]
                found[str(tree["frame"]["id"])] = await _trees(session, iframes=True)
            finally:
                await _detach(session)
    return found


async def _own_session(page: Page, frame: Frame) -> CDPSession | None:
    from playwright.async_api import Error

    try:
        return await page.context.new_cdp_session(frame)
    except Error:  # it is rendered by its parent's process, whose document contains it; or it is gone
        return None


async def _detach(session: CDPSession) -> None:
    from playwright.async_api import Error

    try:
        await session.detach()
    except Error:  # the page is closed, and its sessions with it
        return


async def picture_of(page: Page, **options: Any) -> bytes:
    """Return a picture of a page, which comes to the front: Chromium draws no page in the background."""
    await page.bring_to_front()
    return bytes(await page.screenshot(animations="disabled", **options))
