"""Contexts for tests of mounts: what is stored, and the sessions that mount it."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from agb.local.contexts.mounts import mounts
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession

from .runtimes import IMAGE, output

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
        return await output(self.runtime, session, f"cd $HOME/data || exit 1\n{command}")


@pytest_asyncio.fixture
async def context(local_runtime: Runtime) -> AsyncIterator[Context]:
    """A new context of a runtime."""
    found = await asyncio.to_thread(local_runtime.contexts.store.find, "test", True)
    yield Context(local_runtime, found.id)


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, member in members.items():
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member))
    return file.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {info.name: file.read() if (file := archive.extractfile(info)) else b"" for info in archive}
