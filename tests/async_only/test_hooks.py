"""Hooks of a client that are coroutine functions."""

from __future__ import annotations

import pytest

from agb import AGB, AsyncAGB, RequestEvent


@pytest.mark.parametrize("flavour", [AGB, AsyncAGB])
def test_a_coroutine_function_cannot_be_a_hook(flavour: type[AGB] | type[AsyncAGB]) -> None:
    async def hook(event: RequestEvent) -> None: ...

    with pytest.raises(TypeError, match="on_request is a plain function, not a coroutine function"):
        flavour("ako-secret", on_request=hook)
