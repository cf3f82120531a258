"""The file system of sessions."""

from __future__ import annotations

import builtins
import errno
import io
import os
from typing import Any

from fsspec.asyn import sync_wrapper

from ..._async.sandbox import AsyncSandbox
from .base import AGBFileSystem, directory_entry, os_error


class AGBSessionFileSystem(AGBFileSystem):
    """The files of sessions: ``agb-session://ID/path``. Missing directories above a written file are made.

    Example:
        >>> import fsspec
        >>> fs = fsspec.filesystem("agb-session")
        >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...     path = f"agb-session://{session.session_id}/tmp/a.txt"
        ...     fs.pipe_file(path, b"1 2 3")
        ...     session.command.execute("cat /tmp/a.txt").stdout
        '1 2 3'
    """

    protocol = "agb-session"

    def _sandbox(self, path: str) -> tuple[AsyncSandbox, str]:
        """Return the session of a path, and the path in it."""
        session_id, inner = self._split(self._strip_protocol(path))
        if not session_id:
            raise os_error(errno.EACCES, path)
        return AsyncSandbox(self.client.attach(session_id)), inner

    async def _entries(self, path: str) -> builtins.list[dict[str, Any]]:
        if not path:
            return [directory_entry(one.session_id) async for one in self.client.iterate()]
        sandbox, inner = self._sandbox(path)
        info = await self._info(path)
        if info["type"] == "file":
            return [info]
        base = path.rstrip("/")
        return [
            {
                "name": f"{base}/{entry.name}",
                "size": 0 if entry.is_dir else entry.size,
                "type": "directory" if entry.is_dir else "file",
                "mtime": entry.modified,
            }
            for entry in await sandbox.list(inner)
        ]

    async def _is_directory(self, path: str) -> bool:
        return not path or (await self._info(path))["type"] == "directory"

    async def _info(self, path: str, **options: Any) -> dict[str, Any]:
        del options
        path = self._strip_protocol(path)
        if not path:
            return directory_entry("")
        sandbox, inner = self._sandbox(path)
        with self._errors_of(path):
            info = (await sandbox.session.file.info(inner)).raise_for_error().file_info
        is_directory = bool(info["isDirectory"])
        return {
            "name": path,
            "size": 0 if is_directory else info["size"],
            "type": "directory" if is_directory else "file",
            "mtime": info.get("modified"),
        }

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        del options
        sandbox, inner = self._sandbox(path)
        offset, limit = await self._bounds(path, start, end)
        with self._errors_of(path):
            return await sandbox.read(inner, offset=offset, limit=limit)

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        del options
        await self._check_new(path, mode)
        sandbox, inner = self._sandbox(path)
        with self._errors_of(path):
            await sandbox.write(inner, value)
        self._forget(path)

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **options: Any) -> None:
        del options
        if os.path.isdir(lpath):  # noqa: PTH112 - fsspec passes text
            await self._makedirs(rpath, exist_ok=True)
            return
        await self._check_new(rpath, mode)
        await self._make_parents(rpath)
        sandbox, inner = self._sandbox(rpath)
        with self._errors_of(rpath):
            (await sandbox.session.file.upload(lpath, inner)).raise_for_error()
        self._forget(rpath)

    async def _get_file(self, rpath: str, lpath: Any, **options: Any) -> None:
        del options
        sandbox, inner = self._sandbox(rpath)
        if await self._isdir(rpath):
            os.makedirs(lpath, exist_ok=True)  # noqa: PTH103
            return
        with self._errors_of(rpath):
            if isinstance(lpath, io.IOBase):
                lpath.write(await sandbox.read(inner))
            else:
                (await sandbox.session.file.download(inner, lpath)).raise_for_error()

    async def _cp_file(self, path1: str, path2: str, **options: Any) -> None:
        del options
        source, inner = self._sandbox(path1)
        target, other = self._sandbox(path2)
        if await self._isdir(path1):
            await self._makedirs(path2, exist_ok=True)
        elif source.session.session_id == target.session.session_id:
            await self._make_parents(path2)
            with self._errors_of(path1):
                outcome = await source.exec(["cp", "--", inner, other])
            if outcome.exit_code:
                raise OSError(f"{path1} was not copied: {outcome.stderr.decode('utf-8', 'replace').strip()}")
        else:
            await self._pipe_file(path2, await self._cat_file(path1))
        self._forget(path2)

    async def _mv_file(self, path1: str, path2: str) -> None:
        source, inner = self._sandbox(path1)
        target, other = self._sandbox(path2)
        if source.session.session_id != target.session.session_id:
            await super()._mv_file(path1, path2)
            return
        with self._errors_of(path1):
            (await source.session.file.move(inner, other)).raise_for_error()
        self._forget(path1)
        self._forget(path2)

    async def _rm_file(self, path: str, **options: Any) -> None:
        del options
        await self._remove(path, recursive=False)

    async def _rm(  # pyright: ignore[reportIncompatibleMethodOverride]  # its parameters are narrower than used
        self, path: Any, recursive: bool = False, batch_size: int | None = None, **options: Any
    ) -> None:
        del batch_size, options
        paths = path if isinstance(path, builtins.list) else [path]
        for one in await self._expand_path(paths) if not recursive else [self._strip_protocol(each) for each in paths]:
            if recursive and not await self._exists(one):
                raise os_error(errno.ENOENT, one)
            await self._remove(one, recursive=recursive)

    async def _remove(self, path: str, *, recursive: bool) -> None:
        sandbox, inner = self._sandbox(path)
        with self._errors_of(path):
            (await sandbox.session.file.remove(inner, recursive=recursive)).raise_for_error()
        self._forget(path)

    async def _mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        del options
        if await self._exists(path):
            raise os_error(errno.EEXIST, path)
        parent = self._strip_protocol(path).rpartition("/")[0]
        if not create_parents and not await self._exists(parent):
            raise os_error(errno.ENOENT, parent)
        await self._makedirs(path, exist_ok=True)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        if not exist_ok and await self._exists(path):
            raise os_error(errno.EEXIST, path)
        sandbox, inner = self._sandbox(path)
        with self._errors_of(path):
            (await sandbox.session.file.mkdir(inner)).raise_for_error()
        self._forget(path)

    async def _make_parents(self, path: str) -> None:
        parent = self._strip_protocol(path).rpartition("/")[0]
        if "/" in parent:
            await self._makedirs(parent, exist_ok=True)

    async def _rmdir(self, path: str) -> None:
        if await self._ls(path):
            raise os_error(errno.ENOTEMPTY, path)
        await self._remove(path, recursive=True)

    rmdir = sync_wrapper(_rmdir)  # fsspec makes no pair of these two
