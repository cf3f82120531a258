"""Mounts: what comes into a session and what is stored of it, who wins, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from agb.local.errors import Refused
from agb.local.mounts import mounts
from agb.local.runtime import Runtime
from agb.local.session import LocalSession

from .runtimes import IMAGE, needs_bubblewrap, output

PLACE = "/home/user/data"


class Context:
    """A context of a runtime, and the sessions that mount it."""

    def __init__(self, runtime: Runtime, context_id: str) -> None:
        self.runtime = runtime
        self.store = runtime.contexts.store
        self.id = context_id

    def put(self, path: str, content: bytes = b"", **more: Any) -> None:
        with self.store.writing(self.id, path, **more) as writing:
            writing.write(content)
            writing.commit()

    def content(self, path: str) -> bytes:
        content, _ = self.store.open(self.id, path)
        with content:
            return content.read()

    def paths(self) -> list[str]:
        return [file.path for file in self.store.files(self.id)]

    async def session(self, path: str = PLACE, **policy: Any) -> LocalSession:
        """Return a session that mounts it; the data is there."""
        session = await self.started(path, **policy)
        await self.done(session)
        return session

    async def started(self, path: str = PLACE, **policy: Any) -> LocalSession:
        given = [{"contextId": self.id, "path": path, "policy": json.dumps(policy)}]
        return await self.runtime.create(IMAGE, mounts=mounts(given))

    async def done(self, session: LocalSession) -> list[dict[str, Any]]:
        """Return the rows once every task is over."""
        await session.mounts._all_done()
        return self.runtime.rows(session.id, "", "", "")

    async def sync(self, session: LocalSession, mode: str = "upload", path: str = "") -> dict[str, Any]:
        """Return the row of a sync that has ended."""
        (task,) = session.mounts.sync(path=path, mode=mode)
        await self.done(session)
        return task.row()

    async def uploaded(self, session: LocalSession, path: str = "") -> None:
        row = await self.sync(session, "upload", path)
        assert (row["status"], row["errorMessage"]) == ("Success", "")

    async def downloaded(self, session: LocalSession, path: str = "") -> None:
        row = await self.sync(session, "download", path)
        assert (row["status"], row["errorMessage"]) == ("Success", "")

    async def release(self, session: LocalSession) -> None:
        self.runtime.release(session.id)
        await self.runtime.released(session.id)

    async def shell(self, session: LocalSession, command: str) -> str:
        return await output(self.runtime, session, f"cd $HOME/data && {command}")


@pytest_asyncio.fixture
async def context(local_runtime: Runtime) -> AsyncIterator[Context]:
    """A new context of a runtime."""
    found = await asyncio.to_thread(local_runtime.contexts.store.find, "test", True)
    yield Context(local_runtime, found.id)


# --- there and back ---


@pytest.mark.asyncio
async def test_data_comes_and_is_stored(context: Context) -> None:
    context.put(f"{PLACE}/a/b.txt", b"hello", mode=0o600, mtime=1_700_000_000.5)
    session = await context.session()
    (row,) = context.runtime.rows(session.id, "", "", "")
    assert {key: row[key] for key in ("contextId", "path", "taskType", "status", "errorMessage")} == {
        "contextId": context.id,
        "path": PLACE,
        "taskType": "download",
        "status": "Success",
        "errorMessage": "",
    }
    assert 0 < row["startTime"] <= row["finishTime"]
    assert await context.shell(session, "cat a/b.txt; stat -c ' %a %Y' a/b.txt") == "hello 600 1700000000"
    await context.shell(session, "echo new > new; chmod 755 new; rm -r a")
    await context.uploaded(session)
    assert context.paths() == [f"{PLACE}/new"]
    assert context.content(f"{PLACE}/new") == b"new\n"
    assert context.store.files(context.id)[0].mode == 0o755


@pytest.mark.asyncio
async def test_any_tree_there_and_back(context: Context) -> None:
    make = """
        mkdir -p empty deep/er/est 'sp ace'; chmod 700 empty
        for name in 'sp ace/%41+?#&=;' '-rf' $'line\\nbreak' 'ünï ☃' '*' '~' '\\'; do echo "$name" > "$name"; done
        : > nothing; head -c 3000000 /dev/urandom > large; truncate -s 20M sparse; echo end >> sparse
        echo x > deep/er/est/run; chmod 751 deep/er/est/run; ln -s large 'to large'; ln -s deep/er 'to er'
    """
    look = "find -L . -type f -printf '%P %m %s %Ts\\n' | sort; find -L . -type f -print0 | sort -z | xargs -0 sum"
    first = await context.session()
    await context.shell(first, make)
    before = await context.shell(first, look)
    await context.uploaded(first)
    second = await context.session()
    assert await context.shell(second, "stat -c '%F %a' empty; find empty -type f") == "directory 700"
    assert (
        await context.shell(second, "cmp large 'to large' && cmp deep/er/est/run 'to er/est/run' && ls -d -- *") != ""
    )
    assert await context.shell(second, "tail -c 4 sparse; stat -c %s sparse nothing") == "end\n20971524\n0"
    names = (await context.shell(second, "ls -1b")).split("\n")
    assert {"-rf", "line\\nbreak", "ünï\\ ☃", "*", "~"} <= set(names)
    assert await context.shell(second, look) == before


@needs_bubblewrap
@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/tmp/agb_browser_data", "/tmp/extensions/", "/home/other/x", "/data", "/mnt/a/b"])
async def test_places(context: Context, path: str) -> None:
    context.put(f"{path.rstrip('/')}/f", b"hello")
    session = await context.session(path)
    place = path.rstrip("/")
    assert await output(context.runtime, session, f"cat {place}/f; echo changed > {place}/f") == "hello"
    assert (await context.sync(session))["path"] == path
    assert context.content(f"{place}/f") == b"changed\n"


@pytest.mark.asyncio
async def test_stored_before_release(context: Context) -> None:
    session = await context.session()
    await context.shell(session, "echo last > f")
    context.runtime.release(session.id)
    assert context.runtime.status(session.id) == "DELETING"
    await context.runtime.released(session.id)
    assert context.content(f"{PLACE}/f") == b"last\n"
    assert [row["taskType"] for row in context.runtime.rows(session.id, "", "", "")] == ["download", "upload"]


@pytest.mark.asyncio
async def test_own_context_of_a_session(context: Context) -> None:
    session = await context.runtime.create(IMAGE)
    mount = await session.mounts.load_internal()
    assert mount == await session.mounts.load_internal()
    assert mount.path == "/tmp/file_transfer"
    own = Context(context.runtime, mount.context_id)
    own.put("/tmp/file_transfer/sub/f.zip", b"as it is")
    (task,) = session.mounts.sync(mount.context_id, "/tmp/file_transfer/sub", "download")
    await own.done(session)
    assert (task.status, task.path) == ("Success", "/tmp/file_transfer/sub")
    assert await output(context.runtime, session, "cd $TMPDIR/file_transfer/sub; cat f.zip; echo x > out") == "as it is"
    (task,) = session.mounts.sync(mount.context_id, "/tmp/file_transfer/sub/", "upload")
    await own.done(session)
    assert own.content("/tmp/file_transfer/sub/out") == b"x\n"
    await context.release(session)
    with pytest.raises(Refused, match="not found"):
        own.paths()
