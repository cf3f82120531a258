"""CPU time and duration of whole processes: what an import costs, and a first call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from .caller import API_KEY, HEADERS, PARAMS, PORT, SESSION_ID, TIMEOUT_MS
from .environments import Environment
from .processes import whole_process
from .table import Row

