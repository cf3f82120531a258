"""What the parts of a sync share: the store, the binding, the helper, and the files for which it failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from ..inside.mount_helper.tree import CHUNK, DIRECTORY
from .binding import Binding, Bounds, LastSynced, Signature
from .helper_client import HelperClient, checked_signature, is_plain
from .mounts import Mount
from .store import ContextStore


class SyncWork:
    """One sync of a binding, as its upload or download sees it."""

    def __init__(self, store: ContextStore, binding: Binding, helper: HelperClient, bounds: Bounds) -> None:
        self.store = store
        self.binding = binding
        self.helper = helper
        self.bounds = bounds
        self.problems: dict[str, str] = {}
        """The files that were not synced, with the reason."""

    @property
    def mount(self) -> Mount:
        """The mount."""
        return self.binding.mount

    @property
    def last_synced(self) -> dict[str, LastSynced]:
        """The last synced versions, by path."""
        return self.binding.last_synced

    def key(self, path: str) -> str:
        """Return the key of a file in the store."""
        return f"{self.mount.keys}/{path}".removesuffix(f"/{DIRECTORY}")

    def is_wanted(self, path: str, below: str) -> bool:
        """Return whether a file is selected, and below a path."""
        inside = not below or path == below or path.startswith(f"{below}/")
        return inside and self.mount.selection.wants(path.rpartition("/")[0] if is_directory(path) else path)

    def list(self, below: str, *, everything: bool = False) -> tuple[dict[str, Signature], dict[str, str]]:
        """Return the session's files below a path, selected or all, and the paths that cannot be listed."""
        lists = [] if everything else self.mount.policy.white_lists
        self.helper.send({"op": "list", "lists": lists, "below": below})
        files: dict[str, Signature] = {}
        failures: dict[str, str] = {}
        for path, signature, failure in self.helper.rows():
            if signature is None or not is_plain(path) or not is_plain(self.key(path)[1:]):
                failures[str(path)] = str(failure) or "its name is not UTF-8, or too long"
            elif everything or self.is_wanted(path, below):
                files[path] = checked_signature(signature)
        return files, failures

    def forget(self, paths: Sequence[str]) -> None:
        """Remove from the store the files that the session removed, each only if its last synced version is stored."""
        for path in paths:
            known = self.last_synced[path]
            if known.is_unpacked:
                continue
            if known.version is not None and self.mount.policy.delete.sync_local_file:
                self.store.remove(self.mount.context_id, self.key(path), known.version)
            del self.last_synced[path]


def is_directory(path: str) -> bool:
    """Return whether a path of a list represents a directory."""
    return path.rpartition("/")[2] == DIRECTORY


def read_part(content: IO[bytes], left: int) -> bytes:
    """Return the next part of a file for one message; shorter only at the end of the file."""
    size = min(CHUNK, left)
    data = content.read(size)
    while len(data) < size and (more := content.read(size - len(data))):
        data += more
    return data
