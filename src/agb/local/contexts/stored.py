"""Values of the store: contexts and files as they were when they were read, and pages of them."""

from __future__ import annotations

import stat
from typing import Final, Literal

from attrs import field, frozen

ContextState = Literal["available", "clearing"]
FileKind = Literal["file", "directory", "link"]
"""A link is a symbolic one; its content is its target, as bytes."""


class AnyVersion:
    """The type of `ANY`."""

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = AnyVersion()
"""Stands for every stored version, and for none."""


@frozen
class StoredContext:
    """A context. Times are seconds since the epoch."""

    id: str
    name: str
    state: ContextState
    created: float
    last_used: float


@frozen
class ContextPage:
    """A page of contexts; ``next_token`` is empty on the last page, ``count`` is the number on all pages."""

    contexts: list[StoredContext]
    next_token: str
    count: int


@frozen
class StoredFile:
    """A file, a directory or a symbolic link. Times are seconds since the epoch, sizes are bytes."""

    path: str
    kind: FileKind
    size: int
    etag: str
    """The SHA-256 of the content, in hexadecimal; empty for a directory."""
    version: int
    """The number of the write, greater than that of every earlier write in this store."""
    number: int
    """The identity of the file, which stays when it is overwritten; unique in this store."""
    mode: int
    mtime: float
    """When it was changed, as the writer says."""
    created: float
    """When a file was first stored under this path."""
    modified: float
    """When this version was stored."""
    blob: str | None = field(repr=False)

    @property
    def sync_mode(self) -> int:
        """The mode in the signatures of files: the permissions, and the type bits of a link."""
        return self.mode & 0o777 | (stat.S_IFLNK if self.kind == "link" else 0)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@frozen
class FilePage:
    """A page of the files of a context; ``next_token`` is empty on the last page, ``count`` is of all pages."""

    files: list[StoredFile]
    next_token: str
    count: int
