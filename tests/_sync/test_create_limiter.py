# Generated from tests/_async/test_create_limiter.py by tools/unasync.py. Do not edit.
"""The create limiter: order, limits, refusals, giving up and its reports; with a clock that the test advances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agb import AGB, Config, CreateSessionParams, ErrorKind, Limits, Sent, SessionError
from agb._ops.sessions import create_session
from agb._sync._compat.concurrency import TaskGroup
from agb._sync._compat.loop import sleep
from agb._sync._compat.primitives import ThreadSafeEvent
from agb._sync.lifecycle.create_limiter import POLL_EVERY, CreateLimiter
from agb._wire.deadline import Deadline
from agb.config import Endpoint
from agb.local import LocalServer
from tests.servers import CREATE, RELEASE, Conversation, Sessions, refuse, scripted

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
CALL = create_session(IMAGE)


class Time:
    """A clock that is advanced by waiting."""

    def __init__(self) -> None:
        self.now = 100.0
        self.gone: set[str] = set()
        self.polls: list[tuple[str, float]] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, event: ThreadSafeEvent, seconds: float) -> None:
        event.wait(0)
        self.now += seconds

    def is_gone(self, session_id: str, deadline: Deadline) -> bool:
        assert deadline.left() > 0
        self.polls.append((session_id, self.now))
        sleep(0)
        return session_id in self.gone

    def limiter(self, limits: Limits) -> CreateLimiter:
        return CreateLimiter(limits, self.is_gone, self, self.wait)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self)


def create(limiter: CreateLimiter, deadline: Deadline, attempt: Callable[[], str]) -> None:
    """Enter a slot until an attempt succeeds or its error is final, as a creation does."""
    slot = limiter.slot(CALL, deadline)
    while True:
        with slot:
            try:
                session_id = attempt()
            except SessionError as error:
                if not slot.may_retry(error):
                    raise
            else:
                slot.created(session_id)
                return


class Service:
    """Creates sessions, after it has raised its refusals."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.begun: list[float] = []
        self.refusals: list[SessionError] = []

    def make(self) -> str:
        self.begun.append(self.time.now)
        sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        return f"s-{len(self.begun)}"


def slow_down(retry_after: float | None = None, **more: Any) -> SessionError:
    return SessionError("slow down", kind=ErrorKind.RATE_LIMITED, retry_after=retry_after, **more)


def test_creations_begin_at_their_rate() -> None:
    time = Time()
    service = Service(time)
    limiter = time.limiter(Limits(creates_per_second=2, create_burst=3))
    for _ in range(6):
        create(limiter, time.deadline(60), service.make)
    assert [begun - 100 for begun in service.begun] == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5], abs=0.01)
    stats = limiter.stats()
    assert (stats.done, stats.failed, stats.under_way, stats.waiting, stats.sessions) == (6, 0, 0, 0, 6)
    assert (stats.rate, stats.held_up_by) == (2, "")


def test_creation_that_cannot_begin_in_time_fails_at_once() -> None:
    time = Time()
    limiter = time.limiter(Limits(creates_per_second=0.5))
    service = Service(time)
    create(limiter, time.deadline(60), service.make)
    with pytest.raises(SessionError) as caught:
        create(limiter, time.deadline(1.5), service.make)
    assert time.now == 100.0
    assert caught.value.kind is ErrorKind.TIMED_OUT
    assert "it could not begin within 1.5 s: Limits(creates_per_second=0.5)" in str(caught.value)
    assert caught.value.extra["busy"]
    assert limiter.stats().waiting == 0


def test_refusal_pauses_all_creations_and_is_retried() -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down(7.0)]
    create(limiter, time.deadline(60), service.make)
    create(limiter, time.deadline(60), service.make)
    assert service.begun[:2] == pytest.approx([100, 107], abs=0.01)
    assert service.begun[2] > 107
    stats = limiter.stats()
    assert (stats.refused, stats.failed, stats.done) == (1, 0, 2)
    assert stats.rate is not None


def test_pause_beyond_the_deadline_fails_at_once() -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down(30.0)]
    with pytest.raises(SessionError, match="slow down") as caught:
        create(limiter, time.deadline(10), service.make)
    assert caught.value.extra["attempts"] == 1
    with pytest.raises(SessionError, match="no creation begins for 30 s") as caught:
        create(limiter, time.deadline(10), service.make)
    assert caught.value.kind is ErrorKind.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(30)
    assert len(service.begun) == 1
    stats = limiter.stats()
    assert stats.paused_for == pytest.approx(30)
    assert stats.failed == 1


