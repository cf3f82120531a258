"""SWE-ReX: its runtime in a session, as a deployment.

It needs the extra ``agb[swerex]``. The guide ``docs/integrations/swerex.md`` has an example.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

try:
    import swerex.runtime.abstract  # noqa: F401
except ImportError as error:
    raise ImportError("agb.integrations.swerex needs SWE-ReX: pip install 'agb[swerex]'") from error

from .deployment import AGBDeployment
from .runtime import AGBRuntime

__all__ = ["AGBDeployment", "AGBRuntime"]
