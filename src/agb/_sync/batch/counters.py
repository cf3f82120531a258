# Generated from src/agb/_async/batch/counters.py by tools/unasync.py. Do not edit.
"""The counters of a batch."""

from __future__ import annotations

import threading
from typing import Literal

Counter = Literal["workers", "running", "succeeded", "failed", "resumed", "repeated", "retried", "sessions"]


class BatchCounters:
    """Numbers that the workers of a batch, tasks or threads, add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held across a wait
        self.workers = 0
        self.running = 0
        self.succeeded = 0
        self.failed = 0
        self.resumed = 0
        self.repeated = 0
        self.retried = 0
        self.sessions = 0

    @property
    def done(self) -> int:
        """How many items have an outcome."""
        return self.succeeded + self.failed + self.resumed

    def add(self, counter: Counter, number: int = 1) -> int:
        """Add to a counter, and return what it is then."""
        with self._lock:
            value: int = getattr(self, counter) + number
            setattr(self, counter, value)
        return value

    def try_retry(self, limit: int | None) -> bool:
        """Count another retry, if the batch may have one more; return whether it may."""
        with self._lock:
            if limit is not None and self.retried >= limit:
                return False
            self.retried += 1
        return True
