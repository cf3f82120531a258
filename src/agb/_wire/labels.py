"""Labels of sessions: which of them are the SDK's own."""

from __future__ import annotations

from collections.abc import Mapping

HIDDEN = "agb.sdk/"
"""The prefix of the keys of hidden labels, by which the SDK finds sessions again; users neither see nor set them."""
CREATE = f"{HIDDEN}create"
"""The key of the nonce of a creation."""
OWNER = f"{HIDDEN}owner"
"""The key of the owner's name."""
PART = f"{HIDDEN}part"
"""The key of the part of the owner, such as a chunk of a batch, that a session belongs to."""


def shown(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of the user."""
    return {key: value for key, value in labels.items() if not key.startswith(HIDDEN)}
