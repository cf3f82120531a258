# Generated from tests/_async/test_pool.py by tools/unasync.py. Do not edit.
"""The pool: its cap and the line before it, what it keeps, what it tells, connections that turn out to be dead."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from agb import AGB, AGBError, Config, CreateSessionParams, ErrorKind, Limits, McpTool, PoolStats, Sent
from agb._sync._compat.concurrency import TaskGroup
from agb._sync._compat.loop import sleep
from agb._sync.net import pool as pool_module
from agb._sync.net.connection import Connection
from tests.bucket import CONTEXT, bucket
from tests.pools import pool_of
from tests.servers import Conversation, Gate, Scripted, Sessions, answer, cut, envelope, scripted, value

SECONDS = 60
LINK = value({"url": "http://127.0.0.1/link"})
CREATED = value({"sessionId": "s-1", "success": True})
IMAGE = CreateSessionParams(image_id="agb-code-space-1")


def client(server: Scripted, timeout_ms: int = 10_000, **limits: int) -> AGB:
    return AGB("ako-key", Config(server.endpoint, timeout_ms), limits=Limits(**limits))


def stats_of(agb: AGB) -> PoolStats:
    stats: PoolStats = pool_of(agb).stats()
    return stats


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        sleep(0)


def until_there_are(count: int, agb: AGB) -> None:
    """Wait until so many calls are under way or in line."""
    until(lambda: stats_of(agb).in_use + stats_of(agb).waiting == count)


def link(agb: AGB, number: int = 0, outcomes: list[Any] | None = None, **more: Any) -> None:
    """Call, and note what came of it."""
    try:
        result: Any = agb.attach(f"s-{number}").get_link(**more)
    except AGBError as error:
        if outcomes is None:
            raise
        result = error
    if outcomes is not None:
        outcomes.append(result)


def asked(server: Scripted) -> list[str]:
    """Return the sessions whose links were asked for, in the order of the server."""
    return [parse_qs(request.target.partition("?")[2])["sessionId"][0] for request in server.requests]


# --- the cap and the line ----------------------------------------------------------------------------------------


def test_no_more_connections_than_allowed() -> None:
    with scripted(LINK) as server:
        with client(server, connections=3) as agb:
            with TaskGroup() as crew:
                for number in range(30):
                    crew.start(link, agb, number)
            stats = stats_of(agb)
            assert (stats.in_use, stats.waiting, stats.idle) == (0, 0, stats.open)
            assert 1 <= stats.open <= stats.opened == server.connections <= 3
    assert len(server.requests) == 30


def test_first_come_first_served() -> None:
    gate = Gate()
    with scripted(gate.before(LINK)) as server:
        with client(server, connections=1) as agb, TaskGroup() as crew:
            for number in range(20):
                crew.start(link, agb, number)
                until_there_are(number + 1, agb)
            assert stats_of(agb).waiting == 19
            assert "1 of 1 open, 1 in use, 19 waiting, 0 idle" in repr(pool_of(agb))
            gate.open()
        assert asked(server) == [f"s-{number}" for number in range(20)]
        assert server.connections == 1


def test_who_gives_up_is_told_why_and_holds_up_nobody() -> None:
    gate = Gate()
    late: list[Any] = []
    with scripted(gate.before(LINK)) as server:
        with client(server, connections=1) as agb, TaskGroup() as crew:
            crew.start(link, agb, 0)
            until(gate.asked.is_set)
            crew.start(link, agb, 1)
            until(lambda: stats_of(agb).waiting == 1)
            link(agb, 2, late, timeout=0.1)
            assert stats_of(agb).waiting == 1
            assert stats_of(agb).longest_wait > 0
            gate.open()
        assert asked(server) == ["s-0", "s-1"]
    (error,) = late
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.TIMED_OUT, Sent.NO, True)
    told = f"no connection to {server.endpoint} within 0.1 s: waited for one of 1 connections, all of them in use"
    assert told in str(error)


def test_crew_that_is_cancelled_waits_no_longer() -> None:
    gate = Gate()
    outcomes: list[Any] = []
    with scripted(gate.before(LINK)) as server:
        with client(server, connections=1) as agb, TaskGroup() as first:
            first.start(link, agb, 0, outcomes)
            until(gate.asked.is_set)
            with TaskGroup() as crew:
                crew.start(link, agb, 1, outcomes)
                until(lambda: stats_of(agb).waiting == 1)
                crew.cancel()
            assert stats_of(agb).waiting == 0
            assert outcomes == []
            gate.open()
        assert asked(server) == ["s-0"]


def test_creation_that_got_no_connection_may_be_repeated() -> None:
    sessions = Sessions()
    gate = sessions.gate("/internet/getLink")
    result: Any = None
    with scripted(sessions) as server:
        with client(server, connections=1) as agb, TaskGroup() as crew:
            crew.start(link, agb)
            until(gate.asked.is_set)
            result = agb.create(IMAGE, timeout=0.1)
            gate.open()
        assert result.error is not None
        assert (result.error.sent, result.error.retryable) == (Sent.NO, True)
        assert sessions.made == 0


def test_nobody_waits_beyond_the_limit() -> None:
    gate = Gate()
    refused: list[Any] = []
    with scripted(gate.before(LINK)) as server:
        with client(server, connections=1, waiting=2) as agb, TaskGroup() as crew:
            for number in range(3):
                crew.start(link, agb, number)
                until_there_are(number + 1, agb)
            started = time.monotonic()
            link(agb, 3, refused)
            assert time.monotonic() - started < 1  # nothing is tried again
            gate.open()
        assert asked(server) == ["s-0", "s-1", "s-2"]
    (error,) = refused
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.UNREACHABLE, Sent.NO, True)
    assert "2 requests wait already for one of 1 connections, as many as Limits(waiting=2) allows" in str(error)
    assert error.extra["attempts"] == 1


def test_failure_lets_the_next_one_in() -> None:
    gate = Gate()
    outcomes: list[Any] = []
    with scripted(gate.before(cut()), LINK) as server:
        with client(server, connections=1) as agb, TaskGroup() as crew:
            crew.start(command, agb, outcomes)
            until(gate.asked.is_set)
            crew.start(link, agb, 1, outcomes)
            until(lambda: stats_of(agb).waiting == 1)
            gate.open()
        assert [outcome.success for outcome in outcomes] in ([False, True], [True, False])
        assert (stats_of(agb).in_use, stats_of(agb).waiting) == (0, 0)
        assert server.connections == 2


def command(agb: AGB, outcomes: list[Any]) -> None:
    """Make a call that is not repeated."""
    outcomes.append(agb.attach("s-1").command.execute("true"))


TOOL = value({"result": {"content": [{"type": "text", "text": '{"stdout": "", "exit_code": 0}'}]}})


def test_idle_connection_of_another_origin_makes_room() -> None:
    with scripted(LINK) as one, scripted(TOOL) as other:
        with client(one, connections=2) as agb:
            session = agb.attach("s-1")
            session.link_url, session.token = other.endpoint, "token"
            session.tool_list = [McpTool("shell", server="coding")]
            for _ in range(3):
                with TaskGroup() as crew:
                    crew.start(link, agb)
                    crew.start(link, agb)
                assert session.command.execute("true").success
                assert stats_of(agb).open <= 2
        assert len(other.requests) == 3
        assert other.connections <= 3


def test_transfers_leave_connections_for_calls(tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(b"content")
    gate = Gate()
    with bucket() as store:
        store.instead += [gate.before(answer(b"", 200, {"ETag": "e"}))] * 4
        with client(store.server, connections=4) as agb, TaskGroup() as crew:
            for number in range(4):
                crew.start(agb.context.upload, CONTEXT, local, f"/tmp/file-{number}")
            until(lambda: (stats_of(agb).in_use, stats_of(agb).waiting) == (3, 1))
            assert agb.context.get_file_upload_url(CONTEXT, "/tmp/other").success
            assert stats_of(agb).waiting == 1
            gate.open()
        assert (stats_of(agb).in_use, stats_of(agb).waiting) == (0, 0)
        assert len(store.transfers) == 4


def test_transfer_that_finds_no_connection_says_which(tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(b"content")
    gate = Gate()
    late: Any = None
    with bucket() as store:
        store.instead += [gate.before(answer(b"", 200))]
        with client(store.server, connections=2) as agb, TaskGroup() as crew:
            crew.start(agb.context.upload, CONTEXT, local, "/tmp/first")
            until(gate.asked.is_set)
            late = agb.context.upload(CONTEXT, local, "/tmp/second", timeout=1)
            gate.open()
    assert "waited for one of 1 connections that transfers may take" in late.error_message


def test_second_burst_opens_nothing() -> None:
    with scripted(LINK) as server:
        with client(server) as agb:
            gate = Gate()
            server.script[:] = [gate.before(LINK)]
            with TaskGroup() as crew:
                for number in range(20):
                    crew.start(link, agb, number)
                until(lambda: len(server.requests) == 20)
                gate.open()
            assert stats_of(agb).opened == 20
            with TaskGroup() as crew:
                for number in range(20):
                    crew.start(link, agb, number)
            assert stats_of(agb).opened == 20
    assert server.connections == 20


def test_waiting_callers_are_served_after_the_client_was_closed() -> None:
    gate = Gate()
    outcomes: list[Any] = []
    with scripted(gate.before(LINK)) as server:
        agb = client(server, connections=1)
        pool = pool_of(agb)
        with TaskGroup() as crew:
            for number in range(3):
                crew.start(link, agb, number, outcomes)
            until(lambda: pool.stats().waiting == 2)
            agb.close()
            gate.open()
        assert [outcome.success for outcome in outcomes] == [True] * 3
        assert pool.stats().open == 0
        assert "closed" in repr(pool)
        agb.close()


# --- connections that turn out to be dead ------------------------------------------------------------------------


def test_dead_connection_is_replaced_at_once_and_counts_as_no_try() -> None:
    def pause(seconds: float) -> None:
        pytest.fail(f"waited {seconds} s")

    with scripted(LINK, cut(), LINK) as server:
        with client(server) as agb:
            agb.client._sleep = pause
            link(agb)
            link(agb)
    assert len(server.requests) == 3
    assert server.connections == 2


def test_dead_connection_is_replaced_once() -> None:
    failed: list[Any] = []
    with scripted(LINK, cut()) as server:
        with client(server) as agb:
            link(agb)
            link(agb, 0, failed)
    assert failed[0].extra["attempts"] == 3
    assert len(server.requests) == 1 + 1 + 3  # the good one, the one in vain, three tries on new connections


def test_answer_that_breaks_off_is_no_dead_connection() -> None:
    half = cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)

    with scripted(LINK, half, LINK) as server:
        with client(server) as agb:
            agb.client._sleep = pause
            link(agb)
            link(agb)
    assert len(pauses) == 1


def test_command_that_a_dead_connection_may_have_passed_on_is_not_repeated() -> None:
    with scripted(LINK, cut()) as server:
        with client(server) as agb:
            link(agb)
            result = agb.attach("s-1").command.execute("rm -r build")
    assert len(server.requests) == 2
    assert result.error is not None
    assert (result.error.sent, result.error.retryable) == (Sent.MAYBE, False)


def test_creation_that_was_not_written_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that the other side closes between the look at it and the request."""
    gate = Gate()

    def answer_and_close(talk: Conversation) -> None:
        LINK(talk)
        gate.hold(talk)
        talk.keep = False

    with scripted(answer_and_close, CREATED) as server:
        with client(server) as agb:
            link(agb)
            gate.open()
            (idle,) = pool_of(agb)._slots._idle.values()
            until(lambda: idle[0].stream.get_extra_info("is_readable"))
            until(lambda: not _takes_bytes(idle[0]))
            monkeypatch.setattr(Connection, "is_good", lambda self: self._is_idle)
            result = agb.create(IMAGE)
    assert result.success
    assert [request.path for request in server.requests].count("/mcp/createSession") == 1


