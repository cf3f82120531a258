"""Hidden labels: left out where the service refuses them, or switched off."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import pytest

from agb import AsyncAGB, Config, CreateSessionParams
from agb._async._compat.concurrency import gather
from agb._wire.labels import HIDDEN
from agb.local import LocalServer
from tests.refusing import refusing
from tests.servers import CREATE, LABELS, LIST, Action, Request, Scripted, Sessions, cut, refuse, scripted

pytestmark = pytest.mark.anyio

IMAGE = CreateSessionParams({"project": "demo"}, "agb-code-space-1")
REFUSALS = {
    "by the code": refuse("InvalidLabel", "not allowed", 400),
    "by the text": refuse("InvalidRequest", "label keys are letters and digits"),
    "by the key": refuse("InvalidRequest", "agb.sdk/create is not allowed", 400),
    "as a tag": refuse("InvalidTag.Malformed", "no", 400),
}
SET_LABEL = "/sdk/SetLabel"
WARNING = "the service refuses the SDK's hidden labels"


def labels_in(request: Request) -> dict[str, str]:
    query = dict(parse_qsl(request.target.partition("?")[2]))
    text = query.get("Labels") or json.loads(request.body or b"{}").get("labels") or "{}"
    return dict(json.loads(text))


def has_hidden(request: Request) -> bool:
    return any(key.startswith(HIDDEN) for key in labels_in(request))


def count(server: Scripted, path: str) -> int:
    return [request.path for request in server.requests].count(path)


def of_hidden(action: Action, *paths: str) -> Any:
    """Return a refusal of requests to these paths that have hidden labels."""
    return lambda request: action if request.path in (paths or (CREATE,)) and has_hidden(request) else None


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_refused_labels_are_left_out(runtime: LocalServer, refusal: Action) -> None:
    with refusing(runtime, of_hidden(refusal)) as server:
        async with AsyncAGB(runtime.api_key, Config(server.endpoint, 30_000)) as agb:
            assert agb.uses_hidden_labels
            with pytest.warns(RuntimeWarning, match=WARNING) as caught:
                session = (await agb.create(IMAGE)).raise_for_error().session
            assert len(caught) == 1
            assert session is not None
            assert (await session.get_labels()).data == IMAGE.labels
            assert (await agb.list({"project": "demo"})).success
            assert (await session.delete()).success
            assert not agb.uses_hidden_labels
            assert count(server, CREATE) == 2
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                async with agb.session(IMAGE) as session:
                    assert (await session.set_labels({"stage": "test"})).success
                    assert (await session.get_labels()).data == {"stage": "test"}
                    assert (await agb.attach(session.ref).set_labels({"stage": "attached"})).success
            assert count(server, CREATE) == 3
            assert count(server, LABELS) == 2  # both by the test


async def test_everything_works_where_labels_are_refused(runtime: LocalServer) -> None:
    name = uuid4().hex
    params = CreateSessionParams({"test": name}, "agb-code-space-1")
    refusal = refuse("InvalidLabel", "no label begins with agb.sdk/", 400)
    with refusing(runtime, of_hidden(refusal, CREATE, SET_LABEL)) as server:
        async with AsyncAGB(runtime.api_key, Config(server.endpoint, 30_000)) as agb:
            with pytest.warns(RuntimeWarning, match=WARNING) as caught:
                created = await gather([partial(agb.create, params) for _ in range(3)])
            assert len(caught) == 1
            assert all(result.success for result in created)
            async with agb.pool(params, min=1, name=name) as pool, pool.session() as session:
                assert (await session.get_status()).success
            async with agb.pool(params, name=name) as pool, pool.session() as session:
                assert (await session.get_status()).success
            async for session in agb.iterate(params.labels):
                assert (await session.delete()).success
            assert (await agb.list(params.labels)).session_ids == []


async def test_session_is_returned_where_warnings_are_errors(runtime: LocalServer) -> None:
    with refusing(runtime, of_hidden(REFUSALS["by the code"])) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        async with AsyncAGB(runtime.api_key, Config(server.endpoint, 30_000)) as agb, agb.session(IMAGE):
            assert not agb.uses_hidden_labels


async def test_label_of_the_user_that_is_refused(runtime: LocalServer) -> None:
    """The second request is refused as well, so the hidden labels are not to blame."""
    refusal = refuse("InvalidLabel", "demo is not a label", 400)
    with refusing(runtime, lambda request: refusal if request.path == CREATE else None) as server:
        async with AsyncAGB(runtime.api_key, Config(server.endpoint, 30_000)) as agb:
            result = await agb.create(IMAGE)
            assert not result.success
            assert "demo is not a label" in result.error_message
            assert agb.uses_hidden_labels
        assert count(server, CREATE) == 2


async def test_other_refusals_are_not_repeated(runtime: LocalServer) -> None:
    """The name of an image does not count: it is the user's."""
    refusal = refuse("InvalidImage.NotReady", "no such image", 400)
    with refusing(runtime, lambda request: refusal if request.path == CREATE else None) as server:
        async with AsyncAGB(runtime.api_key, Config(server.endpoint, 30_000)) as agb:
            assert not (await agb.create(CreateSessionParams(image_id="label-studio"))).success
        assert count(server, CREATE) == 1


