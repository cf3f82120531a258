"""Names of files that no line of text can hold, and paths with a slash at their end, on the local runtime."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agb import AsyncAGB, AsyncSession, Config, CreateSessionParams, ErrorKind
from agb.local import LocalServer
from tests.servers import Conversation, scripted, value

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""
ODD = [
    os.fsdecode(name)
    for name in (b"a\nb", b"a\\nb", b"tab\tx", b"\xff\xfe", "ü\udcff".encode("utf-8", "surrogateescape"), b"e \n")
]
"""Two of them are shown alike by the tools of the local runtime."""
PLAIN = ["plain", "größe"]


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def routes(agb: AsyncAGB, session: AsyncSession) -> list[AsyncSession]:
    """Return the session by its link, and by the API."""
    return [session, agb.attach(session.ref)]


@pytest.mark.one_flavour
async def test_each_name_leads_back_to_its_file(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for number, one in enumerate(routes(agb, session)):
            file, top = one.file, f"/tmp/odd{number}/\udcff"
            (await file.mkdir(f"{top}/di\nr")).raise_for_error()
            names = [f"{top}/{name}" for name in [*ODD, *PLAIN, "di\nr/below"]]
            for name in names:
                (await file.write(name, name.encode("utf-8", "surrogateescape"))).raise_for_error()
            listed = (await file.list(top)).raise_for_error().entries
            assert {(entry["name"], entry["isDirectory"]) for entry in listed} == {
                *((name, False) for name in [*ODD, *PLAIN]),
                ("di\nr", True),
            }
            found = (await file.search(top, "*")).raise_for_error().matches
            assert sorted(found) == sorted([*names, f"{top}/di\nr"])
            assert (await file.search(f"/tmp/odd{number}", "plain")).matches == [f"{top}/plain"]
            globbed = (await file.glob(f"/tmp/odd{number}/?/**")).raise_for_error().matches
            assert globbed == sorted(found)
            for name in names:
                content = name.encode("utf-8", "surrogateescape")
                assert (await file.read(name, format="bytes")).content == content
                info = (await file.info(name)).raise_for_error().file_info
                assert (info.get("path"), info.get("name"), info["size"]) == (
                    name,
                    name.rpartition("/")[2],
                    len(content),
                )
                assert (await file.exists(name)).data is True
                moved = f"{top}/moved\udc80"
                assert (await file.move(name, moved)).success
                assert (await file.write(moved, "+", "append")).success

                assert (await file.remove(moved)).success
            assert (await file.list(f"{top}/di\nr")).entries == []
            assert (await file.remove(top, recursive=True)).success


async def test_names_that_change_are_named_by_a_watch(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        await session.file.mkdir("/tmp/inbox")
        async with session.file.watch("/tmp/inbox/", interval=0.05) as changes:
            (await session.file.write("/tmp/inbox/a\n\udcff", "x")).raise_for_error()
            batch = await changes.receive()
    assert batch[0].path == "/tmp/inbox/a\n\udcff"


async def test_links(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        file = session.file
        made = await session.command.execute(
            "cd /tmp; mkdir real; ln -s real link; ln -s nowhere dangling; ln -s loop loop; echo x >real/a", LIMIT_MS
        )
        assert made.success
        for name in ("dangling", "loop"):
            assert (await file.exists(f"/tmp/{name}")).data is False
            assert not (await file.info(f"/tmp/{name}")).success
            assert not (await file.read(f"/tmp/{name}")).success
        for path in ("/tmp/link", "/tmp/link/", "/tmp/real//"):
            assert (await file.exists(path)).data is True
            assert (await file.info(path)).file_info["isDirectory"] is True
            assert [entry["name"] for entry in (await file.list(path)).entries] == ["a"]
        assert (await file.glob("/tmp/[lr]*/")).matches == ["/tmp/link", "/tmp/real"]
        assert (await file.remove("/tmp/link/", recursive=True)).success  # the link, not what it leads to
        assert (await file.read("/tmp/real/a")).content == "x\n"


PATH = "/tmp/s/f"
SLASHED: list[Callable[[AsyncSession, str], Awaitable[Any]]] = [
    lambda s, end: s.file.mkdir(f"/tmp/s{end}"),
    lambda s, end: s.file.write(f"{PATH}{end}", "x"),
    lambda s, end: s.file.write(f"{PATH}{end}", bytes(2_000_000)),
    lambda s, end: s.file.write(f"{PATH}{end}", "y", "append"),
    lambda s, end: s.file.write_stream(f"{PATH}{end}", [b"one"]),
    lambda s, end: s.file.read(f"{PATH}{end}"),
    lambda s, end: s.file.read_batch([f"{PATH}{end}"]),
    lambda s, end: s.file.info(f"{PATH}{end}"),
    lambda s, end: s.file.edit(f"{PATH}{end}", [{"oldText": "one", "newText": "two"}]),
    lambda s, end: s.file.list(f"/tmp/s{end}"),
    lambda s, end: s.file.search(f"/tmp/s{end}", "f"),
    lambda s, end: s.file.exists(f"{PATH}{end}"),
    lambda s, end: s.file.move(f"{PATH}{end}", f"/tmp/s/g{end}"),
    lambda s, end: s.file.move(f"/tmp/s{end}", f"/tmp/t{end}"),
    lambda s, end: s.file.remove(f"/tmp/t/g{end}"),
    lambda s, end: s.file.remove(f"/tmp/t{end}", recursive=True),
]


@pytest.mark.one_flavour
async def test_slash_at_the_end(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for end in ("", "/", "//"):
            for number, act in enumerate(SLASHED):
                result = await act(session, end)
                assert result.success, (number, end, result)
                assert getattr(result, "matches", [PATH]) == [PATH]
                assert [*getattr(result, "contents", {PATH + end: 0})] == [PATH + end]
                assert getattr(result, "file_info", {"path": PATH})["path"] == PATH


async def test_names_that_cannot_be_found_out_are_reported() -> None:
    """By a service that shows them otherwise than they are, and has no shell."""

    def act(talk: Conversation) -> None:
        name = json.loads(talk.request.body)["name"]
        texts = {"list_directory": "[FILE] a\n[FILE] b\ufffd", "search_files": "/d/a\n/d/b\ufffd"}
        text = texts.get(name, "Tool not found: shell")
        value({"content": [{"type": "text", "text": text}], "isError": name not in texts})(talk)

    with scripted(act) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb:
            file = agb.attach("s-1").file
            listed, found = await file.list("/d"), await file.search("/d", "*")
    assert not listed.success
    assert [entry["name"] for entry in listed.entries] == ["a", "b\ufffd"]
    assert not found.success
    assert found.matches == ["/d/a", "/d/b\ufffd"]
    for result in (listed, found):
        assert result.error is not None
        assert result.error.kind is ErrorKind.NOT_FOUND
        assert "names" in result.error_message
