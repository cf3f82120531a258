# Generated from tests/_async/test_session_pool.py by tools/unasync.py. Do not edit.
"""Pools of warm sessions: lending, cleaning, replacing, keeping alive, failing, and leaving nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from agb import AGB, Config, CreateSessionParams, ErrorKind, Session, SessionError
from agb._sync._compat.concurrency import TaskGroup
from agb._sync._compat.loop import sleep
from agb._sync._compat.primitives import ThreadSafeEvent
from agb._sync.lifecycle import owner_process
from agb.local import LocalServer
from tests.servers import CREATE, RELEASE, STATUS, Scripted, Sessions, refuse, scripted

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
KEEP_ALIVE = "/mcp/refreshSessionIdleTime"


class Service:
    """A service of sessions."""

    def __init__(self, sessions: Sessions, server: Scripted) -> None:
        self.sessions = sessions
        self.server = server

    @property
    def alive(self) -> set[str]:
        return self.sessions.alive

    def client(self) -> AGB:
        return AGB("ako-key", Config(self.server.endpoint, 10_000))

    def count(self, path: str) -> int:
        return [request.path for request in self.server.requests].count(path)


@pytest.fixture
def service() -> Iterator[Service]:
    sessions = Sessions()
    with scripted(sessions) as server:
        yield Service(sessions, server)
    assert not sessions.alive


def until(condition: Any) -> None:
    while not condition():
        sleep(0)


# --- lending -----------------------------------------------------------------------------------------------------


def test_sessions_of_the_runtime_are_lent_again(runtime: LocalServer) -> None:
    params = CreateSessionParams({"pool": uuid4().hex}, "agb-code-space-1")
    seen = []
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:

        def prepare(session: Session) -> None:
            session.file.write("/tmp/prepared", "yes").raise_for_error()

        with agb.pool(params, min=1, max=2, prepare=prepare) as pool:
            for _ in range(3):
                with pool.session() as session:
                    seen.append(session.session_id)
                    assert session.file.read("/tmp/prepared").content == "yes"
            assert len(set(seen)) == 1
            assert agb.list(params.labels).total_count == 1
        assert agb.list(params.labels).total_count == 0


def test_sessions_are_made_ahead(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, min=3, max=5) as pool:
        until(lambda: pool.stats().idle == 3)
        assert service.sessions.made == 3
        session = pool.acquire()
        assert pool.stats().in_use == 1
        pool.release(session)
        until(lambda: pool.stats().idle == 3)
        assert service.sessions.made == 3
        assert "3 idle, 0 in use" in repr(pool)


def test_those_who_wait_are_served_in_order(service: Service) -> None:
    served = []
    with service.client() as agb, agb.pool(IMAGE, max=1) as pool:

        def use(number: int) -> None:
            with pool.session():
                served.append(number)

        first = pool.acquire()
        with TaskGroup() as group:
            for number in range(10):
                group.start(use, number)
                until(lambda number=number: pool.stats().waiting == number + 1)
            pool.release(first)
        assert service.sessions.made == 1
    assert served == list(range(10))


def test_size_is_limited_and_waiting_has_a_deadline(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, max=2) as pool:
        with pool.session(), pool.session():
            with pytest.raises(SessionError) as caught:
                pool.acquire(timeout=0.05)
        assert caught.value.kind is ErrorKind.TIMED_OUT
        assert "was free within 0.05 s: 2 of 2 are in use" in str(caught.value)
        assert service.sessions.made == 2


def test_what_was_not_borrowed_is_not_taken(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE) as pool:
        session = pool.acquire()
        with pytest.raises(ValueError, match="not one that is borrowed"):
            pool.release(agb.attach(session.session_id))
        pool.release(session)
        with pytest.raises(ValueError, match="not one that is borrowed"):
            pool.release(session)


# --- replacing ---------------------------------------------------------------------------------------------------


def test_session_is_reset_between_uses(service: Service) -> None:
    done = []
    with (
        service.client() as agb,
        agb.pool(IMAGE, max=1, prepare=lambda s: done.append("prepare"), reset=lambda s: done.append("reset")) as pool,
    ):
        for _ in range(2):
            with pool.session():
                done.append("use")
        until(lambda: pool.stats().idle == 1)
    assert done == ["prepare", "use", "reset", "use", "reset"]


def test_session_that_cannot_be_reset_is_replaced(service: Service) -> None:
    def reset(session: Session) -> None:
        raise LookupError(session.session_id)

    with service.client() as agb, agb.pool(IMAGE, max=1, reset=reset) as pool:
        ids = []
        for _ in range(3):
            with pool.session() as session:
                ids.append(session.session_id)
        assert ids == ["s-1", "s-2", "s-3"]
        assert isinstance(pool.stats().last_error, LookupError)


def test_session_is_replaced_after_so_many_uses(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, max=1, max_uses=2) as pool:
        ids = []
        for _ in range(5):
            with pool.session() as session:
                ids.append(session.session_id)
    assert ids == ["s-1", "s-1", "s-2", "s-2", "s-3"]


def test_session_is_replaced_when_it_is_old(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, max=1, max_age=100) as pool:
        now = pool._sessions.clock()
        with pool.session() as session:
            assert session.session_id == "s-1"
        until(lambda: pool.stats().idle == 1)
        pool._sessions.clock = lambda: now + 200
        with pool.session() as session:
            assert session.session_id == "s-2"


def test_session_that_has_died_is_replaced(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, max=1) as pool:
        now = pool._sessions.clock()
        with pool.session():
            pass
        until(lambda: pool.stats().idle == 1)
        service.alive.clear()
        pool._sessions.clock = lambda: now + 30
        with pool.session() as session:
            assert session.session_id == "s-2"


def test_session_that_its_user_has_deleted_is_replaced(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, max=1) as pool:
        with pool.session() as session:
            assert session.delete().success
        with pool.session() as session:
            assert session.session_id == "s-2"


@pytest.mark.parametrize("how", ["raises", "says no"])
def test_session_that_its_check_refuses_is_replaced(service: Service, how: str) -> None:
    def check(session: Session) -> bool:
        if how == "raises" and session.session_id == "s-1":
            raise LookupError
        return session.session_id != "s-1"

    with service.client() as agb, agb.pool(IMAGE, max=1, check=check) as pool, pool.session() as session:
        assert session.session_id == "s-2"
    assert service.count(RELEASE) == 2


def test_session_is_discarded_on_request(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, max=1) as pool:
        pool.release(pool.acquire(), discard=True)
        with pool.session() as session:
            assert session.session_id == "s-2"


# --- keeping -----------------------------------------------------------------------------------------------------


def test_idle_sessions_are_kept_alive_and_surplus_ones_let_go(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, min=1, max=3, idle=60) as pool:
        with pool.session(), pool.session(), pool.session():
            pass
        until(lambda: pool.stats().idle == 3)
        now = pool._sessions.clock()
        pool._sessions.clock = lambda: now + 55
        pool._sessions.wake()
        until(lambda: service.count(KEEP_ALIVE) == 3)
        pool._sessions.clock = lambda: now + 65
        pool._sessions.wake()
        until(lambda: len(service.alive) == 1)
        until(lambda: pool.stats().idle == 1)


def test_idle_session_that_died_is_replaced_ahead(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, min=1) as pool:
        until(lambda: pool.stats().idle == 1)
        service.sessions.instead[KEEP_ALIVE] = refuse("InvalidMcpSession.NotFound", "no such session")
        service.alive.clear()
        now = pool._sessions.clock()
        pool._sessions.clock = lambda: now + 55
        pool._sessions.wake()
        until(lambda: service.alive == {"s-2"})


# --- failing -----------------------------------------------------------------------------------------------------


def test_waiting_caller_gets_the_error_of_the_creation(service: Service) -> None:
    service.sessions.instead[CREATE] = refuse("InvalidImage", "no such image")
    with service.client() as agb, agb.pool(IMAGE, min=1) as pool:
        with pytest.raises(SessionError, match="no such image"):
            pool.acquire()
        assert pool.stats().failed >= 1
        del service.sessions.instead[CREATE]
        with pool.session() as session:
            assert session.session_id == "s-1"


def test_session_that_cannot_be_prepared_is_deleted(service: Service) -> None:
    calls = []

    def prepare(session: Session) -> None:
        calls.append(session.session_id)
        if len(calls) == 1:
            raise LookupError("not this one")

    with service.client() as agb, agb.pool(IMAGE, max=1, prepare=prepare) as pool:
        with pytest.raises(LookupError, match="not this one"):
            pool.acquire()
        with pool.session() as session:
            assert session.session_id == "s-2"
        assert service.alive == {"s-2"}


def test_check_that_accepts_no_session_does_not_create_endlessly(service: Service) -> None:
    with service.client() as agb, agb.pool(IMAGE, max=1, check=lambda session: False) as pool:
        with pytest.raises(SessionError, match=r"no session of the pool .* was free within 1 s"):
            pool.acquire(timeout=1)
        assert service.count(CREATE) <= 6


def test_session_that_cannot_be_deleted_is_reported(service: Service) -> None:
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")
    with pytest.warns(RuntimeWarning, match="session s-1 was left behind: .*try tomorrow"):
        with service.client() as agb, agb.pool(IMAGE) as pool, pool.session():
            pass
    service.alive.clear()


# --- the end -----------------------------------------------------------------------------------------------------


def test_nothing_is_lent_after_the_end(service: Service) -> None:
    with service.client() as agb:
        with agb.pool(IMAGE, min=2) as pool:
            until(lambda: pool.stats().idle == 2)
            pool.close()
            assert not service.alive
            with pytest.raises(SessionError, match="is closed"):
                pool.acquire()
        with pytest.raises(RuntimeError, match="entered once"):
            pool.__enter__()
        with pytest.raises(RuntimeError, match="inside its block"):
            agb.pool(IMAGE).acquire()


def test_end_waits_for_what_is_borrowed(service: Service) -> None:
    leave = ThreadSafeEvent()
    with service.client() as agb, TaskGroup() as group:
        with agb.pool(IMAGE) as pool:

            def use() -> None:
                with pool.session() as session:
                    leave.wait(60)
                    assert session.session_id in service.alive

            group.start(use)
            until(lambda: pool.stats().in_use == 1)
            group.start(sleep, 0)
            leave.set()
        assert pool.stats().uses == 1


def test_what_is_not_given_back_in_time_is_deleted(service: Service) -> None:
    with service.client() as agb:
        with agb.pool(IMAGE, drain=0.05) as pool:
            pool.acquire()
        assert not service.alive


def test_block_that_raises_leaves_nothing(service: Service) -> None:
    with service.client() as agb:

        def work() -> None:
            with agb.pool(IMAGE, min=3) as pool:
                pool.acquire()
                raise LookupError

        with pytest.raises(LookupError):
            work()
    assert not service.alive


def test_cancelled_pool_leaves_nothing(service: Service) -> None:
    gate = service.sessions.gate(STATUS)
    gate.open()

    def work() -> None:
        with service.client() as agb, agb.pool(IMAGE, min=3, max=4) as pool, pool.session():
            entered.set()
            ThreadSafeEvent().wait(30)

    entered = ThreadSafeEvent()
    with TaskGroup() as group:
        group.start(work)
        entered.wait(60)
        group.cancel()
    assert not service.alive
    assert service.sessions.made >= 1


# --- names -------------------------------------------------------------------------------------------------------


def test_next_run_deletes_what_a_killed_one_has_left(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    name = uuid4().hex
    params = CreateSessionParams({"pool": name}, "agb-code-space-1")
    mine = owner_process.this_process()
    host, pid, start = mine.split("/")
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000)) as agb:
        owner = agb.pool(params, name=name).owner
        monkeypatch.setattr("agb._sync.lifecycle.creation.this_process", lambda: f"{host}/{pid}/{start}0")
        dead = agb.create(params, owner=owner).raise_for_error().session
        monkeypatch.setattr("agb._sync.lifecycle.creation.this_process", lambda: f"elsewhere/{pid}/{start}")
        elsewhere = agb.create(params, owner=owner).raise_for_error().session
        monkeypatch.setattr("agb._sync.lifecycle.creation.this_process", lambda: mine)
        alive = agb.create(params, owner=owner).raise_for_error().session
        assert dead is not None
        assert elsewhere is not None
        assert alive is not None
        with agb.pool(params, name=name):
            found = agb.list(params.labels).session_ids
            assert set(found) == {elsewhere.session_id, alive.session_id}
        reaped = agb.reap(owner)
        assert [session.session_id for session in reaped.deleted] == [elsewhere.session_id]
        assert [session.session_id for session in reaped.kept] == [alive.session_id]
        reaped = agb.reap(owner.label, even_if_alive=True)
        assert [session.session_id for session in reaped.deleted] == [alive.session_id]


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"min": -1}, ValueError, "min is a number >= 0"),
        ({"max": 0}, ValueError, "max is a number >= 1"),
        ({"min": 3, "max": 2}, ValueError, "3 is more than 2"),
        ({"max_uses": 0}, ValueError, "max_uses"),
        ({"max": 2.5}, TypeError, "max is a whole number"),
        ({"max_age": 0}, ValueError, "max_age"),
        ({"idle": "1"}, TypeError, "idle"),
        ({"prepare": "x"}, TypeError, "prepare is a function"),
        ({"name": ""}, ValueError, "one line"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], error: type[Exception], words: str) -> None:
    with AGB("ako-key", Config("http://127.0.0.1:9")) as agb:
        with pytest.raises(error, match=words):
            agb.pool(IMAGE, **wrong)
