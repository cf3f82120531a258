# Generated from src/agb/_async/lifecycle/hidden_labels.py by tools/unasync.py. Do not edit.
"""Whether a client sends the hidden labels, which a service may refuse."""

from __future__ import annotations

import warnings
from contextlib import suppress
from threading import Lock

from ...exceptions import AGBError


class HiddenLabels:
    """The state of one client: hidden labels are sent until the service has refused a call because of them.

    Attributes:
        are_used: whether they are sent.
    """

    def __init__(self, are_used: bool = True) -> None:
        if not isinstance(are_used, bool):
            raise TypeError(f"hidden_labels is True or False, not {type(are_used).__name__}")
        self.are_used = are_used
        self._lock = Lock()

    def refused(self, error: AGBError) -> None:
        """Send them no more, after a call that was refused with them and accepted without; warn once."""
        with self._lock:
            if not self.are_used:
                return
            self.are_used = False
        with suppress(RuntimeWarning):  # where warnings are errors, the new session must reach its caller nevertheless
            warnings.warn(
                "the service refuses the SDK's hidden labels, so this client sends none any more: a session whose "
                "creation is not answered, or whose program is killed, cannot be found again. "
                f"AGB(hidden_labels=False) sends none from the beginning. The refusal was: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
