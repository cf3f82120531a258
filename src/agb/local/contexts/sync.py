"""One sync: changed files are copied from a mount to the store, or from the store to a mount. For a thread.

**Who wins.** Of several sessions that change one file, the last upload wins; a sync never merges contents. For each
file the binding has the last synced version: the state in which the session and the store were equal (`LastSynced`). A
file is uploaded only if the session's file differs from it, and downloaded only if the stored version differs from it.
Three properties follow:

- A copy that a session has not touched never replaces a newer file, on either side, however often it is synced.
- A session removes a stored file only if it has had exactly that version, and removed it since.
- After a failed or interrupted sync the last synced versions are still true for every file, so the next sync does what
  was left. A file's entry is written only when the store has committed it, or the helper has renamed it to its place.

If both sides changed, an upload replaces the stored file and a download replaces the session's. Files are compared by
signature (size, times, inode), not by content; where the signature proves nothing, the file is read again (`is_sure`).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from ...context_sync import UploadMode
from ..errors import Refused
from ..validation import shown
from .archive_upload import ArchiveUpload
from .binding import Binding, Bounds, SyncFailed
from .download import Download
from .helper_client import HelperClient
from .store import ContextStore
from .sync_work import SyncWork
from .upload import Upload

_SHOWN = 5


class Sync:
    """One sync of a binding, by way of a helper that was started for it."""

    def __init__(self, store: ContextStore, binding: Binding, sock: socket.socket, bounds: Bounds) -> None:
        self._helper = HelperClient(sock, bounds.seconds)
        self._work = SyncWork(store, binding, self._helper, bounds)

    def abort(self, why: str) -> None:
        """Make it fail for a reason, from any thread."""
        self._helper.abort(why)

    def close(self) -> None:
        """Close the connection to the helper."""
        self._helper.close()

    def run(self, *, upload: bool, below: str = "") -> None:
        """Copy everything below a path of the mount to the other side. Raises ``SyncFailed``."""
        try:
            self._open(make=not upload)
            is_archive = self._work.mount.policy.upload.upload_mode is UploadMode.ARCHIVE
            if upload and is_archive:
                ArchiveUpload(self._work).run()
            elif upload:
                Upload(self._work).run(below)
            else:
                Download(self._work).run("" if is_archive else below)
        except Refused as refusal:
            raise SyncFailed(refusal.message) from refusal
        except (OSError, EOFError, ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            raise self._helper.failure(error) from error
        if self._work.problems:
            verb = "stored" if upload else "brought into the session"
            raise SyncFailed(_summary(f"all was {verb} but for", self._work.problems))

    def _open(self, *, make: bool) -> None:
        binding = self._work.binding
        # A session's own context has copies of single files, which clients download: no link would be one.
        follow = binding.mount.is_internal
        self._helper.send({"op": "open", "top": binding.top, "below": binding.steps, "make": make, "follow": follow})
        header, _ = self._helper.receive()
        if header.get("failed"):
            raise SyncFailed(f"the directory {shown(binding.mount.path)} cannot be used: {header['failed']}")


def _summary(sentence: str, problems: Mapping[str, str]) -> str:
    listed = [f"{shown(path, 200)} ({why})" for path, why in list(problems.items())[:_SHOWN]]
    more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return f"{sentence} {', '.join(listed)}{more}"
