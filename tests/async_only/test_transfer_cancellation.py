"""Transfers that are cancelled: nothing half-written is left, no connection half used, and what was there stays."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from agb import AsyncAGB, Config
from tests.bucket import CONTEXT, Bucket, bucket
from tests.servers import Conversation, Gate, cut

LARGE = bytes(1 << 20) * 12


@pytest.fixture
def store() -> Iterator[Bucket]:
    with bucket() as kept:
        yield kept
    gc.collect()  # so that what was not closed shows in the test that did not close it


def client(store: Bucket) -> AsyncAGB:
    return AsyncAGB("ako-key", Config(store.server.endpoint, 10_000))


async def still_usable(agb: AsyncAGB, store: Bucket, tmp_path: Path) -> None:
    """Assert that what comes next is not what is left of what was given up."""
    store.files["/tmp/small"] = b"small"
    for _ in range(2):
        assert (await agb.context.list_files(CONTEXT)).success
        assert (await agb.context.download(CONTEXT, "/tmp/small", tmp_path / "small")).success
        assert (tmp_path / "small").read_bytes() == b"small"
    (tmp_path / "small").unlink()


async def cancelled(way: str, function: Any, when: threading.Event) -> None:
    """Run a function, and cancel it once the event is set."""
    if way == "native":
        task = asyncio.ensure_future(function())
        assert await anyio.to_thread.run_sync(when.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(function)
        assert await anyio.to_thread.run_sync(when.wait, 5)
        tasks.cancel_scope.cancel()


WAYS = [("asyncio", "native"), ("asyncio", "scope"), ("trio", "scope")]


@pytest.mark.parametrize(("anyio_backend", "way"), WAYS, indirect=["anyio_backend"])
@pytest.mark.anyio
async def test_download_cancelled_in_the_middle(store: Bucket, tmp_path: Path, way: str) -> None:
    store.files = {f"/tmp/x/{number}": LARGE for number in range(6)}
    gate = Gate()
    half = cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + LARGE)

    def begin(talk: Conversation) -> None:
        half(talk)
        gate.hold(talk)

    store.instead.extend([begin] * 3)
    (tmp_path / "0").write_bytes(b"before")
    async with client(store) as agb:

        async def download() -> None:
            await agb.context.download(CONTEXT, "/tmp/x", tmp_path, concurrency=3)

        await cancelled(way, download, gate.asked)
        gate.open()
        names = [path.name for path in tmp_path.iterdir()]
        assert not [name for name in names if name.endswith(".part")]
        assert (tmp_path / "0").read_bytes() == b"before"
        await still_usable(agb, store, tmp_path)


@pytest.mark.parametrize(("anyio_backend", "way"), WAYS, indirect=["anyio_backend"])
@pytest.mark.anyio
async def test_upload_cancelled_in_the_middle(store: Bucket, tmp_path: Path, way: str) -> None:
    store.files["/tmp/a"] = b"before"
    (tmp_path / "large").write_bytes(LARGE)
    gate = Gate()

    def hold(talk: Conversation) -> None:
        gate.hold(talk)
        talk.keep = False

    store.early.append(hold)
    async with client(store) as agb:

        async def upload() -> None:
            await agb.context.upload(CONTEXT, tmp_path / "large", "/tmp/a")

        await cancelled(way, upload, gate.asked)
        gate.open()
        assert store.files["/tmp/a"] == b"before"
        await still_usable(agb, store, tmp_path)
    assert store.files["/tmp/a"] == b"before"


@pytest.mark.parametrize(("anyio_backend", "way"), WAYS, indirect=["anyio_backend"])
@pytest.mark.anyio
async def test_cancelled_at_any_moment(store: Bucket, tmp_path: Path, way: str) -> None:
    """Whole files are left or none, wherever the cancellation comes in."""
    store.files = {f"/tmp/x/{number}": bytes([number]) * 100_000 for number in range(40)}
    async with client(store) as agb:
        for step in range(1, 30):
            place = tmp_path / f"{step}"

            async def download(place: Path = place) -> None:
                await agb.context.download(CONTEXT, "/tmp/x", place, concurrency=4)

            moment = threading.Event()
            timer = threading.Timer(step * 0.002, moment.set)
            timer.start()
            if way == "native":
                task = asyncio.ensure_future(download())
                await anyio.to_thread.run_sync(moment.wait)
                task.cancel()
                await asyncio.wait([task])
            else:
                await cancelled(way, download, moment)
            timer.join()
            for path in place.rglob("*"):
                assert path.read_bytes() == store.files[f"/tmp/x/{path.name}"]
        await still_usable(agb, store, tmp_path)
