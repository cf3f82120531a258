"""A screenshot of a whole page through Playwright: which calls to its page make one, in which order. No I/O.

The calls differ between Playwright's two flavours in one thing, whether they are awaited. So `steps` is a generator: it
yields each call as a function, and its caller sends back the result or throws in the error.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

from attrs import frozen

MAX_HEIGHT = 10_000
"""Pixels of a page that a screenshot without ``full_page`` has at most."""
WIDTH = 1920
LOAD_TIMEOUT = 30_000.0
"""Milliseconds that a page may take until its document is there."""

_COMMON = """
const settled = (limit) => new Promise((resolve) => {
  let quiet;
  const end = () => { clearTimeout(quiet); clearTimeout(last); observer.disconnect(); resolve(); };
  const check = () => [...document.images].every((image) => image.complete) ? end() : restart();
  const restart = () => { clearTimeout(quiet); quiet = setTimeout(check, 100); };
  const last = setTimeout(end, limit);
  const observer = new MutationObserver(restart);
  observer.observe(document, { subtree: true, childList: true, attributes: true });
  restart();
});
const height = () => Math.max(document.documentElement.scrollHeight, document.body ? document.body.scrollHeight : 0);
"""
"""`settled` waits until for 100 ms nothing has changed and every picture is loaded, at most for its limit."""

LOAD_ALL = f"""async () => {{
  {_COMMON}
  const before = {{ x: scrollX, y: scrollY, width: innerWidth, height: innerHeight }};
  for (const image of document.querySelectorAll("img[loading=lazy]")) image.loading = "eager";
  for (const image of document.querySelectorAll("img[data-src]")) image.src = image.dataset.src;
  for (const element of document.querySelectorAll("[data-bg]"))
    element.style.backgroundImage = `url(${{JSON.stringify(element.dataset.bg)}})`;
  let reached = -1;
  for (let round = 0; round < 8 && height() !== reached; round++) {{
    reached = height();
    scrollTo({{ left: 0, top: reached, behavior: "instant" }});
    await settled(1200);
  }}
  scrollTo({{ left: 0, top: 0, behavior: "instant" }});
  return {{ ...before, pageHeight: height() }};
}}"""
"""Scrolls to the end until the page grows no more, so that all is there that is loaded when it becomes visible."""
SETTLE = f"async () => {{ {_COMMON} await settled(1200); }}"
SCROLL_BACK = """([left, top]) => scrollTo({ left, top, behavior: "instant" })"""

DEFAULTS = {"animations": "disabled", "caret": "hide", "scale": "css", "timeout": 60_000, "type": "png"}


@frozen
class Step:
    """A call to a method of a page."""

    call: Callable[[], Any]
    is_clean_up: bool = False
    """Whether it is made also if the caller is cancelled."""


Steps = Generator[Step, Any, bytes]


def steps(page: Any, full_page: bool, options: Mapping[str, Any]) -> Steps:
    """Return the steps of a screenshot; its size and position are afterwards what they were before.

    Raises:
        RuntimeError: in the generator, for an error of Playwright, which is its cause.
    """
    try:
        yield Step(partial(page.wait_for_load_state, "domcontentloaded", timeout=LOAD_TIMEOUT))
        size = page.viewport_size
        before = yield Step(partial(page.evaluate, LOAD_ALL))
        size = size or {"width": before["width"], "height": before["height"]}
        wanted = {"width": WIDTH, "height": max(1, min(int(before["pageHeight"]), MAX_HEIGHT))}
        try:
            yield Step(partial(page.set_viewport_size, wanted))
            yield Step(partial(page.evaluate, SETTLE))
            picture: bytes = yield Step(partial(page.screenshot, full_page=full_page, **{**DEFAULTS, **options}))
            return picture
        finally:
            yield Step(partial(page.set_viewport_size, size), is_clean_up=True)
            yield Step(partial(page.evaluate, SCROLL_BACK, [before["x"], before["y"]]), is_clean_up=True)
    except Exception as error:
        raise RuntimeError(f"Failed to capture screenshot: {error}") from error
