"""The list of public names that this project's own tests use is the list of the SDK."""

from __future__ import annotations

import json

import pytest

from .public_names import FILE, public_names


@pytest.mark.only_0_12
def test_list_of_public_names_is_complete() -> None:
    assert public_names() == json.loads(FILE.read_text("utf-8"))
