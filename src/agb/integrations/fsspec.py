"""fsspec: contexts as ``agb://NAME/path`` and sessions as ``agb-session://ID/path`` (extra ``fsspec``).

Both file systems are asynchronous ones of fsspec: their coroutines run in the event loop of fsspec's own thread, unless
``asynchronous=True``. Paths inside are without the protocol: ``NAME/path`` and ``ID/path``; the path in the session is
the part after the first slash, as an absolute one.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from .._async.client import AsyncAGB
from .._async.sandbox import AsyncSandbox
from ..config import Config, settings
from ..exceptions import AGBError, ErrorKind
from ..results.contexts import ContextFileEntry

try:
    from fsspec.asyn import AsyncFileSystem, sync_wrapper
    from fsspec.spec import AbstractBufferedFile
    from fsspec.utils import stringify_path
except ImportError as error:
    raise ImportError("file systems of fsspec need it: pip install 'agb[fsspec]'") from error

_ERRORS = {
    ErrorKind.NOT_FOUND: errno.ENOENT,
    ErrorKind.PERMISSION_DENIED: errno.EACCES,
    ErrorKind.IS_A_DIRECTORY: errno.EISDIR,
    ErrorKind.NOT_A_DIRECTORY: errno.ENOTDIR,
    ErrorKind.EXISTS: errno.EEXIST,
    ErrorKind.TIMED_OUT: errno.ETIMEDOUT,
}
"""The errors of the operating system that programs expect."""


def _os_error(number: int, path: str) -> OSError:
    """Return an error of the operating system; its class is that of the number, such as `FileNotFoundError`."""
    return OSError(number, os.strerror(number), path)


class AGBFileSystem(AsyncFileSystem):  # type: ignore[misc]  # fsspec has no types
    """What both file systems share: the client, errors, files that are opened.

    Args:
        client: whose sessions and contexts are used; without it a client for all file systems of the process, whose
            key and endpoint are read as those of ``AsyncAGB()`` are. A file system with a client of its own cannot be
            pickled, since a client holds a key.
        more: options of fsspec, such as ``asynchronous``, ``use_listings_cache`` and ``listings_expiry_time``.

    Raises:
        TypeError: ``client`` is no `AsyncAGB`, or a key was passed: options are pickled and shown by fsspec.
    """

    root_marker = ""
    cachable = False
    """Two clients may look the same to fsspec's cache of instances."""

    def __init__(self, *, client: AsyncAGB | None = None, **more: Any) -> None:
        for name in ("key", "api_key", "token", "secret"):
            if name in more:
                raise TypeError(
                    f"{name} is no option of this file system, since fsspec shows and pickles its options: "
                    "set AGB_API_KEY, or pass client=AsyncAGB(key)"
                )
        if client is not None and not isinstance(client, AsyncAGB):
            raise TypeError(f"client is an AsyncAGB, whose calls run in fsspec's event loop, not {client!r}")
        super().__init__(**more)
        self.client = client if client is not None else _shared_client()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, builtins.list):
            return [cls._strip_protocol(one) for one in path]
        text = stringify_path(path)
        for protocol in (cls.protocol,) if isinstance(cls.protocol, str) else cls.protocol:
            text = text.removeprefix(f"{protocol}://")
        return text.strip("/")

    @staticmethod
    def _split(path: str) -> tuple[str, str]:
        """Return the name of the context or the id of the session, and the path in it."""
        name, _, inner = path.strip("/").partition("/")
        return name, f"/{inner}"

    @contextmanager
    def _errors_of(self, path: str) -> Iterator[None]:
        """Raise an error of the SDK as the exception of the operating system that programs expect."""
        try:
            yield
        except AGBError as error:
            number = _ERRORS.get(error.kind)
            raise (OSError(str(error)) if number is None else _os_error(number, path)) from error

    def _kept_listing(self, path: str) -> builtins.list[dict[str, Any]] | None:
        """Return the listing of a directory, if it is kept; fsspec's own method returns the directory itself too."""
        try:
            listing: builtins.list[dict[str, Any]] = self.dircache[path]
        except KeyError:
            return None
        return listing

    def _forget(self, path: str) -> None:
        """Remove from the cache of listings what a change of a path makes untrue: the listings above and below it."""
        path = self._strip_protocol(path)
        for listed in [one for one in self.dircache if one == path or one.startswith(f"{path}/")]:
            self.dircache.pop(listed, None)
        self.dircache.pop(f"{self._split(path)[0]}{_ALL}", None)
        while path:
            path = path.rpartition("/")[0]
            self.dircache.pop(path, None)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget the listings of a path, or all of them."""
        if path is None:
            self.dircache.clear()
        else:
            self._forget(path)
        super().invalidate_cache(path)

    # --- what fsspec asks of both --------------------------------------------------------------------------------

    async def _ls(self, path: str, detail: bool = True, refresh: bool = False, **options: Any) -> builtins.list[Any]:
        del options
        path = self._strip_protocol(path)
        entries = None if refresh else self._kept_listing(path)
        if entries is None:
            with self._errors_of(path):
                entries = await self._entries(path)
            self.dircache[path] = entries
        if not entries and not await self._is_directory(path):
            raise _os_error(errno.ENOENT, path)
        return entries if detail else sorted(entry["name"] for entry in entries)

    async def _entries(self, path: str) -> builtins.list[dict[str, Any]]:
        """Return what is right in a directory, or the file of that path."""
        raise NotImplementedError

    async def _is_directory(self, path: str) -> bool:
        """Return whether something without entries is a directory."""
        raise NotImplementedError

    async def _exists(self, path: str, **options: Any) -> bool:
        try:
            await self._info(path, **options)
        except FileNotFoundError:
            return False
        return True

    async def _check_new(self, path: str, mode: str) -> None:
        """Raise `FileExistsError` if a file must be a new one and is not; another caller may be faster."""
        if mode == "create" and await self._exists(path):
            raise _os_error(errno.EEXIST, path)

    async def _bounds(self, path: str, start: int | None, end: int | None) -> tuple[int, int | None]:
        """Return the first byte of a part and its size, None to the end; numbers from the end are negative."""
        if (start or 0) < 0 or (end or 0) < 0:
            size = (await self._info(path))["size"]
            start = max(0, size + start) if start is not None and start < 0 else start
            end = max(0, size + end) if end is not None and end < 0 else end
        first = start or 0
        return first, None if end is None else max(0, end - first)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> AGBFile:
        if mode == "xb" and self.exists(path):
            raise _os_error(errno.EEXIST, path)
        if block_size is not None:
            options["block_size"] = block_size
        return AGBFile(self, path, mode, autocommit=autocommit, cache_options=cache_options or {}, **options)

    def created(self, path: str) -> Any:
        """Return None: the service does not say when a file was created.

        Raises:
            NotImplementedError: always, as fsspec has it for file systems without that time.
        """
        raise NotImplementedError(f"the time of creation of {path} is not known")

    def modified(self, path: str) -> datetime:
        """Return when a file was changed.

        Raises:
            FileNotFoundError: there is no such file.
            NotImplementedError: the service does not say.
        """
        changed = self.info(path).get("mtime")
        if changed is None:
            raise NotImplementedError(f"the service does not say when {path} was changed")
        return datetime.fromtimestamp(changed, UTC)


def _shared_client() -> AsyncAGB:
    """Return the client of the settings that hold now; there is one of each process and settings."""
    found = settings("", None)
    return _client(os.getpid(), found.api_key.value, found.endpoint.value, found.timeout_ms.value)


@lru_cache(maxsize=16)
def _client(process: int, key: str, endpoint: str, timeout_ms: int) -> AsyncAGB:
    del process  # a child has connections of its own
    return AsyncAGB(key, Config(endpoint, timeout_ms))


class AGBFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """A file that is open: read in blocks, or written when it is closed, in one piece.

    A file that is written appears complete, or not at all. In a transaction it appears when the transaction ends.
    """

    def _fetch_range(self, start: int, end: int) -> bytes:
        content: bytes = self.fs.cat_file(self.path, start=start, end=end)
        return content

    def _initiate_upload(self) -> None:
        self._content = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by commit or discard
        if self.mode == "ab" and self.fs.exists(self.path):
            self._content.write(self.fs.cat_file(self.path))

    def _upload_chunk(self, final: bool = False) -> None:
        self._content.write(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()

    def commit(self) -> None:
        """Store the file."""
        with self._content as content:
            content.flush()
            self.fs.put_file(content.name, self.path)

    def discard(self) -> None:
        """Forget what was written."""
        self._content.close()


# --- contexts --------------------------------------------------------------------------------------------------------


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
            raise _os_error(errno.EACCES, path)
        if name not in self._ids:
            with self._errors_of(path):
                found = (await self.client.context.get(name)).raise_for_error()
            self._ids[name] = found.context_id
        return self._ids[name], inner

    async def _entries(self, path: str) -> builtins.list[dict[str, Any]]:
        if not path:
            return [_directory(one.name) async for one in self.client.context.iterate() if one.name]
        found: dict[str, dict[str, Any]] = {}
        for entry in await self._files(path):
            if entry["name"] == path:
                return [entry]
            if entry["name"].startswith(f"{path}/"):
                child, slash, _ = entry["name"].removeprefix(f"{path}/").partition("/")
                full = f"{path}/{child}"
                found[child] = _directory(full) if slash else entry
        return [found[child] for child in sorted(found)]

    async def _files(self, path: str) -> builtins.list[dict[str, Any]]:
        """Return all files of the context of a path.

        What the listing of a folder contains is not published: the local runtime's has no folders, so that only the
        listing of the whole context shows all files. Folders that a service lists are listed as well.
        """
        context_id, _ = await self._id(path)
        name = self._split(path)[0]
        files = self._kept_listing(f"{name}{_ALL}")
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
            files = self.dircache[f"{name}{_ALL}"] = [found[inner] for inner in sorted(found)]
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
            return _directory("")
        if "/" not in path:
            await self._id(path)
            return _directory(path)
        with self._errors_of(path):
            entries = await self._entries(path)
        if not entries:
            raise _os_error(errno.ENOENT, path)
        return dict(entries[0]) if entries[0]["name"] == path else _directory(path)

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
                raise _os_error(errno.EISDIR, one)
            await self._delete_context(one)

    async def _mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        del create_parents, options
        path = self._strip_protocol(path)
        if "/" in path or not path:
            return
        with self._errors_of(path):
            if any(entry["name"] == path for entry in await self._entries("")):
                raise _os_error(errno.EEXIST, path)
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
            raise _os_error(errno.ENOTEMPTY, path)
        await self._delete_context(path)

    rmdir = sync_wrapper(_rmdir)  # fsspec makes no pair of these two

    async def _delete_context(self, name: str) -> None:
        with self._errors_of(name):
            context = (await self.client.context.get(name)).raise_for_error().context
            (await self.client.context.delete(context)).raise_for_error()
        self._ids.pop(name, None)
        self._forget(name)


_FOLDERS = frozenset({"folder", "directory", "dir"})
_ALL = "//"
"""Behind the name of a context: the key of the listing of all its files, which is no path."""


def _directory(name: str) -> dict[str, Any]:
    return {"name": name, "size": 0, "type": "directory"}


def _file(name: str, entry: ContextFileEntry) -> dict[str, Any]:
    return {"name": name, "size": entry.size, "type": "file", "mtime": _seconds(entry.gmt_modified)}


def _seconds(text: str | None) -> float | None:
    """Return a time of the service in seconds since 1970, None if it is none."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time.replace(tzinfo=time.tzinfo or UTC).timestamp()


