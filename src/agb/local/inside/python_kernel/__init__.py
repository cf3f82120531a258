"""A Jupyter kernel for a session, and what the runtime must know about it.

``service``  starts the kernel: its sockets and its messages
``shell``    runs the code: exit, interrupts, input, packages installed meanwhile
``streams``  stdout and stderr: the process' own, in order with displays
"""

from __future__ import annotations

DISPLAYS = frozenset({"display_data", "update_display_data", "execute_result"})
"""Types of messages for whose receipt the kernel waits before it writes more text."""
MOST = 32 << 20
"""Bytes of one message; the runtime breaks the connection off at a larger size."""
DISCARDED = "agb_discarded"
"""The field of a message's metadata with the number of characters that were left out of it."""
