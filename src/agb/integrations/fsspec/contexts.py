"""The file system of contexts."""

from __future__ import annotations

import builtins
import errno
import io
import os
import tempfile
from datetime import UTC, datetime
from typing import Any

from fsspec.asyn import sync_wrapper

from ..._async.client import AsyncAGB
from ...results.contexts import ContextFileEntry
from .base import ALL_FILES, AGBFileSystem, directory_entry, os_error

_FOLDERS = frozenset({"folder", "directory", "dir"})


class AGBContextFileSystem(AGBFileSystem):
    """The stored files of contexts: ``agb://NAME/path``, without a session.

    As in object stores there are no empty directories: `mkdir` makes a context, and below one it does nothing.

    Example:
        >>> import fsspec
        >>> fs = fsspec.filesystem("agb")
        >>> fs.mkdir("agb://numbers")
        >>> fs.pipe_file("agb://numbers/tmp/a.txt", b"1 2 3")
        >>> fs.ls("agb://numbers/tmp", detail=False), fs.cat_file("agb://numbers/tmp/a.txt", start=2)
        (['numbers/tmp/a.txt'], b'2 3')
        >>> fs.rm("agb://numbers", recursive=True)
    """

    protocol = "agb"

    def __init__(self, *, client: AsyncAGB | None = None, **more: Any) -> None:
        super().__init__(client=client, **more)
        self._ids: dict[str, str] = {}
        """The ids of contexts by their names."""

    async def _id(self, path: str) -> tuple[str, str]:
        """Return the id of the context of a path, and the path in it."""
        name, inner = self._split(path)
        if not name:
            raise os_error(errno.EACCES, path)
        if name not in self._ids:
            with self._errors_of(path):
                found = (await self.client.context.get(name)).raise_for_error()
            self._ids[name] = found.context_id
        return self._ids[name], inner

    async def _entries(self, path: str) -> builtins.list[dict[str, Any]]:
        if not path:
            return [directory_entry(one.name) async for one in self.client.context.iterate() if one.name]
        found: dict[str, dict[str, Any]] = {}
        for entry in await self._files(path):
            if entry["name"] == path:
                return [entry]
            if entry["name"].startswith(f"{path}/"):
                child, slash, _ = entry["name"].removeprefix(f"{path}/").partition("/")
                full = f"{path}/{child}"
                found[child] = directory_entry(full) if slash else entry
        return [found[child] for child in sorted(found)]

    async def _files(self, path: str) -> builtins.list[dict[str, Any]]:
        """Return all files of the context of a path.

        What the listing of a folder contains is not published: the local runtime's has no folders, so that only the
        listing of the whole context shows all files. Folders that a service lists are listed as well.
        """
        context_id, _ = await self._id(path)
        name = self._split(path)[0]
        files = self._kept_listing(f"{name}{ALL_FILES}")
        if files is None:
            found: dict[str, dict[str, Any]] = {}
            folders, listed = [""], {""}
            while folders:
                async for entry in self.client.context.iterate_files(context_id, folders.pop() or None):
                    inner = entry.file_path.rstrip("/")
                    if inner == entry.file_path and (entry.file_type or "").lower() not in _FOLDERS:
                        found[inner] = _file(f"{name}{inner}", entry)
                    elif inner not in listed:
                        listed.add(inner)
                        folders.append(inner)
            files = self.dircache[f"{name}{ALL_FILES}"] = [found[inner] for inner in sorted(found)]
        return files

    async def _is_directory(self, path: str) -> bool:
        if not path:
            return True
        await self._id(path)  # raises if there is no such context
        return "/" not in path

    async def _info(self, path: str, **options: Any) -> dict[str, Any]:
        del options
        path = self._strip_protocol(path)
        if not path:
            return directory_entry("")
        if "/" not in path:
            await self._id(path)
            return directory_entry(path)
        with self._errors_of(path):
            entries = await self._entries(path)
        if not entries:
            raise os_error(errno.ENOENT, path)
        return dict(entries[0]) if entries[0]["name"] == path else directory_entry(path)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        del options
        path = self._strip_protocol(path)
        context_id, inner = await self._id(path)
        offset, limit = await self._bounds(path, start, end)
        with self._errors_of(path):
            read = await self.client.context.read_file(context_id, inner, offset=offset, limit=limit, max_size=None)
            return read.raise_for_error().content

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        del options
        path = self._strip_protocol(path)
        await self._check_new(path, mode)
        context_id, inner = await self._id(path)
        with self._errors_of(path):
            (await self.client.context.write_file(context_id, inner, value)).raise_for_error()
        self._forget(path)

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **options: Any) -> None:
        del options
        rpath = self._strip_protocol(rpath)
        if os.path.isdir(lpath):  # noqa: PTH112 - fsspec passes text
            return
        await self._check_new(rpath, mode)
        context_id, inner = await self._id(rpath)
        with self._errors_of(rpath):
            (await self.client.context.upload(context_id, lpath, inner)).raise_for_error()
        self._forget(rpath)

    async def _get_file(self, rpath: str, lpath: Any, **options: Any) -> None:
        del options
        rpath = self._strip_protocol(rpath)
        if await self._isdir(rpath):
            os.makedirs(lpath, exist_ok=True)  # noqa: PTH103
            return
        context_id, inner = await self._id(rpath)
        with self._errors_of(rpath):
            if isinstance(lpath, io.IOBase):
                lpath.write(await self._cat_file(rpath))
            else:
                (await self.client.context.download(context_id, inner, lpath, max_size=None)).raise_for_error()

    async def _cp_file(self, path1: str, path2: str, **options: Any) -> None:
        if await self._isdir(path1):
            return
        with tempfile.TemporaryDirectory() as directory:  # the service copies no files
            here = os.path.join(directory, "file")  # noqa: PTH118
            await self._get_file(path1, here)
            await self._put_file(here, path2, **options)

    async def _rm_file(self, path: str, **options: Any) -> None:
        del options
        path = self._strip_protocol(path)
        if await self._isdir(path):
            return  # it goes with its last file
        context_id, inner = await self._id(path)
        with self._errors_of(path):
            (await self.client.context.delete_file(context_id, inner)).raise_for_error()
        self._forget(path)

    async def _rm(  # pyright: ignore[reportIncompatibleMethodOverride]  # its parameters are narrower than used
        self, path: Any, recursive: bool = False, batch_size: int | None = None, **options: Any
    ) -> None:
        paths = path if isinstance(path, builtins.list) else [path]
        contexts = [one for one in map(self._strip_protocol, paths) if one and "/" not in one]
        others = [one for one in paths if self._strip_protocol(one) not in contexts]
        if others:
            await super()._rm(others, recursive=recursive, batch_size=batch_size, **options)
        for one in contexts:
            if not recursive:
                raise os_error(errno.EISDIR, one)
            await self._delete_context(one)

    async def _mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        del create_parents, options
        path = self._strip_protocol(path)
        if "/" in path or not path:
            return
        with self._errors_of(path):
            if any(entry["name"] == path for entry in await self._entries("")):
                raise os_error(errno.EEXIST, path)
            self._ids[path] = (await self.client.context.create(path)).raise_for_error().context_id
        self.dircache.pop("", None)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        name = self._split(self._strip_protocol(path))[0]
        try:
            await self._mkdir(name)
        except FileExistsError:
            if not exist_ok and "/" not in self._strip_protocol(path):
                raise

    async def _rmdir(self, path: str) -> None:
        """Delete a context that has no files; below one there is nothing to do."""
        path = self._strip_protocol(path)
        if "/" in path or not path:
            return
        if await self._entries(path):
            raise os_error(errno.ENOTEMPTY, path)
        await self._delete_context(path)

    rmdir = sync_wrapper(_rmdir)  # fsspec makes no pair of these two

    async def _delete_context(self, name: str) -> None:
        with self._errors_of(name):
            context = (await self.client.context.get(name)).raise_for_error().context
            (await self.client.context.delete(context)).raise_for_error()
        self._ids.pop(name, None)
        self._forget(name)


def _file(name: str, entry: ContextFileEntry) -> dict[str, Any]:
    return {"name": name, "size": entry.size, "type": "file", "mtime": _seconds(entry.gmt_modified)}


def _seconds(text: str | None) -> float | None:
    """Return a time of the service in seconds since 1970, None if it is none."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time.replace(tzinfo=time.tzinfo or UTC).timestamp()
