"""The governor: turns, limits, refusals, giving up, and what it says; with a clock that goes when told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agb import AsyncAGB, Config, CreateSessionParams, ErrorKind, Limits, Sent, SessionError
from agb._async._compat.concurrency import TaskGroup
from agb._async._compat.loop import sleep
from agb._async._compat.primitives import ThreadSafeEvent
from agb._async.lifecycle.create_limiter import LOOK_EVERY, AsyncCreateLimiter, Created
from agb._ops.sessions import create_session
from agb._wire.deadline import Deadline
from agb.config import Endpoint
from agb.local import LocalServer
from agb.results import GetSessionData
from tests.servers import CREATE, RELEASE, Conversation, Sessions, refuse, scripted

pytestmark = pytest.mark.anyio

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
CALL = create_session(IMAGE)


class Time:
    """A clock that goes on when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.gone: set[str] = set()
        self.looks: list[tuple[str, float]] = []

    def __call__(self) -> float:
        return self.now

    async def wait(self, bell: ThreadSafeEvent, seconds: float) -> None:
        await bell.wait(0)
        self.now += seconds

    async def is_gone(self, session_id: str) -> bool:
        self.looks.append((session_id, self.now))
        await sleep(0)
        return session_id in self.gone

    def governor(self, limits: Limits) -> AsyncCreateLimiter:
        return AsyncCreateLimiter(limits, self.is_gone, self, self.wait)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self)


def data(session_id: str) -> GetSessionData:
    return GetSessionData(session_id=session_id)