# --- sessions --------------------------------------------------------------------------------------------------------


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
            raise _os_error(errno.EACCES, path)
        return AsyncSandbox(self.client.attach(session_id)), inner

    async def _entries(self, path: str) -> builtins.list[dict[str, Any]]:
        if not path:
            return [_directory(one.session_id) async for one in self.client.iterate()]
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
            return _directory("")
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
                raise _os_error(errno.ENOENT, one)
            await self._remove(one, recursive=recursive)

    async def _remove(self, path: str, *, recursive: bool) -> None:
        sandbox, inner = self._sandbox(path)
        with self._errors_of(path):
            (await sandbox.session.file.remove(inner, recursive=recursive)).raise_for_error()
        self._forget(path)

    async def _mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        del options
        if await self._exists(path):
            raise _os_error(errno.EEXIST, path)
        parent = self._strip_protocol(path).rpartition("/")[0]
        if not create_parents and not await self._exists(parent):
            raise _os_error(errno.ENOENT, parent)
        await self._makedirs(path, exist_ok=True)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        if not exist_ok and await self._exists(path):
            raise _os_error(errno.EEXIST, path)
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
            raise _os_error(errno.ENOTEMPTY, path)
        await self._remove(path, recursive=True)

    rmdir = sync_wrapper(_rmdir)  # fsspec makes no pair of these two
