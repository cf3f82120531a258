"""A create whose answer is lost: the session is found again by its hidden label, and adopted or deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agb import AsyncAGB, Config, CreateSessionParams, ErrorKind, Owner, SessionError
from agb._async._compat.cancellation import checkpoint
from agb._async.lifecycle.owner_process import this_process
from agb._ops import ownership
from agb._wire import labels
from agb.local import LocalServer
from tests.servers import (
    CREATE,
    GET,
    LABELS,
    LIST,
    RELEASE,
    Action,
    Scripted,
    Sessions,
    answer,
    cut,
    refuse,
    scripted,
    silent,
    then_silent,
    value,
)

pytestmark = pytest.mark.anyio

IMAGE = CreateSessionParams({"project": "demo"}, "agb-code-space-1")
HALF = cut(b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"success": true, "data": {"sessionId": "s-')
LOST = {
    "cut": cut(),
    "half": HALF,
    "no json": answer(b'{"data": {"sessionId": "s-1"'),
    "no id": value({"success": True}),
    "502": answer(b"<html>", 502),
    "503 of a proxy": answer(b"<html>", 503),
    "504": refuse("Timeout", "no answer from the server", 504),
}


class Service:
    """A service of sessions that loses answers."""

    def __init__(self, sessions: Sessions, server: Scripted) -> None:
        self.sessions = sessions
        self.server = server
        self.pauses: list[float] = []

    def client(self, timeout_ms: int = 10_000) -> AsyncAGB:
        agb = AsyncAGB("ako-key", Config(self.server.endpoint, timeout_ms))
        agb.client._sleep = self.pause
        return agb

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await checkpoint()

    def count(self, path: str) -> int:
        return [request.path for request in self.server.requests].count(path)


@pytest.fixture
def service() -> Iterator[Service]:
    sessions = Sessions()
    with scripted(sessions) as server:
        yield Service(sessions, server)


# --- found again -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
async def test_session_whose_creation_was_not_answered_is_adopted(service: Service, lost: Action) -> None:
    service.sessions.answers[CREATE] = lost
    async with service.client() as agb:
        result = await agb.create(IMAGE)
        assert result.success
        assert result.session is not None
        assert {result.session.session_id} == service.sessions.alive
        assert result.session.image_id == IMAGE.image_id
        assert service.count(CREATE) == 1
        assert (await result.session.set_labels({"project": "other"})).success
        assert service.count(LABELS) == 0
        assert (await result.session.delete()).success
    assert not service.sessions.alive


async def test_session_that_comes_late_is_found(service: Service) -> None:
    service.sessions.answers[CREATE] = cut()
    looks = iter([value([]), cut(), cut(), cut(), answer(b"<html>", 502), value([]), value([{"sessionId": "s-1"}])])
    service.sessions.answers[LIST] = lambda talk: next(looks)(talk)
    async with service.client() as agb:
        result = await agb.create(IMAGE)
    assert result.success
    assert next(looks, None) is None


async def test_session_that_is_created_after_the_deadline_is_deleted(service: Service) -> None:
    service.sessions.answers[CREATE] = silent
    async with service.client() as agb:
        result = await agb.create(IMAGE, timeout=1)
    assert not result.success
    assert not service.sessions.alive
    assert result.error is not None
    assert result.error.kind is ErrorKind.TIMED_OUT
    assert "within 1 s; session s-1 was created nevertheless, and is deleted" in result.error_message
    assert "create" not in result.error.extra
    assert result.error.retryable


async def test_session_that_cannot_be_read_is_deleted(service: Service) -> None:
    service.sessions.answers[CREATE] = cut()
    service.sessions.answers[GET] = refuse("Odd", "not today")
    async with service.client() as agb:
        result = await agb.create(IMAGE)
    assert not result.success
    assert "not today" in result.error_message
    assert not service.sessions.alive


async def test_session_that_cannot_be_deleted_is_reported(service: Service) -> None:
    service.sessions.answers[CREATE] = then_silent(HALF)
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")
    async with service.client() as agb:
        result = await agb.create(IMAGE, timeout=1)
    assert "session s-1 was created and is left behind (" in result.error_message
    assert "try tomorrow" in result.error_message
    assert result.error is not None
    assert f"`agb gc --create {result.error.extra['create']}`" in result.error_message
    assert not result.error.retryable


async def test_lookup_without_a_result_is_reported(service: Service) -> None:
    service.sessions.instead[CREATE] = cut()
    async with service.client() as agb:
        result = await agb.create(IMAGE)
        with pytest.raises(SessionError, match="agb gc --create"):
            async with agb.session(IMAGE):
                pytest.fail("the block was entered")
    assert service.count(CREATE) == 2
    assert service.count(LIST) == 2 * len(ownership.LOOKS)
    assert service.pauses == [*ownership.LOOKS[1:]] * 2
    assert result.error is not None
    assert "no session of it was there 5 s later" in result.error_message
    assert result.error.extra["create"] in result.error_message
    assert not result.error.retryable


async def test_service_that_cannot_be_reached_is_reported(service: Service) -> None:
    service.sessions.answers[CREATE] = cut()
    service.sessions.instead[LIST] = refuse("AccessDenied", "not you", 403)
    async with service.client() as agb:
        result = await agb.create(IMAGE)
    assert service.count(LIST) == 1
    assert "whether it has created a session could not be found out (" in result.error_message
    assert "not you" in result.error_message
    assert "agb gc --create" in result.error_message


async def test_refused_create_is_not_looked_for(service: Service) -> None:
    service.sessions.instead[CREATE] = refuse("Quota", "no more")
    async with service.client() as agb:
        assert not (await agb.create(IMAGE)).success
    assert service.count(LIST) == 0


# --- hidden labels -----------------------------------------------------------------------------------------------


async def test_hidden_labels_are_not_shown_and_survive(runtime: LocalServer) -> None:
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb, agb.session(IMAGE) as session:
        nonce = (session._hidden_labels or {})[labels.CREATE]
        assert (await session.get_labels()).data == IMAGE.labels
        assert (await agb.list({labels.CREATE: nonce})).session_ids == [session.session_id]
        assert (await session.set_labels({"stage": "test"})).success
        assert (await session.get_labels()).data == {"stage": "test"}
        attached = agb.attach(session.ref)
        assert (await attached.set_labels({"stage": "attached"})).success
        assert (await attached.get_labels()).data == {"stage": "attached"}
        assert (await agb.list({"stage": "attached", labels.CREATE: nonce})).session_ids == [session.session_id]
    assert IMAGE.labels == {"project": "demo"}


async def test_attached_session_learns_its_hidden_labels_once(service: Service) -> None:
    async with service.client() as agb:
        await agb.create(IMAGE)
        attached = agb.attach("s-1")
        for _ in range(2):
            assert (await attached.set_labels({"a": "b"})).success
        assert service.count(LABELS) == 1
        service.sessions.instead[LABELS] = refuse("Odd", "not today")
        assert "not today" in (await agb.attach("s-1").set_labels({"a": "b"})).error_message
        service.sessions.instead[LABELS] = cut()
        with pytest.raises(SessionError):
            await agb.attach("s-1").set_labels({"a": "b"})
    assert service.count("/sdk/SetLabel") == 2


async def test_labels_of_the_sdk_cannot_be_set(service: Service) -> None:
    labels = {"a": "b", "agb.sdk/owner": "me"}
    async with service.client() as agb:
        result = await agb.create(CreateSessionParams(labels, "agb-code-space-1"))
        other = await agb.attach("s-1").set_labels(labels)
        assert (await agb.list(labels)).success
    words = "Label keys that begin with 'agb.sdk/' are reserved for the SDK: rename 'agb.sdk/owner'"
    assert (result.error_message, other.error_message) == (words, words)
    assert service.count(CREATE) == 0


async def test_sessions_of_an_owner_are_found(runtime: LocalServer) -> None:
    owner = Owner("map", ownership.nameless())
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:
        session = (await agb.create(IMAGE, owner=owner)).raise_for_error().session
        assert session is not None
        assert (await agb.list({labels.OWNER: owner.label})).session_ids == [session.session_id]
        when, maker = ownership.making_of(session._hidden_labels or {})
        assert 0 <= time.time() - when < 60
        assert maker == this_process()
        assert (await session.delete()).success


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "x" * 129])
async def test_owner_has_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="the id of an owner is one line"):
        Owner("pool", name)
