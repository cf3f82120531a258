"""A runtime that is killed in the middle of uploads: what it acknowledged is there, the rest is whole or absent.

``AGB_KILL_ROUNDS=50`` makes it die that often.
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

ROUNDS = int(os.environ.get("AGB_KILL_ROUNDS", "3"))
THREADS = 6
SIZES = (0, 10, 5_000, 300_000, 1_500_000, 4_000_000)

Content = str | None
"""The SHA-256 of what is stored under a path, None for nothing."""


@define
class Told:
    """What the runtime acknowledged, and what was on its way when it died."""

    stored: dict[str, Content] = field(factory=dict)
    on_its_way: dict[str, Content] = field(factory=dict)
    contexts: list[str] = field(factory=list)
    """Names of contexts that were made."""
    count: int = 0
    """Of what was acknowledged."""
    interrupted: int = 0

    def may_be(self, path: str) -> set[Content]:
        return {self.stored.get(path), self.on_its_way.get(path, self.stored.get(path))}


def test_killed_in_the_middle_of_uploads(tmp_path: Path) -> None:
    told, seed = Told(), random.randrange(2**32)
    for number in range(ROUNDS):
        dice = random.Random(seed + number)
        with serve(allow_none=True, data_dir=tmp_path) as server:
            api = Api(server)
            with api.http:
                context = str(api.get("/sdk/GetContext", name="mine", allowCreate="true")["id"])
                check(api, context, told, tmp_path / "contexts")
                work(api, context, told, dice)
        told.interrupted += len(told.on_its_way)
    with serve(allow_none=True, data_dir=tmp_path) as server:
        api = Api(server)
        with api.http:
            check(api, str(api.get("/sdk/GetContext", name="mine")["id"]), told, tmp_path / "contexts")
    assert told.count >= 10 * ROUNDS
    assert told.interrupted


def check(api: Api, context: str, told: Told, directory: Path) -> None:
    """Compare what is there, in the lists and on the disk, with what was told; take it for what is acknowledged."""
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
    for path in {*told.stored, *told.on_its_way, *found}:
        assert found.get(path) in told.may_be(path), path
    blobs = [path for path in (directory / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == len(listed)
    assert list((directory / "incoming").iterdir()) == []
    names = [made["name"] for made in api.get("/sdk/ListContexts", maxResults="1000")]
    assert set(told.contexts) <= set(names)
    told.stored, told.on_its_way = dict(found), {}


def work(api: Api, context: str, told: Told, dice: random.Random) -> None:
    """Upload and delete with several threads until the runtime is killed, at any moment."""
    acknowledged = threading.Semaphore(0)
    seeds = [dice.random() for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS + 1) as threads:
        ends = [
            threads.submit(until_it_dies, partial(one, api, context, told, number), seed, acknowledged)
            for number, seed in enumerate(seeds)
        ]
        for _ in range(dice.randrange(10, 60)):
            acknowledged.acquire()
        os.kill(api.server.pid, signal.SIGKILL)
    told.count += sum(end.result() for end in ends)


def until_it_dies(act: Callable[[random.Random], None], seed: float, acknowledged: threading.Semaphore) -> int:
    """Act until nobody answers, and return how often somebody did."""
    dice, count = random.Random(seed), 0
    while True:
        try:
            act(dice)
        except httpx.TransportError:
            return count
        count += 1
        acknowledged.release()


def one(api: Api, context: str, told: Told, number: int, dice: random.Random) -> None:
    """Upload or delete a file of this thread's own, or make a context."""
    path = f"/thread {number}/{dice.randrange(8)}"
    choice = dice.random()
    if choice < 0.05:
        name = f"{number} {dice.random()}"
        api.get("/sdk/GetContext", name=name, allowCreate="true")
        told.contexts.append(name)
    elif choice < 0.2 and told.stored.get(path):
        told.on_its_way[path] = None
        api.post("/sdk/DeleteContextFile", {"contextId": context, "filePath": path})
        told.stored[path] = told.on_its_way.pop(path)
    else:
        content = dice.randbytes(dice.choice(SIZES))
        link = api.post("/sdk/GetContextFileUploadUrl", {"contextId": context, "filePath": path})["url"]
        told.on_its_way[path] = sha256(content).hexdigest()
        answer = httpx.put(link, content=content)
        assert answer.status_code == 200
        told.stored[path] = told.on_its_way.pop(path)
