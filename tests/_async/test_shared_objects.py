"""Calls of several tasks or threads on one object do not mix: processes, their output, files, streams and lists."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from agb import AsyncAGB, Config, CreateSessionParams, ErrorKind
from agb._async._compat.concurrency import gather
from agb.local import LocalServer

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT = 120
"""Seconds to wait for an event that must happen; a test that waits so long has failed."""


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 60_000))


async def test_each_write_to_a_process_arrives_whole(runtime: LocalServer) -> None:
    """Also if it takes several calls."""
    lines = [letter * (9_000 if letter < "i" else 120_000) for letter in "abcdefghijkl"]
    async with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        await session.command.start("cat", stdin=True) as process,
    ):
        results = await gather([partial(process.write, f"{line}\n") for line in lines])
        assert [result.data for result in results] == [len(line) + 1 for line in lines]
        assert (await process.close_stdin()).success
        assert sorted((await process.wait(timeout=LIMIT)).stdout.splitlines()) == lines


async def test_write_that_waits_for_another_ends_in_time(runtime: LocalServer) -> None:
    async with (
        client(runtime) as agb,
        agb.session(PARAMS) as session,
        await session.command.start("sleep 60", stdin=True) as process,
    ):
        both = await gather([partial(process.write, bytes(300_000), timeout=1.0) for _ in range(2)])
    assert [result.error.kind for result in both if result.error] == [ErrorKind.TIMED_OUT] * 2
    assert 0 in [result.data for result in both]


async def test_tasks_that_share_an_output_read_it_once(runtime: LocalServer) -> None:
    seen: list[str] = []

    async with client(runtime) as agb, agb.session(PARAMS) as session:
        process = await session.command.start(
            "for i in $(seq 400); do echo $i; [ $((i % 40)) -gt 0 ] || sleep 0.01; done"
        )
        async with process.stream(timeout=LIMIT) as output:

            async def read() -> None:
                seen.extend([event.text async for event in output])

            await gather([read] * 4)
    assert sorted("".join(seen).split()) == sorted(str(number) for number in range(1, 401))


async def test_tasks_that_share_a_stream_read_it_once(runtime: LocalServer) -> None:
    data = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(2_000))
    seen: list[bytes] = []
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        (await session.file.write("/tmp/f", data)).raise_for_error()
        async with session.file.read_stream("/tmp/f", 320) as stream:

            async def read() -> None:
                seen.extend([chunk async for chunk in stream])

            await gather([read] * 4)
    assert len(seen) == len(data) // 320
    assert set(seen) == {data[start : start + 320] for start in range(0, len(data), 320)}


async def test_each_append_arrives_whole(runtime: LocalServer) -> None:
    pieces = ["a" * 10, "b" * 60_000, "c" * 2_500_000, "d" * 1_500_000, "e" * 7]
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        file = session.file
        appends: list[Callable[[], Awaitable[Any]]] = [partial(file.write, "/tmp/log", one, "append") for one in pieces]
        appends.append(partial(file.write, "/tmp/other", "x", "append"))
        await gather(appends)
        text = (await file.read("/tmp/log")).raise_for_error().content
        assert sorted({char: text.index(char) for char in "abcde"}) == [*"abcde"]
        assert all(one in text for one in pieces)
        assert len(text) == sum(map(len, pieces))


async def test_tasks_that_share_a_list_read_it_once(runtime: LocalServer) -> None:
    seen: list[str] = []
    async with client(runtime) as agb:
        names = [f"shared-{number}" for number in range(25)]
        for name in names:
            (await agb.context.create(name)).raise_for_error()
        contexts = agb.context.iterate(3)

        async def read() -> None:
            seen.extend([context.name async for context in contexts])

        await gather([read] * 4)
    assert len(seen) == len(set(seen))
    assert set(names) <= set(seen)
