"""Ctrl-C while the synchronous flavour connects to a browser: no driver of Playwright is left behind."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from threading import Event, Thread

import pytest

from agb import AGB, BrowserError, Config
from tests.browsers import INIT, UnansweredBrowser, drivers
from tests.servers import scripted

pytestmark = pytest.mark.skipif(find_spec("playwright") is None, reason="needs Playwright")


def interrupt_when(reached: Event) -> None:
    assert reached.wait(60)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("stop_at", [INIT, "the link"])
def test_block_that_is_interrupted(stop_at: str) -> None:
    service = UnansweredBrowser(stop_at)
    with scripted(service) as server, AGB("ako-key", Config(server.endpoint, 60_000)) as agb:
        service.port = server.port
        thread = Thread(target=interrupt_when, args=(service.reached,))
        thread.start()
        with pytest.raises(KeyboardInterrupt), agb.attach("s-1").browser.connect():
            pytest.fail("connected")
        thread.join()
    assert drivers() == []
    assert service.stops == 1


def test_playwright_that_runs_already_is_to_be_passed() -> None:
    """Its synchronous API runs once in a thread."""
    from playwright.sync_api import sync_playwright

    service = UnansweredBrowser("the driver")
    with scripted(service) as server, AGB("ako-key", Config(server.endpoint, 60_000)) as agb, sync_playwright():
        service.port = server.port
        with (
            pytest.raises(BrowserError, match=r"where Playwright runs already, pass it: playwright=\.\.\."),
            agb.attach("s-1").browser.connect(),
        ):
            pytest.fail("connected")
    assert drivers() == []
    assert service.stops == 1