def test_refusals_are_retried_until_the_deadline() -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down() for _ in range(1000)]
    with pytest.raises(SessionError, match="slow down") as caught:
        create(limiter, time.deadline(60), service.make)
    assert 5 < caught.value.extra["attempts"] < 20
    assert 130 < time.now <= 160


@pytest.mark.parametrize("retry_after", [None, 0.0])
def test_creation_has_a_dozen_attempts_at_most(retry_after: float | None) -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down(retry_after) for _ in range(1000)]
    with pytest.raises(SessionError, match="slow down"):
        create(limiter, time.deadline(3600), service.make)
    assert len(service.begun) == 12


def test_exhausted_quota_is_retried_three_times() -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down(code="QuotaExceeded") for _ in range(10)]
    with pytest.raises(SessionError, match="slow down"):
        create(limiter, time.deadline(60), service.make)
    assert len(service.begun) == 3


def test_live_sessions_are_limited_and_ended_ones_are_noticed() -> None:
    time = Time()
    limiter = time.limiter(Limits(sessions=2))
    service = Service(time)
    for _ in range(2):
        create(limiter, time.deadline(60), service.make)
    with pytest.raises(SessionError) as caught:
        create(limiter, time.deadline(12), service.make)
    assert "2 sessions of this client are alive; Limits(sessions=2)" in str(caught.value)
    assert [polled for polled, _ in time.polls] == ["s-1", "s-2"]
    assert time.polls[1][1] - time.polls[0][1] == pytest.approx(POLL_EVERY, abs=0.1)
    time.gone.add("s-2")
    create(limiter, time.deadline(60), service.make)
    assert [polled for polled, _ in time.polls][2:] == ["s-1", "s-2"]
    limiter.gone("s-1")
    limiter.gone("of another client")
    now = time.now
    create(limiter, time.deadline(60), service.make)
    assert time.now == now
    assert limiter.stats().sessions == 2


def test_creations_begin_in_the_order_of_their_requests() -> None:
    limiter = CreateLimiter(Limits(sessions=1), Time().is_gone)
    served: list[int] = []
    may_end = ThreadSafeEvent()

    def work(number: int) -> Callable[[], str]:
        def make() -> str:
            served.append(number)
            return f"s-{number}"

        return make

    def create_numbered(number: int) -> None:
        create(limiter, Deadline(30), work(number))
        limiter.gone(f"s-{number}")

    def hold() -> str:
        may_end.wait(30)
        return "s-0"

    with TaskGroup() as group:
        group.start(create, limiter, Deadline(30), hold)
        while not limiter.stats().under_way:
            sleep(0)
        for number in range(1, 40):
            group.start(create_numbered, number)
            while limiter.stats().waiting < number:
                sleep(0)
        stats = limiter.stats()
        assert stats.held_up_by == "0 sessions of this client are alive, and 1 are being created; Limits(sessions=1)"
        may_end.set()
        while not limiter.stats().sessions:
            sleep(0)
        limiter.gone("s-0")
    assert served == list(range(1, 40))
    assert limiter.stats().done == 40


def test_cancelled_creations_leave_the_queue() -> None:
    limiter = CreateLimiter(Limits(sessions=1), Time().is_gone)

    def make() -> str:
        return "s-1"

    create(limiter, Deadline(30), make)
    with TaskGroup() as group:
        for number in range(1, 21):
            group.start(create, limiter, Deadline(30), make)
            while limiter.stats().waiting < number:
                sleep(0)
        group.cancel()
    stats = limiter.stats()
    assert (stats.waiting, stats.under_way, stats.done) == (0, 0, 1)
    limiter.gone("s-1")
    create(limiter, Deadline(30), make)


def test_number_of_waiting_creations_is_limited() -> None:
    time = Time()
    limiter = time.limiter(Limits(sessions=1, waiting=0))
    service = Service(time)
    create(limiter, time.deadline(60), service.make)
    with pytest.raises(SessionError, match=r"0 creations wait already, as many as Limits\(waiting=0\) allows"):
        create(limiter, time.deadline(60), service.make)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"creates_per_second": 0}, ValueError),
        ({"creates_per_second": float("inf")}, ValueError),
        ({"creates_per_second": "2"}, TypeError),
        ({"creates_per_second": True}, TypeError),
        ({"create_burst": 0}, ValueError),
        ({"sessions": 0}, ValueError),
        ({"sessions": 1.5}, TypeError),
    ],
)
def test_wrong_limits(wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(wrong))):
        Limits(**wrong)


