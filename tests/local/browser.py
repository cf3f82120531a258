"""A real Chromium without a window, driven by the DevTools protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")
SECONDS = 120
"""Limit of each step; a machine under load may need long to start a browser."""


class Browser:
    """One tab of a browser: a new one, or the first of those that are open.

    One ``in_new_context`` shares nothing with others, such as cookies, and ends with the connection.
    """

    def __init__(self, connection: ClientConnection, *, is_first: bool = False, in_new_context: bool = False) -> None:
        self._connection = connection
        self._number = 0
        self._session = ""
        if is_first:
            targets = self._call("Target.getTargets")["targetInfos"]
            target = next(target["targetId"] for target in targets if target["type"] == "page")
        else:
            place = self._call("Target.createBrowserContext", disposeOnDetach=True) if in_new_context else {}
            target = self._call("Target.createTarget", url="about:blank", **place)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")

    def open(self, url: str) -> str:
        """Open a page, and return its address when it is loaded."""
        failed = self._call("Page.navigate", url=url).get("errorText")
        assert failed is None, f"{url}: {failed}"
        return self._loaded()

    def leave(self, script: str) -> str:
        """Run JavaScript that leads to another page, and return its address when it is loaded."""
        self.run(script)
        return self._loaded()

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression in the page; that of a promise when it is kept."""
        done = self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def until(self, condition: str) -> Any:
        """Return the first value of an expression that counts as true; properties change without an event."""
        return self.run(
            "new Promise(resolve => {"
            f"  const check = () => {{ let value; try {{ value = ({condition}) }} catch {{}};"
            "    value ? resolve(value) : setTimeout(check, 20) };"
            "  check() })"
        )

    def in_new_context(self) -> Browser:
        return Browser(self._connection, in_new_context=True)

    def _loaded(self) -> str:
        while json.loads(self._connection.recv(SECONDS)).get("method") != "Page.loadEventFired":
            pass
        return str(self.run("location.href"))

    def _call(self, method: str, **params: Any) -> Any:
        self._number += 1
        call: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        self._connection.send(json.dumps(call | ({"sessionId": self._session} if self._session else {})))
        while (answer := json.loads(self._connection.recv(SECONDS))).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]


@contextmanager
def chromium(profile: Path) -> Iterator[str]:
    """Run a browser with a new profile, and yield its address."""
    assert PROGRAM is not None
    command = [PROGRAM, "--headless", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--no-first-run"]
    command += ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr:
        try:
            said = next(line for line in process.stderr if line.startswith("DevTools listening on "))
            rest = threading.Thread(target=process.stderr.read)  # so that the pipe is never full
            rest.start()
            yield said.rpartition(" ")[2].strip()
            process.terminate()
            process.wait(SECONDS)
            rest.join()
        finally:
            process.kill()
            process.wait()


@contextmanager
def new_visitor(address: str) -> Iterator[Browser]:
    """A tab of a browser that runs, with nothing that tests before have left: the browser of one person."""
    with connect(address, max_size=None, open_timeout=SECONDS) as connection:
        yield Browser(connection, in_new_context=True)
