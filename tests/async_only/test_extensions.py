"""Attributes of an extension service that need the service: asynchronous programs open it first."""

from __future__ import annotations

import pytest

from agb import AGBError, AsyncAGB, AsyncExtensionsService, Config


def test_attributes_before_opening_say_what_to_do() -> None:
    extensions = AsyncExtensionsService(AsyncAGB("k", Config("http://127.0.0.1:9")), "n")
    for name in ("context_id", "extension_context", "auto_created"):
        with pytest.raises(AGBError, match=r"call open\(\) first"):
            getattr(extensions, name)
    assert extensions.context_name == "n"
