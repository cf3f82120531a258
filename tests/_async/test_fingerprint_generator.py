"""Fingerprints read from a browser of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agb import AsyncBrowserFingerprintGenerator, BrowserError, BrowserOption, FingerprintFormat
from tests.browsers import drivers, needs_browser
from tests.local.browser import PROGRAM

pytestmark = [pytest.mark.anyio, needs_browser, pytest.mark.one_event_loop]


def generator() -> AsyncBrowserFingerprintGenerator:
    return AsyncBrowserFingerprintGenerator(headless=True, executable_path=PROGRAM)


@pytest.mark.one_flavour  # tests/test_browser_coroutines.py has one of the other
async def test_fingerprint_of_a_browser(tmp_path: Path) -> None:
    """One that has been written to a file is the same, and can be given to a session's browser."""
    path = tmp_path / "fingerprint.json"
    await generator().generate_to_file(path)
    assert drivers() == []
    found = FingerprintFormat.load(path.read_text("utf-8"))
    navigator = found.fingerprint.navigator
    assert "Chrome/" in navigator.userAgent
    assert navigator.webdriver is False
    assert {"Chromium"} <= {brand.brand for brand in navigator.userAgentData.brands}
    assert navigator.userAgentData.fullVersionList
    assert navigator.languages
    assert found.fingerprint.screen.width > 0
    assert found.fingerprint.videoCodecs.keys() == {"ogg", "h264", "webm"}
    assert found.headers["user-agent"] == navigator.userAgent
    assert {"accept", "accept-encoding", "accept-language", "sec-ch-ua", "sec-fetch-dest"} <= found.headers.keys()
    assert not found.headers.keys() & {"host", "connection"}
    assert BrowserOption.from_map(BrowserOption(fingerprint_format=found).to_map()).fingerprint_format == found
    assert json.loads(path.read_text("utf-8")) == found.to_map()


async def test_browser_that_is_not_there(tmp_path: Path) -> None:
    missing = AsyncBrowserFingerprintGenerator(executable_path=str(tmp_path / "chrome"))
    with pytest.raises(BrowserError, match=r"Could not read the fingerprint of a browser: .*chrome"):
        await missing.generate_to_file(tmp_path / "fingerprint.json")
    assert drivers() == []
    assert list(tmp_path.iterdir()) == []


async def test_without_playwright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agb._async.modules.browser_connection.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'agb\[browser\]'"):
        await generator().generate()
