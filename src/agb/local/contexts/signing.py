"""The key of a data directory with which pre-signed URLs are signed."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .blobs import sync_directory

_KEY_BYTES = 32


def signing_key(path: Path) -> bytes:
    """Return the key kept in a file, so that URLs outlive a restart; a new one, kept from now on, if there is none."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != _KEY_BYTES:
        key = secrets.token_bytes(_KEY_BYTES)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        sync_directory(path.parent)
    return key