class Service:
    """Makes sessions, or says no as often as it is told to."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.begun: list[float] = []
        self.refusals: list[SessionError] = []

    async def make(self) -> Created:
        self.begun.append(self.time.now)
        await sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        return data(f"s-{len(self.begun)}"), "R-1"


def slow_down(retry_after: float | None = None, **more: Any) -> SessionError:
    return SessionError("slow down", kind=ErrorKind.RATE_LIMITED, retry_after=retry_after, **more)


async def test_creations_begin_at_their_rate() -> None:
    time = Time()
    service = Service(time)
    governor = time.governor(Limits(creates_per_second=2, create_burst=3))
    for _ in range(6):
        await governor.create(CALL, time.deadline(60), service.make)
    assert [begun - 100 for begun in service.begun] == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5], abs=0.01)
    told = governor.stats()
    assert (told.done, told.failed, told.under_way, told.waiting, told.sessions) == (6, 0, 0, 0, 6)
    assert (told.rate, told.held_up_by) == (2, "")


async def test_turn_that_cannot_come_in_time_is_told_at_once() -> None:
    time = Time()
    governor = time.governor(Limits(creates_per_second=0.5))
    service = Service(time)
    await governor.create(CALL, time.deadline(60), service.make)
    with pytest.raises(SessionError) as caught:
        await governor.create(CALL, time.deadline(1.5), service.make)
    assert time.now == 100.0
    assert caught.value.kind is ErrorKind.TIMED_OUT
    assert "its turn did not come within 1.5 s: Limits(creates_per_second=0.5)" in str(caught.value)
    assert caught.value.extra["busy"]
    assert governor.stats().waiting == 0


async def test_refusal_pauses_all_and_is_tried_again() -> None:
    time = Time()
    governor = time.governor(Limits())
    service = Service(time)
    service.refusals = [slow_down(7.0)]
    await governor.create(CALL, time.deadline(60), service.make)
    await governor.create(CALL, time.deadline(60), service.make)
    assert service.begun[:2] == pytest.approx([100, 107], abs=0.01)
    assert service.begun[2] > 107
    told = governor.stats()
    assert (told.refused, told.failed, told.done) == (1, 0, 2)
    assert told.rate is not None


async def test_pause_beyond_the_deadline_is_told_at_once() -> None:
    time = Time()
    governor = time.governor(Limits())
    service = Service(time)
    service.refusals = [slow_down(30.0)]
    with pytest.raises(SessionError, match="slow down") as caught:
        await governor.create(CALL, time.deadline(10), service.make)
    assert caught.value.extra["attempts"] == 1
    with pytest.raises(SessionError, match="no creation begins for 30 s") as caught:
        await governor.create(CALL, time.deadline(10), service.make)
    assert caught.value.kind is ErrorKind.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(30)
    assert len(service.begun) == 1
    told = governor.stats()
    assert told.paused_for == pytest.approx(30)
    assert told.failed == 1


async def test_refusals_go_on_until_the_deadline() -> None:
    time = Time()
    governor = time.governor(Limits())
    service = Service(time)
    service.refusals = [slow_down() for _ in range(1000)]
    with pytest.raises(SessionError, match="slow down") as caught:
        await governor.create(CALL, time.deadline(60), service.make)
    assert 5 < caught.value.extra["attempts"] < 20
    assert 130 < time.now <= 160


async def test_quota_is_not_waited_for() -> None:
    time = Time()
    governor = time.governor(Limits())
    service = Service(time)
    service.refusals = [slow_down(code="QuotaExceeded") for _ in range(10)]
    with pytest.raises(SessionError, match="slow down"):
        await governor.create(CALL, time.deadline(60), service.make)
    assert len(service.begun) == 3


async def test_live_sessions_have_a_limit_and_those_that_ended_are_noticed() -> None:
    time = Time()
    governor = time.governor(Limits(sessions=2))
    service = Service(time)
    for _ in range(2):
        await governor.create(CALL, time.deadline(60), service.make)
    with pytest.raises(SessionError) as caught:
        await governor.create(CALL, time.deadline(12), service.make)
    assert "2 sessions of this client are alive; Limits(sessions=2)" in str(caught.value)
    assert [looked_at for looked_at, _ in time.looks] == ["s-1", "s-2"]
    assert time.looks[1][1] - time.looks[0][1] == pytest.approx(LOOK_EVERY, abs=0.1)
    time.gone.add("s-2")
    await governor.create(CALL, time.deadline(60), service.make)
    assert [looked_at for looked_at, _ in time.looks][2:] == ["s-1", "s-2"]
    governor.gone("s-1")
    governor.gone("of somebody else")
    now = time.now
    await governor.create(CALL, time.deadline(60), service.make)
    assert time.now == now
    assert governor.stats().sessions == 2


async def test_those_who_wait_are_served_in_order() -> None:
    governor = AsyncCreateLimiter(Limits(sessions=1), Time().is_gone)
    served: list[int] = []
    opened = ThreadSafeEvent()

    def work(number: int) -> Callable[[], Awaitable[Created]]:
        async def make() -> Created:
            served.append(number)
            return data(f"s-{number}"), "R-1"

        return make

    async def create(number: int) -> None:
        await governor.create(CALL, Deadline(30), work(number))
        governor.gone(f"s-{number}")

    async def hold() -> Created:
        await opened.wait(30)
        return data("s-0"), "R-1"

    async with TaskGroup() as crew:
        crew.start(governor.create, CALL, Deadline(30), hold)
        while not governor.stats().under_way:
            await sleep(0)
        for number in range(1, 40):
            crew.start(create, number)
            while governor.stats().waiting < number:
                await sleep(0)
        told = governor.stats()
        assert told.held_up_by == "0 sessions of this client are alive, and 1 are being created; Limits(sessions=1)"
        opened.set()
        while not governor.stats().sessions:
            await sleep(0)
        governor.gone("s-0")
    assert served == list(range(1, 40))
    assert governor.stats().done == 40


async def test_those_who_give_up_leave_nothing_behind() -> None:
    governor = AsyncCreateLimiter(Limits(sessions=1), Time().is_gone)

    async def make() -> Created:
        return data("s-1"), "R-1"

    await governor.create(CALL, Deadline(30), make)
    async with TaskGroup() as crew:
        for number in range(1, 21):
            crew.start(governor.create, CALL, Deadline(30), make)
            while governor.stats().waiting < number:
                await sleep(0)
        crew.cancel()
    told = governor.stats()
    assert (told.waiting, told.under_way, told.done) == (0, 0, 1)
    governor.gone("s-1")
    await governor.create(CALL, Deadline(30), make)


async def test_only_so_many_may_wait() -> None:
    time = Time()
    governor = time.governor(Limits(sessions=1, waiting=0))
    service = Service(time)
    await governor.create(CALL, time.deadline(60), service.make)
    with pytest.raises(SessionError, match=r"0 creations wait already, as many as Limits\(waiting=0\) allows"):
        await governor.create(CALL, time.deadline(60), service.make)


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
async def test_wrong_limits(wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(wrong))):
        Limits(**wrong)


# --- with a service ----------------------------------------------------------------------------------------------


async def test_service_that_refuses_every_third_creation() -> None:
    sessions = Sessions()
    asked = 0

    def every_third(talk: Conversation) -> None:
        nonlocal asked
        if talk.request.path == CREATE:
            asked += 1
            if asked % 3 == 0:
                refuse("Throttled", "slow down", 429, {"Retry-After": "0"})(talk)
                return
        sessions(talk)

    with scripted(every_third) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 10_000), limits=Limits(creates_per_second=500)) as agb:

            async def create() -> None:
                (await agb.create(IMAGE)).raise_for_error()

            async with TaskGroup() as crew:
                for _ in range(8):
                    crew.start(create)
            told = agb._governor.stats()
    assert sessions.made == 8
    assert asked == 8 + told.refused
    assert told.refused == asked // 3
    assert told.sessions == 8


async def test_service_that_is_overloaded_in_bursts() -> None:
    """A 503 of the service's own: nothing was made, so the creation comes back."""
    sessions = Sessions()
    asked = 0

    def in_bursts(talk: Conversation) -> None:
        nonlocal asked
        if talk.request.path == CREATE:
            asked += 1
            if asked % 10 in (3, 4, 5):
                refuse("Overloaded", "too much to do", 503, {"Retry-After": "0"})(talk)
                return
        sessions(talk)

    with scripted(in_bursts) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 10_000)) as agb:

            async def create() -> None:
                (await agb.create(IMAGE)).raise_for_error()

            async with TaskGroup() as crew:
                for _ in range(6):
                    crew.start(create)
            told = agb.stats()
    assert sessions.made == 6
    assert told.creations.refused == asked - 6 >= 3
    assert told.held_up_by == ""