# --- with a service ----------------------------------------------------------------------------------------------


def test_service_that_refuses_every_third_creation() -> None:
    sessions = Sessions()
    requests = 0

    def every_third(talk: Conversation) -> None:
        nonlocal requests
        if talk.request.path == CREATE:
            requests += 1
            if requests % 3 == 0:
                refuse("Throttled", "slow down", 429, {"Retry-After": "0"})(talk)
                return
        sessions(talk)

    with scripted(every_third) as server:
        with AGB("ako-key", Config(server.endpoint, 10_000), limits=Limits(creates_per_second=500)) as agb:

            def create() -> None:
                agb.create(IMAGE).raise_for_error()

            with TaskGroup() as group:
                for _ in range(8):
                    group.start(create)
            stats = agb._limiter.stats()
    assert sessions.made == 8
    assert requests == 8 + stats.refused
    assert stats.refused == requests // 3
    assert stats.sessions == 8


def test_service_that_is_overloaded_in_bursts() -> None:
    """A 503 of the service itself: no session was created, so the creation is retried."""
    sessions = Sessions()
    requests = 0

    def in_bursts(talk: Conversation) -> None:
        nonlocal requests
        if talk.request.path == CREATE:
            requests += 1
            if requests % 10 in (3, 4, 5):
                refuse("Overloaded", "too much to do", 503, {"Retry-After": "0"})(talk)
                return
        sessions(talk)

    with scripted(in_bursts) as server:
        with AGB("ako-key", Config(server.endpoint, 10_000)) as agb:

            def create() -> None:
                agb.create(IMAGE).raise_for_error()

            with TaskGroup() as group:
                for _ in range(6):
                    group.start(create)
            stats = agb.stats()
    assert sessions.made == 6
    assert stats.creations.refused == requests - 6 >= 3
    assert stats.held_up_by == ""


def test_service_that_is_unreachable_for_a_while() -> None:
    """A creation that cannot be sent fails after a few attempts and is retryable; a pool goes on by itself."""
    sessions = Sessions()
    with scripted(sessions) as server:
        with AGB("ako-key", Config(server.endpoint, 10_000)) as agb, agb.pool(IMAGE) as pool:
            endpoint = agb.client.endpoint
            agb.client.endpoint = Endpoint.parse("http://127.0.0.1:9")
            result = agb.create(IMAGE)
            assert result.error is not None
            assert (result.error.kind, result.error.sent) == (ErrorKind.UNREACHABLE, Sent.NO)
            assert result.error.retryable
            assert result.error.extra["attempts"] == 3
            with pytest.raises(SessionError, match="no connection to"):
                pool.acquire()
            agb.client.endpoint = endpoint
            with pool.session() as session:
                assert session.session_id == "s-1"
    assert sessions.made == 1
    assert not sessions.alive


def test_limit_of_sessions_is_kept_at_the_service(runtime: LocalServer) -> None:
    params = CreateSessionParams({"limiter": "limit"}, "agb-code-space-1")
    limits = Limits(sessions=1)
    with AGB(runtime.api_key, Config(runtime.endpoint, 30_000), limits=limits) as agb:

        def use() -> None:
            with agb.session(params):
                assert agb.list({"limiter": "limit"}).total_count == 1

        with TaskGroup() as group:
            for _ in range(3):
                group.start(use)
        stats = agb._limiter.stats()
        assert (stats.done, stats.sessions) == (3, 0)


def test_deletion_of_a_session_that_is_gone_frees_its_place() -> None:
    sessions = Sessions()
    with scripted(sessions) as server:
        with AGB("ako-key", Config(server.endpoint, 5_000), limits=Limits(sessions=1)) as agb:
            session = agb.create(IMAGE).raise_for_error().session
            assert session is not None
            sessions.instead[RELEASE] = refuse("InvalidMcpSession.NotFound", "no such session")
            assert not session.delete().success
            assert agb.create(IMAGE).success