def _takes_bytes(connection: Connection) -> bool:
    """Write a byte past the client, so that the other side says that it has closed."""
    sock = connection.stream.get_extra_info("socket")
    if sock is None:  # asyncio's, which notices by itself
        return not connection.stream._protocol.is_over  # type: ignore[attr-defined]
    try:
        os.write(sock.fileno(), b" ")
    except OSError:
        return False
    return True


def test_dead_connections_to_many_hosts_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_STALE_AT_A_TIME", 2)
    with scripted(LINK) as server:
        with client(server) as agb:
            for _ in range(6):
                with scripted(TOOL) as host:
                    session = agb.attach("s-1")
                    session.link_url, session.token = host.endpoint, "token"
                    session.tool_list = [McpTool("shell", server="coding")]
                    assert session.command.execute("true").success
            assert stats_of(agb).open <= 2


# --- the system's own limit --------------------------------------------------------------------------------------


@contextmanager
def no_files_left() -> Iterator[None]:
    """Let this process have no more files for the time of a block."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(path.name) for path in Path("/dev/fd").iterdir())
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most + 8, hard))
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE  # noqa: PT017 - it is how the loop ends
        yield
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_files_left() -> None:
    failed: list[Any] = []
    with scripted(LINK) as server:
        with client(server) as agb:
            agb.client._random = lambda: 0.0
            link(agb)
            with no_files_left():
                link(agb, 1, failed)  # on the connection that is there
                gate = Gate()
                server.script[:] = [gate.before(LINK)]
                with TaskGroup() as crew:
                    crew.start(link, agb, 2)
                    until(gate.asked.is_set)
                    link(agb, 3, failed)
                    gate.open()
            link(agb, 4)
            assert stats_of(agb).in_use == 0
    assert failed[0].success
    error = failed[1]
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.UNREACHABLE, Sent.NO, True)
    assert "this process may open no more files; 2 are connections of this client" in str(error)
    assert "Limits(connections=...)" in str(error)


# --- what is told ------------------------------------------------------------------------------------------------


def test_stats_while_calls_are_under_way() -> None:
    gate = Gate()

    def act(talk: Conversation) -> None:
        if "s-0" in talk.request.target:
            gate.hold(talk)
        answer(envelope({"url": "http://127.0.0.1/link"}))(talk)

    with scripted(act) as server:
        with client(server, connections=5) as agb, TaskGroup() as crew:
            assert stats_of(agb) == PoolStats(0, 0, 0, 0, 0, 0.0)
            crew.start(link, agb, 0)
            until(gate.asked.is_set)
            link(agb, 1)
            told = stats_of(agb)
            assert (told.open, told.idle, told.in_use, told.waiting, told.opened) == (2, 1, 1, 0, 2)
            gate.open()
