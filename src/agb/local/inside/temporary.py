"""Names of temporary files: a file is written under one of them, then renamed to its place."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Literal

TEMPORARY_NAME = r"\.agb-[0-9a-f]{16}-(new|old)\.tmp"
"""Pattern of these names; the group is the kind."""


def temporary_name(kind: Literal["new", "old"]) -> str:
    """Return a new name. The kind says whether the file replaces another one: watchers report that as a change."""
    return f".agb-{os.urandom(8).hex()}-{kind}.tmp"
