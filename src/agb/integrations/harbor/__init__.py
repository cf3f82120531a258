"""Harbor: its tasks in sessions, by an environment that it loads as ``agb.integrations.harbor:AGBEnvironment``.

It needs the extra ``agb[harbor]`` and Python 3.12. The guide ``docs/integrations/harbor.md`` has an example.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

try:
    import harbor.environments.base  # noqa: F401
except ImportError as error:
    raise ImportError(
        "agb.integrations.harbor needs Harbor, on Python 3.12 or later: pip install 'agb[harbor]'"
    ) from error

from .environment import AGBEnvironment, AGBOptions

__all__ = ["AGBEnvironment", "AGBOptions"]
