"""Puppeteer as a client of a session's browser: ``nox -s puppeteer`` installs it, and names its directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from .browser import needs_chromium
from .browsers import initialize, new_session
from .conftest import Api

DIRECTORY = os.environ.get("AGB_PUPPETEER", "")
pytestmark = [needs_chromium, pytest.mark.skipif(not DIRECTORY, reason="AGB_PUPPETEER names no puppeteer-core")]

SCRIPT = """
const puppeteer = require(process.argv[1]);
(async () => {
  const browser = await puppeteer.connect(JSON.parse(process.argv[2]));
  const page = await browser.newPage();
  await page.goto("data:text/html,<title>Hello</title>");
  console.log(await page.title(), (await page.screenshot()).length > 1000);
  await page.close();
  await browser.disconnect();
})();
"""


@pytest.fixture(scope="module")
def browsing(api: Api) -> Iterator[str]:
    session_id = new_session(api)
    assert initialize(api, session_id)["success"]
    yield session_id
    api.release(session_id)


@pytest.mark.parametrize("option", ["browserWSEndpoint", "browserURL"])
def test_puppeteer_connects(api: Api, browsing: str, option: str) -> None:
    urls = api.post("/internet/getCdpLink", {"sessionId": browsing})
    if option == "browserURL" and ".localhost" not in urls["httpUrl"]:
        pytest.skip("this machine does not resolve names below localhost, and Puppeteer replaces the path of a URL")
    given = json.dumps({option: urls["url" if option == "browserWSEndpoint" else "httpUrl"]})
    node = shutil.which("node") or "node"
    done = subprocess.run(
        [node, "-e", SCRIPT, DIRECTORY, given], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.stderr) == ("Hello true\n", "")
