# Generated from src/agb/_async/contexts.py by tools/unasync.py. Do not edit.
"""Contexts: the door of the service that keeps named persistent stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import AGB


class ContextService:
    """Named persistent stores of an account; available as ``agb.context``.

    This version can mount contexts when a session is created; managing them comes with a later one.
    """

    def __init__(self, agb: AGB) -> None:
        self.agb = agb
