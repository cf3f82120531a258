"""A mount in a running session, and the last synced version of each of its files."""

from __future__ import annotations

from attrs import define, field, frozen

from .mounts import Mount

Signature = tuple[int, ...]
"""The attributes of a session's file that change with its content: size, times, inode, and its mode.

The mode has the type bits of a symbolic link, and none for a file; a directory has only the mode."""


class SyncFailed(Exception):
    """A sync failed, or failed for some files; the message is a sentence for the caller."""


@define
class LastSynced:
    """The last synced version of a file: the state in which the session and the store had the same content."""

    signature: Signature
    """The signature that the session's file had."""
    version: int | None
    """The stored version; None for a file that was unpacked from an archive, and is stored in that only."""
    etag: str = ""
    mode: int = 0
    """As in a signature."""
    is_sure: bool = True
    """Whether every later change of the session's file changes its signature."""
    is_unpacked: bool = False
    """Whether it is an archive that was unpacked, then removed from the session by the sync."""


@define
class Binding:
    """A mount in a running session."""

    mount: Mount
    top: str
    """The directory from which ``steps`` lead to the mount, one by one and over no link; seen from inside."""
    steps: tuple[str, ...]
    last_synced: dict[str, LastSynced] = field(factory=dict, repr=False)
    """By the path relative to the mount."""
    archive_version: int | None = None
    """The version of the mount's archive, if the session has had all files of it."""

    @property
    def keeps_top(self) -> bool:
        """Whether the mode of the mount's directory itself is kept; one that the runtime made has the mode it needs."""
        return bool(self.steps) and not self.mount.is_internal

    def has_changed(self, path: str, now: Signature) -> bool:
        """Return whether a file of the session may differ from its last synced version."""
        known = self.last_synced.get(path)
        return known is None or not known.is_sure or known.signature != now


@frozen
class Bounds:
    """Limits of one sync: seconds and bytes."""

    seconds: float
    file_size: int
    unpacked: int
