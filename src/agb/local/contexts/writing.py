"""Writing a new version of a file."""

from __future__ import annotations

import threading
from hashlib import sha256
from types import TracebackType
from typing import Protocol, Self

from ..._wire.reply import FILE_TOO_LARGE
from ..errors import Refused
from .blobs import Blobs, disk_full_as_refusal
from .stored import ANY, AnyVersion, FileKind, StoredFile


class Store(Protocol):
    """What a writing needs of the store."""

    def put(
        self,
        context_id: str,
        key: str,
        kind: FileKind,
        *,
        mode: int,
        mtime: float | None,
        size: int = 0,
        etag: str = "",
        blob: str | None = None,
        if_version: int | AnyVersion | None = ANY,
    ) -> StoredFile:
        """Make a row name a new version of a file."""
        ...


class Writing:
    """A new version of a file, written in parts; a context manager. Without `commit` it leaves nothing."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        context_id: str,
        key: str,
        kind: FileKind,
        mode: int,
        mtime: float | None,
        size_limit: int | None,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._blob = blobs.new()
        self._context_id = context_id
        self._key = key
        self._kind: FileKind = kind
        self._mode = mode
        self._mtime = mtime
        self._size_limit = size_limit
        self._size = 0
        self._digest = sha256()
        self._lock = threading.Lock()  # a thread may still write when its caller was cancelled and closes it
        self._ended = False

    @property
    def etag(self) -> str:
        """The etag of the bytes written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes at the end. Raises ``Refused`` when the file becomes larger than the limit, or the disk is full."""
        with self._lock, disk_full_as_refusal():
            self._check_open()
            size = self._size + len(data)
            if self._size_limit is not None and size > self._size_limit:
                raise too_large(self._size_limit)
            self._blobs.check_space(len(data))
            self._blob.write(data)
            self._digest.update(data)
            self._size = size

    def commit(self, if_version: int | AnyVersion | None = ANY) -> StoredFile:
        """Make this the file's stored version and return it, when it is on the disk.

        ``if_version`` is the version that must be the stored one until then, None if there must be none. Raises
        ``Refused``, and changes nothing, if it is not, if the context is gone or is being cleared, if the path leads
        through a file or is a directory's, and when the disk is full.
        """
        with self._lock, disk_full_as_refusal():
            self._check_open()
            self._ended = True
            try:
                self._blobs.check_space(0)
                self._blobs.keep(self._blob)
            except BaseException:
                self._blob.discard()
                raise
            try:
                return self._store.put(
                    self._context_id,
                    self._key,
                    self._kind,
                    mode=self._mode,
                    mtime=self._mtime,
                    size=self._size,
                    etag=self._digest.hexdigest(),
                    blob=self._blob.name,
                    if_version=if_version,
                )
            except Refused:  # after any other error the row may be on the disk; `tidy` decides when the store is opened
                self._blobs.remove(self._blob.name)
                raise

    def close(self) -> None:
        """Discard everything, unless it was committed. May be called more than once."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._blob.discard()

    def _check_open(self) -> None:
        if self._ended:
            raise ValueError("this writing has ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def too_large(limit: int) -> Refused:
    """Return the refusal of a file that is larger than a file may be."""
    return Refused(
        FILE_TOO_LARGE, f"The file is larger than {limit:,} bytes, the most this runtime stores", http_status=413
    )
