"""OpenAI Agents SDK: sessions as sandboxes, and tools of agents that run in a session; ``agb[openai-agents]``.

`AGBSandboxClient` is for a `SandboxAgent`. `function_tools`, `shell_tool`, `apply_patch_tool` and `AGBComputer` are for
any agent.
"""

from __future__ import annotations

try:
    import agents  # noqa: F401
except ImportError as error:
    why = f"the adapter for the Agents SDK needs the extra 'openai-agents': pip install 'agb[openai-agents]' ({error})"
    raise ImportError(why) from error

from .computer import AGBComputer
from .sandbox import AGBSandboxClient, AGBSandboxClientOptions, AGBSandboxSession, AGBSandboxSessionState
from .tools import AGBTools, apply_patch_tool, function_tools, shell_tool

__all__ = [
    "AGBComputer",
    "AGBSandboxClient",
    "AGBSandboxClientOptions",
    "AGBSandboxSession",
    "AGBSandboxSessionState",
    "AGBTools",
    "apply_patch_tool",
    "function_tools",
    "shell_tool",
]
