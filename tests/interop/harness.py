"""What the interop suite drives with: a runtime as a child process, and sessions that are released quickly."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from agb import AGB, Session
    from agb.session_params import BrowserContext

IMAGE = "agb-code-space-1"
DESKTOP_IMAGE = "agb-computer-use-ubuntu-2204"
"""Its sessions have a link."""
PLAIN_DESKTOP_IMAGE = "agb-computer-use-1"
"""Its sessions have none, so that a picture is returned by its address."""
API_KEY = "ako-interop"
START_SECONDS = 30.0
STOP_SECONDS = 20.0

Connect = Callable[..., "AGB"]
"""Makes a client of the runtime: ``connect(api_key=..., endpoint=...)``, both with the right default."""


class Runtime:
    """A runtime that was started as a user starts it: ``agb serve`` on a free port, with the key in its environment."""

    def __init__(self, python: str, directory: Path) -> None:
        self.data_dir = directory / "data"
        self.data_dir.mkdir()
        self.log = directory / "stderr.txt"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AGB_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [python, "-m", "agb.local", "--port", "0", "--data-dir", str(self.data_dir)],
                env={**environment, "AGB_API_KEY": API_KEY},
                cwd=directory,
                stdin=subprocess.PIPE,  # kept open: a runtime may take its end as the end of its owner
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            self.endpoint = self._address()
        except BaseException:
            self.kill()
            raise

    def _address(self) -> str:
        """Return the URL in the banner, which is printed once requests are answered."""
        assert self.process.stdout is not None
        banner, limit = b"", time.monotonic() + START_SECONDS
        while not (found := re.search(rb"http://127\.0\.0\.1:\d+", banner)):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, limit - time.monotonic()))
            part = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not part:
                raise RuntimeError(f"no address within {START_SECONDS} s; stdout: {banner!r}; {self.log.read_text()}")
            banner += part
        return found[0].decode()

    def stop(self) -> int:
        """Stop it as Ctrl-C does, and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def processes(self) -> set[int]:
        """Return the ids of all processes that came of it: sessions, and whatever runs in them."""
        parents = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # ended while we looked
                # The name stands in brackets and may hold anything; state and parent follow the last one.
                parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        found: set[int] = set()
        children = {self.process.pid}
        while children:
            children = {process for process, parent in parents.items() if parent in children}
            found |= children
        return found

    def kill(self) -> None:
        """Leave no process and no pipe behind, whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Sessions:
    """Makes sessions and asks for their release at the end; the SDK's own delete would wait a second for each."""

    def __init__(self, agb: AGB, endpoint: str) -> None:
        self.agb = agb
        self.endpoint = endpoint
        self.made: list[str] = []

    def create(
        self,
        labels: dict[str, str] | None = None,
        idle_release_timeout: int | None = None,
        image: str = IMAGE,
        browser_context: BrowserContext | None = None,
    ) -> Session:
        from agb import CreateSessionParams

        params = CreateSessionParams(
            labels, image, idle_release_timeout=idle_release_timeout, browser_context=browser_context
        )
        result = self.agb.create(params)
        assert result.success, result.error_message
        assert result.session is not None
        self.made.append(result.session.session_id)
        return result.session

    def __enter__(self) -> Sessions:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for session_id in self.made:
            body = json.dumps({"sessionId": session_id}).encode()
            headers = {"authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
            # Some were deleted by their test, which is answered with a refusal.
            fetch(Request(f"{self.endpoint}/mcp/releaseSessionAsync", body, headers))


def fetch(request: Request | str) -> tuple[int, str]:
    """Return status and text of an answer, whatever its status; a proxy of this machine has no part in it."""
    status, body = fetch_bytes(request)
    return status, body.decode()


def fetch_bytes(request: Request | str) -> tuple[int, bytes]:
    """Return status and body of an answer."""
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=20) as response:
            return response.status, response.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
