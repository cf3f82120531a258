"""What is collected: the smoke tests by the test command, the suites by ``nox -s integrations``."""

from __future__ import annotations

import os
from pathlib import Path

if os.environ.get("AGB_INTEGRATIONS") != "all":
    collect_ignore = [path.name for path in Path(__file__).parent.glob("test_*.py") if not path.stem.endswith("_smoke")]
