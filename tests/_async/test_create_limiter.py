"""The create limiter: order, limits, refusals, giving up and its reports; with a clock that the test advances."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agb import AsyncAGB, Config, CreateSessionParams, ErrorKind, Limits, Sent, SessionError
from agb._async._compat.concurrency import TaskGroup
from agb._async._compat.loop import sleep
from agb._async._compat.primitives import ThreadSafeEvent
from agb._async.lifecycle.create_limiter import POLL_EVERY, AsyncCreateLimiter
from agb._ops.sessions import create_session
from agb._wire.deadline import Deadline
from agb.config import Endpoint
from agb.local import LocalServer
from tests.servers import CREATE, RELEASE, Conversation, Sessions, refuse, scripted

pytestmark = pytest.mark.anyio

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

    async def wait(self, event: ThreadSafeEvent, seconds: float) -> None:
        await event.wait(0)
        self.now += seconds

    async def is_gone(self, session_id: str, deadline: Deadline) -> bool:
        assert deadline.left() > 0
        self.polls.append((session_id, self.now))
        await sleep(0)
        return session_id in self.gone

    def limiter(self, limits: Limits) -> AsyncCreateLimiter:
        return AsyncCreateLimiter(limits, self.is_gone, self, self.wait)

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self)


async def create(limiter: AsyncCreateLimiter, deadline: Deadline, attempt: Callable[[], Awaitable[str]]) -> None:
    """Enter a slot until an attempt succeeds or its error is final, as a creation does."""
    slot = limiter.slot(CALL, deadline)
    while True:
        async with slot:
            try:
                session_id = await attempt()
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

    async def make(self) -> str:
        self.begun.append(self.time.now)
        await sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        return f"s-{len(self.begun)}"


def slow_down(retry_after: float | None = None, **more: Any) -> SessionError:
    return SessionError("slow down", kind=ErrorKind.RATE_LIMITED, retry_after=retry_after, **more)


async def test_creations_begin_at_their_rate() -> None:
    time = Time()
    service = Service(time)
    limiter = time.limiter(Limits(creates_per_second=2, create_burst=3))
    for _ in range(6):
        await create(limiter, time.deadline(60), service.make)
    assert [begun - 100 for begun in service.begun] == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5], abs=0.01)
    stats = limiter.stats()
    assert (stats.done, stats.failed, stats.under_way, stats.waiting, stats.sessions) == (6, 0, 0, 0, 6)
    assert (stats.rate, stats.held_up_by) == (2, "")


async def test_creation_that_cannot_begin_in_time_fails_at_once() -> None:
    time = Time()
    limiter = time.limiter(Limits(creates_per_second=0.5))
    service = Service(time)
    await create(limiter, time.deadline(60), service.make)
    with pytest.raises(SessionError) as caught:
        await create(limiter, time.deadline(1.5), service.make)
    assert time.now == 100.0
    assert caught.value.kind is ErrorKind.TIMED_OUT
    assert "it could not begin within 1.5 s: Limits(creates_per_second=0.5)" in str(caught.value)
    assert caught.value.extra["busy"]
    assert limiter.stats().waiting == 0


async def test_refusal_pauses_all_creations_and_is_retried() -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down(7.0)]
    await create(limiter, time.deadline(60), service.make)
    await create(limiter, time.deadline(60), service.make)
    assert service.begun[:2] == pytest.approx([100, 107], abs=0.01)
    assert service.begun[2] > 107
    stats = limiter.stats()
    assert (stats.refused, stats.failed, stats.done) == (1, 0, 2)
    assert stats.rate is not None


async def test_pause_beyond_the_deadline_fails_at_once() -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down(30.0)]
    with pytest.raises(SessionError, match="slow down") as caught:
        await create(limiter, time.deadline(10), service.make)
    assert caught.value.extra["attempts"] == 1
    with pytest.raises(SessionError, match="no creation begins for 30 s") as caught:
        await create(limiter, time.deadline(10), service.make)
    assert caught.value.kind is ErrorKind.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(30)
    assert len(service.begun) == 1
    stats = limiter.stats()
    assert stats.paused_for == pytest.approx(30)
    assert stats.failed == 1


async def test_refusals_are_retried_until_the_deadline() -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down() for _ in range(1000)]
    with pytest.raises(SessionError, match="slow down") as caught:
        await create(limiter, time.deadline(60), service.make)
    assert 5 < caught.value.extra["attempts"] < 20
    assert 130 < time.now <= 160


@pytest.mark.parametrize("retry_after", [None, 0.0])
async def test_creation_has_a_dozen_attempts_at_most(retry_after: float | None) -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down(retry_after) for _ in range(1000)]
    with pytest.raises(SessionError, match="slow down"):
        await create(limiter, time.deadline(3600), service.make)
    assert len(service.begun) == 12


async def test_exhausted_quota_is_retried_three_times() -> None:
    time = Time()
    limiter = time.limiter(Limits())
    service = Service(time)
    service.refusals = [slow_down(code="QuotaExceeded") for _ in range(10)]
    with pytest.raises(SessionError, match="slow down"):
        await create(limiter, time.deadline(60), service.make)
    assert len(service.begun) == 3


async def test_live_sessions_are_limited_and_ended_ones_are_noticed() -> None:
    time = Time()
    limiter = time.limiter(Limits(sessions=2))
    service = Service(time)
    for _ in range(2):
        await create(limiter, time.deadline(60), service.make)
    with pytest.raises(SessionError) as caught:
        await create(limiter, time.deadline(12), service.make)
    assert "2 sessions of this client are alive; Limits(sessions=2)" in str(caught.value)
    assert [polled for polled, _ in time.polls] == ["s-1", "s-2"]
    assert time.polls[1][1] - time.polls[0][1] == pytest.approx(POLL_EVERY, abs=0.1)
    time.gone.add("s-2")
    await create(limiter, time.deadline(60), service.make)
    assert [polled for polled, _ in time.polls][2:] == ["s-1", "s-2"]
    limiter.gone("s-1")
    limiter.gone("of another client")
    now = time.now
    await create(limiter, time.deadline(60), service.make)
    assert time.now == now
    assert limiter.stats().sessions == 2


async def test_creations_begin_in_the_order_of_their_requests() -> None:
    limiter = AsyncCreateLimiter(Limits(sessions=1), Time().is_gone)
    served: list[int] = []
    may_end = ThreadSafeEvent()

    def work(number: int) -> Callable[[], Awaitable[str]]:
        async def make() -> str:
            served.append(number)
            return f"s-{number}"

        return make

    async def create_numbered(number: int) -> None:
        await create(limiter, Deadline(30), work(number))
        limiter.gone(f"s-{number}")

    async def hold() -> str:
        await may_end.wait(30)
        return "s-0"

    async with TaskGroup() as group:
        group.start(create, limiter, Deadline(30), hold)
        while not limiter.stats().under_way:
            await sleep(0)
        for number in range(1, 40):
            group.start(create_numbered, number)
            while limiter.stats().waiting < number:
                await sleep(0)
        stats = limiter.stats()
        assert stats.held_up_by == "0 sessions of this client are alive, and 1 are being created; Limits(sessions=1)"
        may_end.set()
        while not limiter.stats().sessions:
            await sleep(0)
        limiter.gone("s-0")
    assert served == list(range(1, 40))
    assert limiter.stats().done == 40


async def test_cancelled_creations_leave_the_queue() -> None:
    limiter = AsyncCreateLimiter(Limits(sessions=1), Time().is_gone)

    async def make() -> str:
        return "s-1"

    await create(limiter, Deadline(30), make)
    async with TaskGroup() as group:
        for number in range(1, 21):
            group.start(create, limiter, Deadline(30), make)
            while limiter.stats().waiting < number:
                await sleep(0)
        group.cancel()
    stats = limiter.stats()
    assert (stats.waiting, stats.under_way, stats.done) == (0, 0, 1)
    limiter.gone("s-1")
    await create(limiter, Deadline(30), make)


async def test_number_of_waiting_creations_is_limited() -> None:
    time = Time()
    limiter = time.limiter(Limits(sessions=1, waiting=0))
    service = Service(time)
    await create(limiter, time.deadline(60), service.make)
    with pytest.raises(SessionError, match=r"0 creations wait already, as many as Limits\(waiting=0\) allows"):
        await create(limiter, time.deadline(60), service.make)


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
        async with AsyncAGB("ako-key", Config(server.endpoint, 10_000), limits=Limits(creates_per_second=500)) as agb:

            async def create() -> None:
                (await agb.create(IMAGE)).raise_for_error()

            async with TaskGroup() as group:
                for _ in range(8):
                    group.start(create)
            stats = agb._limiter.stats()
    assert sessions.made == 8
    assert requests == 8 + stats.refused
    assert stats.refused == requests // 3
    assert stats.sessions == 8


async def test_service_that_is_overloaded_in_bursts() -> None:
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
        async with AsyncAGB("ako-key", Config(server.endpoint, 10_000)) as agb:

            async def create() -> None:
                (await agb.create(IMAGE)).raise_for_error()

            async with TaskGroup() as group:
                for _ in range(6):
                    group.start(create)
            stats = agb.stats()
    assert sessions.made == 6
    assert stats.creations.refused == requests - 6 >= 3
    assert stats.held_up_by == ""


async def test_service_that_is_unreachable_for_a_while() -> None:
    """A creation that cannot be sent fails after a few attempts and is retryable; a pool goes on by itself."""
    sessions = Sessions()
    with scripted(sessions) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 10_000)) as agb, agb.pool(IMAGE) as pool:
            endpoint = agb.client.endpoint
            agb.client.endpoint = Endpoint.parse("http://127.0.0.1:9")
            result = await agb.create(IMAGE)
            assert result.error is not None
            assert (result.error.kind, result.error.sent) == (ErrorKind.UNREACHABLE, Sent.NO)
            assert result.error.retryable
            assert result.error.extra["attempts"] == 3
            with pytest.raises(SessionError, match="no connection to"):
                await pool.acquire()
            agb.client.endpoint = endpoint
            async with pool.session() as session:
                assert session.session_id == "s-1"
    assert sessions.made == 1
    assert not sessions.alive


async def test_limit_of_sessions_is_kept_at_the_service(runtime: LocalServer) -> None:
    params = CreateSessionParams({"limiter": "limit"}, "agb-code-space-1")
    limits = Limits(sessions=1)
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000), limits=limits) as agb:

        async def use() -> None:
            async with agb.session(params):
                assert (await agb.list({"limiter": "limit"})).total_count == 1

        async with TaskGroup() as group:
            for _ in range(3):
                group.start(use)
        stats = agb._limiter.stats()
        assert (stats.done, stats.sessions) == (3, 0)


async def test_deletion_of_a_session_that_is_gone_frees_its_place() -> None:
    sessions = Sessions()
    with scripted(sessions) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 5_000), limits=Limits(sessions=1)) as agb:
            session = (await agb.create(IMAGE)).raise_for_error().session
            assert session is not None
            sessions.instead[RELEASE] = refuse("InvalidMcpSession.NotFound", "no such session")
            assert not (await session.delete()).success
            assert (await agb.create(IMAGE)).success
