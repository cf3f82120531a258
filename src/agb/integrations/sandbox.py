"""The facade of a session for adapters: `Sandbox` for asynchronous frameworks, `BlockingSandbox` for the others."""

from __future__ import annotations

from .._async.sandbox import AsyncSandbox as Sandbox
from .._sync.sandbox import Sandbox as BlockingSandbox
from ..results.files import FileMatch as Match
from ..results.sandbox import Entry, ExecOutcome

__all__ = ["BlockingSandbox", "Entry", "ExecOutcome", "Match", "Sandbox"]
