"""Waiting until a page has come to rest, or changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.async_api import Page

QUIET: Final = 0.1
"""Seconds without a change after which a document is at rest."""


class PageGone(Exception):
    """The page was closed."""


_SETTLED: Final = """([quiet, limit]) => new Promise(resolve => {
  let timer;
  const done = () => { observer.disconnect(); clearTimeout(timer); clearTimeout(end); resolve() };
  const again = () => { clearTimeout(timer); timer = setTimeout(done, quiet) };
  const observer = new MutationObserver(again);
  const end = setTimeout(done, limit);
  observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  again();
})"""
_CHANGED: Final = """limit => new Promise(resolve => {
  const done = () => { observer.disconnect(); clearTimeout(end); resolve() };
  const observer = new MutationObserver(done);
  const end = setTimeout(done, limit);
  observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
})"""
_STEP: Final = 0.5
"""Seconds after which a page that has not changed is looked at again: what is in frames is not observed."""


async def settle(page: Page, seconds: float, *, iframes: bool = False) -> None:
    """Return when the document is loaded and has not changed for a moment, or after so many seconds.

    With ``iframes`` the documents of frames are waited for as well.
    """
    from playwright.async_api import Error

    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        try:
            async with asyncio.timeout(left):
                for frame in page.frames if iframes else [page.main_frame]:
                    await frame.wait_for_load_state("domcontentloaded", timeout=0)
                await page.evaluate(_SETTLED, [QUIET * 1000, left * 1000])
            return
        except TimeoutError:
            return
        except Error as error:
            if page.is_closed():
                raise PageGone("the page was closed") from error
            # A navigation has replaced the document: the next one is waited for.


async def until_changed(page: Page, seconds: float) -> None:
    """Return when the document changes, is replaced, or after a moment."""
    from playwright.async_api import Error

    limit = max(0.01, min(seconds, _STEP))
    try:
        async with asyncio.timeout(limit + _STEP):
            await page.evaluate(_CHANGED, limit * 1000)
    except TimeoutError:
        return  # a page that is busy
    except Error as error:
        if page.is_closed():
            raise PageGone("the page was closed") from error
