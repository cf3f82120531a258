# Generated from tests/_async/test_owners.py by tools/unasync.py. Do not edit.
"""Owners: sessions are created with one, found by it, by its part or by the beginning of its name, and reaped."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from agb import AGB, Config, CreateSessionParams, Owner, Reaped
from agb.local import LocalServer

IMAGE = CreateSessionParams(image_id="agb-code-space-1")


@pytest.fixture
def agb(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AGB]:
    monkeypatch.setattr("agb._sync.lifecycle.creation.this_process", lambda: "elsewhere/1/2")
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:
        yield agb


def create(agb: AGB, owner: Owner) -> str:
    session = agb.create(IMAGE, owner=owner).raise_for_error().session
    assert session is not None
    return session.session_id


def test_sessions_are_reaped_by_part_by_owner_and_by_the_beginning_of_its_name(agb: AGB) -> None:
    kind = f"bench-{uuid4().hex}"
    owners = [Owner(kind, "run-1", "task/1"), Owner(kind, "run-1", "task/2"), Owner(kind, "run-2", "task/1")]
    first, second, third = [create(agb, owner) for owner in owners]
    with agb.session(IMAGE, owner=Owner(kind, "run-3")) as session:
        fourth = session.session_id

        reaped = agb.reap(owners[0], older_than=3600)
        assert reaped == Reaped([], [], [])
        reaped = agb.reap(owners[0])
        assert [(one.session_id, one.owner, one.part) for one in reaped.deleted] == [(first, f"{kind}:run-1", "task/1")]
        reaped = agb.reap(f"{kind}:run-1")
        assert [one.session_id for one in reaped.deleted] == [second]
        reaped = agb.reap(f"{kind}:*")
        assert {one.session_id for one in reaped.deleted} == {third, fourth}


def test_a_star_is_a_character_like_others_in_an_owner(agb: AGB) -> None:
    kind = f"bench-{uuid4().hex}"
    other = create(agb, Owner(kind, "run"))
    assert agb.reap(Owner(kind, "r*")).deleted == []
    assert [one.session_id for one in agb.reap(f"{kind}:r*").deleted] == [other]


def test_owners_are_checked_before_anything_is_sent(agb: AGB) -> None:
    with pytest.raises(TypeError, match="owner is an Owner, not str"):
        agb.create(IMAGE, owner="bench:run")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="owner is an Owner or a name such as"):
        agb.reap(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the owner is empty"):
        agb.reap(" ")
    with pytest.raises(ValueError, match="older_than is a number of seconds, 0 or more"):
        agb.reap("bench:run", older_than=-1)
    with pytest.raises(TypeError, match="older_than"):
        agb.reap("bench:run", older_than="1h")  # type: ignore[arg-type]
