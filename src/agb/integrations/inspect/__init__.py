"""Inspect AI: the tools of a sample run in a session of its own, ``sandbox="agb"``; the extra is ``agb[inspect]``."""

try:
    import inspect_ai  # noqa: F401  # the rest of the package imports its parts
except ImportError as error:
    why = f"the adapter for Inspect AI needs the extra 'inspect': pip install 'agb[inspect]' ({error})"
    raise ImportError(why) from error

from .config import AGBSandboxConfig, SessionOptions, read_config
from .environment import AGBSandboxEnvironment

__all__ = ["AGBSandboxConfig", "AGBSandboxEnvironment", "SessionOptions", "read_config"]
