"""What the file systems of contexts and of sessions share: the client, errors, listings, files that are opened."""

from __future__ import annotations

import builtins
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from ..._async.client import AsyncAGB
from ...config import Config, settings
from ...exceptions import AGBError, ErrorKind

try:
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractBufferedFile
    from fsspec.utils import stringify_path
except ImportError as error:
    raise ImportError("file systems of fsspec need it: pip install 'agb[fsspec]'") from error

ALL_FILES = "//"
"""Behind the name of a context: the key of the listing of all its files, which is no path."""
_ERRORS = {
    ErrorKind.NOT_FOUND: errno.ENOENT,
    ErrorKind.PERMISSION_DENIED: errno.EACCES,
    ErrorKind.IS_A_DIRECTORY: errno.EISDIR,
    ErrorKind.NOT_A_DIRECTORY: errno.ENOTDIR,
    ErrorKind.EXISTS: errno.EEXIST,
    ErrorKind.TIMED_OUT: errno.ETIMEDOUT,
}
"""The errors of the operating system that programs expect."""


def os_error(number: int, path: str) -> OSError:
    """Return an error of the operating system; its class is that of the number, such as `FileNotFoundError`."""
    return OSError(number, os.strerror(number), path)


def directory_entry(name: str) -> dict[str, Any]:
    """Return what fsspec's listings have of a directory."""
    return {"name": name, "size": 0, "type": "directory"}


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
            raise (OSError(str(error)) if number is None else os_error(number, path)) from error

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
        self.dircache.pop(f"{self._split(path)[0]}{ALL_FILES}", None)
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
            raise os_error(errno.ENOENT, path)
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
            raise os_error(errno.EEXIST, path)

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
            raise os_error(errno.EEXIST, path)
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
