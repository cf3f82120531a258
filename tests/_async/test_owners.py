"""Owners: sessions are created with one, found by it, by its part or by the beginning of its name, and reaped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from agb import AsyncAGB, Config, CreateSessionParams, Owner, Reaped
from agb.local import LocalServer

pytestmark = pytest.mark.anyio

IMAGE = CreateSessionParams(image_id="agb-code-space-1")


@pytest.fixture
async def agb(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncAGB]:
    monkeypatch.setattr("agb._async.lifecycle.creation.this_process", lambda: "elsewhere/1/2")
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:
        yield agb


async def create(agb: AsyncAGB, owner: Owner) -> str:
    session = (await agb.create(IMAGE, owner=owner)).raise_for_error().session
    assert session is not None
    return session.session_id


async def test_sessions_are_reaped_by_part_by_owner_and_by_the_beginning_of_its_name(agb: AsyncAGB) -> None:
    kind = f"bench-{uuid4().hex}"
    owners = [Owner(kind, "run-1", "task/1"), Owner(kind, "run-1", "task/2"), Owner(kind, "run-2", "task/1")]
    first, second, third = [await create(agb, owner) for owner in owners]
    async with agb.session(IMAGE, owner=Owner(kind, "run-3")) as session:
        fourth = session.session_id

        reaped = await agb.reap(owners[0], older_than=3600)
        assert reaped == Reaped([], [], [])
        reaped = await agb.reap(owners[0])
        assert [(one.session_id, one.owner, one.part) for one in reaped.deleted] == [(first, f"{kind}:run-1", "task/1")]
        reaped = await agb.reap(f"{kind}:run-1")
        assert [one.session_id for one in reaped.deleted] == [second]
        reaped = await agb.reap(f"{kind}:*")
        assert {one.session_id for one in reaped.deleted} == {third, fourth}


async def test_a_star_is_a_character_like_others_in_an_owner(agb: AsyncAGB) -> None:
    kind = f"bench-{uuid4().hex}"
    other = await create(agb, Owner(kind, "run"))
    assert (await agb.reap(Owner(kind, "r*"))).deleted == []
    assert [one.session_id for one in (await agb.reap(f"{kind}:r*")).deleted] == [other]


async def test_owners_are_checked_before_anything_is_sent(agb: AsyncAGB) -> None:
    with pytest.raises(TypeError, match="owner is an Owner, not str"):
        await agb.create(IMAGE, owner="bench:run")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="owner is an Owner or a name such as"):
        await agb.reap(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the owner is empty"):
        await agb.reap(" ")
    with pytest.raises(ValueError, match="older_than is a number of seconds, 0 or more"):
        await agb.reap("bench:run", older_than=-1)
    with pytest.raises(TypeError, match="older_than"):
        await agb.reap("bench:run", older_than="1h")  # type: ignore[arg-type]
