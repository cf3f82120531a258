# Generated from tests/_async/test_clean_ups.py by tools/unasync.py. Do not edit.
"""Clean-ups that meet a fault: the deletion is repeated, whatever was answered first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from agb import AGB, Config, CreateSessionParams, Session, SessionError
from tests.servers import CREATE, GET, RELEASE, STATUS, Action, Scripted, Sessions, answer, cut, refuse, scripted

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
FAULTS = {
    "503": refuse("Busy", "slow down", 503, {"Retry-After": "0"}),
    "429": refuse("Busy", "slow down", 429, {"Retry-After": "0"}),
    "500": refuse("InternalError", "broken", 500),
    "403": refuse("AccessDenied", "not you", 403),
    "refusal": refuse("Busy", "try tomorrow"),
    "HTML": answer(b"<html>welcome", 200, {"Content-Type": "text/html"}),
    "cut": cut(),
}


@pytest.fixture
def service() -> Iterator[tuple[Sessions, Scripted]]:
    sessions = Sessions()
    with scripted(sessions) as server:
        yield sessions, server


def client(server: Scripted) -> AGB:
    return AGB("ako-key", Config(server.endpoint, 10_000))


def at_first(fault: Action, count: int) -> Callable[[], Action | None]:
    """Return a fault of the first requests; those after them are answered as usual."""
    faults = iter([fault] * count)
    return lambda: next(faults, None)


def block(agb: AGB) -> None:
    with agb.session(IMAGE):
        pass


def pool(agb: AGB) -> None:
    with agb.pool(IMAGE) as pool, pool.session():
        pass


def batch(agb: AGB) -> None:
    def nothing(session: Session, item: int) -> None:
        pass

    with agb.map(nothing, [1], params=IMAGE) as outcomes:
        assert outcomes.__next__().ok


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("use", [block, pool, batch])
def test_failed_deletion_is_repeated(
    service: tuple[Sessions, Scripted], fault: str, use: Callable[[AGB], None]
) -> None:
    sessions, server = service
    repeated = ("503", "429", "cut")  # by a single deletion already, three times
    sessions.faults[RELEASE] = at_first(FAULTS[fault], 4 if fault in repeated else 2)
    with client(server) as agb:
        use(agb)
    assert sessions.made == 1
    assert not sessions.alive


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_deletion_whose_status_cannot_be_read_is_repeated(service: tuple[Sessions, Scripted], fault: Action) -> None:
    sessions, server = service
    sessions.faults[STATUS] = at_first(fault, 1)
    with client(server) as agb:
        block(agb)
    assert not sessions.alive


def test_deletion_of_a_lost_session_is_repeated(service: tuple[Sessions, Scripted]) -> None:
    sessions, server = service
    sessions.answers[CREATE] = cut()
    sessions.faults[GET] = lambda: refuse("Odd", "not today")
    sessions.faults[RELEASE] = at_first(FAULTS["refusal"], 2)
    with client(server) as agb:
        result = agb.create(IMAGE)
    assert "was created nevertheless, and is deleted" in result.error_message
    assert not sessions.alive


def test_deletion_that_is_always_refused_is_given_up(service: tuple[Sessions, Scripted]) -> None:
    sessions, server = service
    sessions.faults[RELEASE] = lambda: FAULTS["503"]
    with client(server) as agb:
        with pytest.raises(SessionError, match="slow down"):
            block(agb)
    assert 4 <= [request.path for request in server.requests].count(RELEASE) <= 12


def test_block_of_a_client_that_was_closed_meanwhile(service: tuple[Sessions, Scripted]) -> None:
    sessions, server = service
    agb = client(server)
    with agb.session(IMAGE):
        assert sessions.alive
        agb.close()
    assert not sessions.alive
