"""Labels of sessions: which of them are the SDK's own."""

from __future__ import annotations

from collections.abc import Mapping

HIDDEN = "agb.sdk/"
"""The prefix of the keys of hidden labels, by which the SDK finds sessions again; users neither see nor set them."""


def shown(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of the user."""
    return {key: value for key, value in labels.items() if not key.startswith(HIDDEN)}
