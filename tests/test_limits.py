"""Limits: what they accept, and how many connections there may be where nothing is said."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from agb import AGB, AsyncAGB, Limits


def test_default_leaves_descriptors_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for allowed, connections in ((1024, 768), (256, 192), (1, 1), (1_000_000, 5000), (resource.RLIM_INFINITY, 5000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, allowed=allowed: (allowed, allowed))
        assert Limits().connections == connections


def test_default_without_limits_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert Limits().connections == 768


@pytest.mark.parametrize("name", ["connections", "waiting"])
@pytest.mark.parametrize("value", [True, 1.5, "5", None])
def test_wrong_type(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} is a whole number, not {value!r}"):
        Limits(**{name: value})


def test_too_small() -> None:
    with pytest.raises(ValueError, match="connections is a number >= 1, not 0"):
        Limits(connections=0)
    with pytest.raises(ValueError, match="waiting is a number >= 0, not -1"):
        Limits(waiting=-1)


@pytest.mark.parametrize("client", [AGB, AsyncAGB])
def test_client_takes_limits(client: Any) -> None:
    limits = Limits(connections=3)
    assert client("ako-key", limits=limits).client.limits is limits
    assert client("ako-key").client.limits == Limits()
    with pytest.raises(TypeError, match="limits is a Limits, not dict"):
        client("ako-key", limits={"connections": 3})
