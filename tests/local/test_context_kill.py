"""A runtime that is killed in the middle of uploads: acknowledged files are stored, others are complete or absent.

``AGB_KILL_ROUNDS=50`` is the number of kills.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx
from attrs import define, field

from agb.local import serve

from .conftest import Api

ROUNDS = int(os.environ.get("AGB_KILL_ROUNDS", "2"))
THREADS = 6
SIZES = (0, 10, 5_000, 300_000, 1_500_000, 4_000_000)

Content = str | None
"""The SHA-256 of a stored file, None for no file."""


@define
class Acknowledged:
    """The acknowledged writes, and those that were in flight when the runtime was killed."""

    stored: dict[str, Content] = field(factory=dict)
    in_flight: dict[str, Content] = field(factory=dict)
    contexts: list[str] = field(factory=list)
    """Names of contexts that were made."""
    count: int = 0
    """Number of acknowledged requests."""
    interrupted: int = 0

    def may_be(self, path: str) -> set[Content]:
        return {self.stored.get(path), self.in_flight.get(path, self.stored.get(path))}


def test_killed_in_the_middle_of_uploads(tmp_path: Path) -> None:
    known, seed = Acknowledged(), random.randrange(2**32)
    for number in range(ROUNDS):
        dice = random.Random(seed + number)
        with serve(allow_none=True, data_dir=tmp_path) as server:
            api = Api(server)
            with api.http:
                context = str(api.get("/sdk/GetContext", name="mine", allowCreate="true")["id"])
                check(api, context, known, tmp_path / "contexts")
                work(api, context, known, dice)
        known.interrupted += len(known.in_flight)
    with serve(allow_none=True, data_dir=tmp_path) as server:
        api = Api(server)
        with api.http:
            check(api, str(api.get("/sdk/GetContext", name="mine")["id"]), known, tmp_path / "contexts")
    assert known.count >= 10 * ROUNDS
    assert known.interrupted


def check(api: Api, context: str, known: Acknowledged, directory: Path) -> None:
    """Compare the stored files, in lists and on the disk, with the acknowledged writes; take them for acknowledged."""
    envelope = api.ask("POST", "/sdk/DescribeContextFiles", {"contextId": context, "pageSize": "1000"})
    listed = {file["filePath"]: file["size"] for file in envelope["data"]}
    found = {}
    for path, size in listed.items():
        link = api.post("/sdk/GetContextFileDownloadUrl", {"contextId": context, "filePath": path})["url"]
        answer = httpx.get(link)
        assert answer.status_code == 200
        assert len(answer.content) == size
        found[path] = sha256(answer.content).hexdigest()
        assert answer.headers["etag"] == f'"{found[path]}"'
    for path in {*known.stored, *known.in_flight, *found}:
        assert found.get(path) in known.may_be(path), path
    blobs = [path for path in (directory / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == len(listed)
    assert list((directory / "incoming").iterdir()) == []
    names = [made["name"] for made in api.get("/sdk/ListContexts", maxResults="1000")]
    assert set(known.contexts) <= set(names)
    known.stored, known.in_flight = dict(found), {}


def work(api: Api, context: str, known: Acknowledged, dice: random.Random) -> None:
    """Upload and delete with several threads until the runtime is killed, at any moment."""
    acknowledged = threading.Semaphore(0)
    seeds = [dice.random() for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS + 1) as threads:
        ends = [
            threads.submit(until_killed, partial(one, api, context, known, number), seed, acknowledged)
            for number, seed in enumerate(seeds)
        ]
        for _ in range(dice.randrange(10, 60)):
            acknowledged.acquire()
        os.kill(api.server.pid, signal.SIGKILL)
    known.count += sum(end.result() for end in ends)


def until_killed(act: Callable[[random.Random], None], seed: float, acknowledged: threading.Semaphore) -> int:
    """Send requests until the runtime is gone, and return the number of its answers."""
    dice, count = random.Random(seed), 0
    while True:
        try:
            act(dice)
        except httpx.TransportError:
            return count
        count += 1
        acknowledged.release()


def one(api: Api, context: str, known: Acknowledged, number: int, dice: random.Random) -> None:
    """Upload or delete a file of this thread's own, or make a context."""
    path = f"/thread {number}/{dice.randrange(8)}"
    choice = dice.random()
    if choice < 0.05:
        name = f"{number} {dice.random()}"
        api.get("/sdk/GetContext", name=name, allowCreate="true")
        known.contexts.append(name)
    elif choice < 0.2 and known.stored.get(path):
        known.in_flight[path] = None
        api.post("/sdk/DeleteContextFile", {"contextId": context, "filePath": path})
        known.stored[path] = known.in_flight.pop(path)
    else:
        content = dice.randbytes(dice.choice(SIZES))
        link = api.post("/sdk/GetContextFileUploadUrl", {"contextId": context, "filePath": path})["url"]
        known.in_flight[path] = sha256(content).hexdigest()
        answer = httpx.put(link, content=content)
        assert answer.status_code == 200
        known.stored[path] = known.in_flight.pop(path)