async def test_service_that_is_away_and_comes_back() -> None:
    """A creation that nobody took is told after a few tries, and may be tried again; a pool goes on by itself."""
    sessions = Sessions()
    with scripted(sessions) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 10_000)) as agb, agb.pool(IMAGE) as pool:
            there = agb.client.endpoint
            agb.client.endpoint = Endpoint.parse("http://127.0.0.1:9")
            result = await agb.create(IMAGE)
            assert result.error is not None
            assert (result.error.kind, result.error.sent) == (ErrorKind.UNREACHABLE, Sent.NO)
            assert result.error.retryable
            assert result.error.extra["attempts"] == 3
            with pytest.raises(SessionError, match="no connection to"):
                await pool.acquire()
            agb.client.endpoint = there
            async with pool.session() as session:
                assert session.session_id == "s-1"
    assert sessions.made == 1
    assert not sessions.alive


async def test_limit_of_sessions_is_kept_at_the_service(runtime: LocalServer) -> None:
    params = CreateSessionParams({"governor": "limit"}, "agb-code-space-1")
    limits = Limits(sessions=1)
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000), limits=limits) as agb:

        async def use() -> None:
            async with agb.session(params):
                assert (await agb.list({"governor": "limit"})).total_count == 1

        async with TaskGroup() as crew:
            for _ in range(3):
                crew.start(use)
        told = agb._governor.stats()
        assert (told.done, told.sessions) == (3, 0)


async def test_deletion_of_what_is_gone_makes_room() -> None:
    sessions = Sessions()
    with scripted(sessions) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 5_000), limits=Limits(sessions=1)) as agb:
            session = (await agb.create(IMAGE)).raise_for_error().session
            assert session is not None
            sessions.instead[RELEASE] = refuse("InvalidMcpSession.NotFound", "no such session")
            assert not (await session.delete()).success
            assert (await agb.create(IMAGE)).success