async def test_refused_when_labels_are_set(runtime: LocalServer) -> None:
    """As by a service that has a limit for the number of labels."""
    with refusing(runtime, of_hidden(refuse("TooManyLabels", "one label", 400), SET_LABEL)) as server:
        async with AsyncAGB(runtime.api_key, Config(server.endpoint, 30_000)) as agb, agb.session(IMAGE) as session:
            with pytest.warns(RuntimeWarning, match=WARNING):
                assert (await session.set_labels({"stage": "test"})).success
            assert (await session.get_labels()).data == {"stage": "test"}
            assert not agb.uses_hidden_labels


# --- switched off ------------------------------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[tuple[Sessions, Scripted]]:
    sessions = Sessions()
    with scripted(sessions) as server:
        yield sessions, server


def without(server: Scripted) -> AsyncAGB:
    return AsyncAGB("ako-key", Config(server.endpoint, 10_000), hidden_labels=False)


async def test_nothing_is_sent_when_they_are_switched_off(service: tuple[Sessions, Scripted]) -> None:
    _, server = service

    async def nothing(session: object, item: int) -> int:
        return item

    async with without(server) as agb:
        async with agb.session(IMAGE) as session:
            assert (await agb.attach(session.ref).set_labels({"a": "b"})).success
            assert (await session.set_labels({"a": "b"})).success
        async with agb.pool(IMAGE, name="nightly") as pool, pool.session():
            pass
        async with agb.map(nothing, [1], params=IMAGE) as batch:
            assert (await batch.__anext__()).ok
    assert not any(map(has_hidden, server.requests))
    assert count(server, LABELS) == count(server, LIST) == 0


async def test_lost_session_cannot_be_identified(service: tuple[Sessions, Scripted]) -> None:
    """The error names the sessions that it may be, and none of them is deleted: they may be those of others."""
    sessions, server = service
    async with without(server) as agb, without(server) as other:
        mine = (await agb.create(IMAGE)).raise_for_error().session
        theirs = (await other.create(IMAGE)).raise_for_error().session
        sessions.answers[CREATE] = cut()
        lost = await agb.create(IMAGE)
        unlabelled = await agb.create(CreateSessionParams(image_id=IMAGE.image_id))
    assert mine is not None
    assert theirs is not None
    why = "a session that it has created cannot be identified without hidden labels"
    assert lost.error_message.endswith(f"{why}; with its labels there are: s-2, s-3")
    assert unlabelled.error_message.endswith(why)
    assert lost.error is not None
    assert lost.error.extra["create"] == ""
    assert len(sessions.alive) == 4


async def test_argument_is_checked() -> None:
    wrong: Any = "no"
    with pytest.raises(TypeError, match="hidden_labels is True or False, not str"):
        AsyncAGB("ako-key", hidden_labels=wrong)
