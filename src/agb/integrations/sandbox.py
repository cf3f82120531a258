"""The facade of a session for adapters: `Sandbox` for asynchronous frameworks, `BlockingSandbox` for the others.

`SandboxTools` and `BlockingSandboxTools` are the tools of an agent over it.
"""

from __future__ import annotations

from .._async.sandbox import AsyncSandbox as Sandbox
from .._async.sandbox_tools import AsyncSandboxTools as SandboxTools
from .._ops.tool_texts import Picture, ToolAnswer, is_for_model
from .._sync.sandbox import Sandbox as BlockingSandbox
from .._sync.sandbox_tools import SandboxTools as BlockingSandboxTools
from ..results.files import FileMatch as Match
from ..results.sandbox import Entry, ExecOutcome

__all__ = [
    "BlockingSandbox",
    "BlockingSandboxTools",
    "Entry",
    "ExecOutcome",
    "Match",
    "Picture",
    "Sandbox",
    "SandboxTools",
    "ToolAnswer",
    "is_for_model",
]
