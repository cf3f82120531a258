"""One client in many places: event loops one after the other and side by side, threads, forks, many callers."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import trio

from agb import AGB, AGBError, AsyncAGB, AsyncSession, Config, CreateSessionParams, McpTool, Sent, SessionError
from agb.events import Stdout
from tests.pools import pool_of
from tests.servers import CREATE, LINK, Scripted, Sessions, scripted, silent, then_close, value
from tests.websocket_server import websocket_service

SECONDS = 60
URL = value({"url": "http://127.0.0.1/link"})


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted(URL) as server:
        yield server
    gc.collect()  # so that what was not closed shows in the test that did not close it


def client(server: Scripted) -> AsyncAGB:
    return AsyncAGB("ako-key", Config(server.endpoint, 10_000))


async def use(agb: AsyncAGB, times: int = 1) -> None:
    for _ in range(times):
        assert (await agb.attach("s-1").get_link()).data == "http://127.0.0.1/link"


async def use_and_close(agb: AsyncAGB) -> None:
    async with agb:
        await use(agb, 2)


def open_sockets() -> int:
    """How many sockets the process holds, its listening ones included."""
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            names.append(str(entry.readlink()))
    return sum(name.startswith("socket:") for name in names)


counts_sockets = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc to count sockets in")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


# --- one after the other -----------------------------------------------------------------------------------------


def test_loops_of_both_kinds_one_after_the_other(server: Scripted) -> None:
    """The connections of each loop are closed at its end, without a word of the program."""
    agb = client(server)
    for run in (asyncio.run, trio.run, asyncio.run, trio.run):
        if run is asyncio.run:
            asyncio.run(use(agb, 2))
        else:
            trio.run(use, agb, 2)
        assert server.wait_for_open(0)
    assert server.connections == 4
    asyncio.run(agb.aclose())


@counts_sockets
def test_connections_closed_with_each_loop(server: Scripted) -> None:
    agb = client(server)
    asyncio.run(use(agb, 2))
    before = open_sockets()
    for _ in range(5):
        asyncio.run(use(agb, 2))
        trio.run(use, agb, 2)
    assert server.wait_for_open(0)
    assert open_sockets() <= before + 1  # the server's last one


def test_client_made_outside_is_closed_inside(server: Scripted) -> None:
    agb = client(server)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(use(agb, 3))
        await agb.aclose()
        await agb.aclose()

    asyncio.run(main())


# --- another event loop for asyncio --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_uvloop(server: Scripted, host: str) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    agb = AsyncAGB("ako-key", Config(f"http://{host}:{server.port}", 10_000))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(use(agb, 20))

    for _ in range(2):
        uvloop.run(main())
        assert server.wait_for_open(0)
    assert server.connections <= 10


def test_create_cancelled_on_uvloop() -> None:
    """By its caller, and by the end of the loop; in either case the session is deleted."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    sessions = Sessions()
    gate = sessions.gate(CREATE)

    async def work() -> None:
        async with client(service) as agb:
            await agb.create(CreateSessionParams(image_id="agb-code-space-1"))

    async def main(cancel: bool) -> None:
        task = asyncio.create_task(work())
        assert await asyncio.to_thread(gate.asked.wait, SECONDS)
        asyncio.get_running_loop().call_later(0.02, gate.open)
        if cancel:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with scripted(sessions) as service:
        for cancel in (True, False):
            gate.asked.clear()
            gate.opened.clear()
            uvloop.run(main(cancel))
            assert not sessions.alive
    assert sessions.made == 2
    gc.collect()


# --- side by side ------------------------------------------------------------------------------------------------


def test_loops_in_threads_share_no_connection(server: Scripted) -> None:
    agb = client(server)
    start = threading.Barrier(6)
    pools: list[Any] = []

    async def main() -> None:
        start.wait(SECONDS)
        await use(agb, 20)
        pools.append(pool_of(agb))

    runs: list[Callable[[], None]] = [lambda: asyncio.run(main()), lambda: trio.run(main)]
    with ThreadPoolExecutor(6) as threads:
        for future in [threads.submit(runs[n % 2]) for n in range(6)]:
            future.result()
    assert server.connections == 6
    assert len({id(pool) for pool in pools}) == 6


def test_one_synchronous_client_in_twenty_threads(server: Scripted) -> None:
    with AGB("ako-key", Config(server.endpoint, 10_000)) as agb, ThreadPoolExecutor(20) as threads:
        start = threading.Barrier(20)

        def work(number: int) -> None:
            start.wait(SECONDS)
            session = agb.attach(f"s-{number}")
            for _ in range(50):
                assert session.get_link().data == "http://127.0.0.1/link"

        for future in [threads.submit(work, number) for number in range(20)]:
            future.result()
    assert len(server.requests) == 1000
    assert server.connections <= 20
    gc.collect()


@pytest.mark.anyio
async def test_answers_go_to_those_who_asked() -> None:
    """Each of fifty callers, ten times, gets the answer to its own question, on at most fifty connections."""

    def echo(talk: Any) -> None:
        value({"url": f"http://answer/{talk.request.target.partition('=')[2]}"})(talk)

    with scripted(echo) as server:
        async with client(server) as agb:

            async def ask(number: int) -> None:
                session = agb.attach(f"s-{number}")
                for _ in range(10):
                    assert (await session.get_link()).data == f"http://answer/s-{number}"

            async with anyio.create_task_group() as group:
                for number in range(50):
                    group.start_soon(ask, number)
        assert len(server.requests) == 500
        assert server.connections <= 50
    gc.collect()


@pytest.mark.anyio
async def test_connections_are_shared_by_callers_one_after_the_other(server: Scripted) -> None:
    async with client(server) as agb:
        for _ in range(3):
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(use, agb)
    assert server.connections <= 10


def linked(agb: AsyncAGB, number: int, address: str) -> AsyncSession:
    """Return a session whose tools are called at an address of its own."""
    session = agb.attach(f"s-{number}")
    session.link_url, session.token = address, "token"
    session.tool_list = [McpTool("shell", server="coding")]
    return session


TOOL = value({"result": {"content": [{"type": "text", "text": json.dumps({"stdout": "", "exit_code": 0})}]}})


@pytest.mark.anyio
async def test_sessions_at_one_host_share_connections() -> None:
    """A session's address is a path at a host; a connection leads to the host."""
    with scripted(TOOL) as server:
        async with client(server) as agb:
            for number in range(5):
                session = linked(agb, number, f"{server.endpoint}/sessions/s-{number}")
                assert (await session.command.execute("true")).success
        assert [request.path for request in server.requests] == [f"/sessions/s-{n}/callTool" for n in range(5)]
        assert server.connections == 1
    gc.collect()


@pytest.mark.anyio
async def test_connections_to_hosts_that_are_gone_do_not_pile_up(server: Scripted) -> None:
    """Each session may live at a host of its own, and it is not asked again."""
    count = 12
    async with client(server) as agb:
        for number in range(count):
            with scripted(TOOL) as host:
                assert (await linked(agb, number, host.endpoint).command.execute("true")).success
            await use(agb)
        idle = pool_of(agb).stats().idle
        assert idle < count


# --- closing -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_connection_in_use_when_the_client_is_closed_is_closed_after_its_answer() -> None:
    sessions = Sessions()
    gate = sessions.gate(LINK)
    with scripted(sessions) as server:
        agb = client(server)
        pool = pool_of(agb)
        async with anyio.create_task_group() as group:
            group.start_soon(use, agb)
            assert await anyio.to_thread.run_sync(gate.asked.wait, SECONDS)
            await agb.aclose()
            gate.open()
        assert "0 idle" in repr(pool)
        del pool
        await agb.aclose()
    gc.collect()


def test_synchronous_client_closed_by_another_thread_during_a_call() -> None:
    sessions = Sessions()
    gate = sessions.gate(LINK)
    with scripted(sessions) as server, ThreadPoolExecutor(1) as threads:
        agb = AGB("ako-key", Config(server.endpoint, 10_000))
        call = threads.submit(agb.attach("s-1").get_link)
        assert gate.asked.wait(SECONDS)
        pool = pool_of(agb)
        agb.close()
        gate.open()
        assert call.result().success
        assert "0 idle" in repr(pool)
    gc.collect()


@pytest.mark.anyio
async def test_connections_are_closed_whatever_became_of_the_call() -> None:
    """A time-out, a connection cut, one that the server closed while it was idle."""
    with scripted(then_close(URL), URL, silent) as server:
        async with client(server) as agb:
            await use(agb, 2)
            assert (await agb.attach("s-1").info(timeout=0.1)).error is not None
    gc.collect()


async def refused(agb: AsyncAGB) -> None:
    """Check that every call is refused, and opens no connection."""
    session = agb.attach("s-1")
    session.ws_url, session.token = "ws://127.0.0.1:9/ws", "tok-secret"
    results: list[Any] = [
        await session.info(),
        await session.delete(),
        await session.command.execute("true"),
        await session.code.run("1", "python", stream_beta=True),
        await session.file.read("/tmp/a"),
        await agb.create(CreateSessionParams(image_id="agb-code-space-1")),
        await agb.list(),
        await agb.context.list(),
    ]
    for call in (session.get_link, session.get_labels, agb.iterate().__anext__):
        try:
            await call()
        except SessionError as error:
            results.append(error)
    for result in results:
        failure = getattr(result, "error", result)
        assert CLOSED in str(failure)
        assert (failure.sent, failure.retryable) == (Sent.NO, False)
    assert len(results) == 11


CLOSED = "this client was closed"


@pytest.mark.anyio
async def test_closed_client_refuses_every_call(server: Scripted) -> None:
    agb = client(server)
    await use(agb)
    await agb.aclose()
    await agb.aclose()
    await refused(agb)
    assert server.wait_for_open(0)
    assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.anyio
async def test_client_closed_before_its_first_call(server: Scripted) -> None:
    agb = client(server)
    await agb.aclose()
    await refused(agb)
    assert server.connections == 0


@pytest.mark.anyio
async def test_closed_client_does_not_use_the_client_of_the_caller(server: Scripted) -> None:
    async with httpx.AsyncClient() as mine:
        agb = AsyncAGB("ako-key", Config(server.endpoint, 10_000), http_client=mine)
        await use(agb)
        await agb.aclose()
        await refused(agb)
        assert not mine.is_closed
    assert len(server.requests) == 1


def test_synchronous_client_that_is_closed(server: Scripted) -> None:
    agb = AGB("ako-key", Config(server.endpoint, 10_000))
    assert agb.attach("s-1").get_link().success
    agb.close()
    agb.close()
    assert server.wait_for_open(0)
    assert CLOSED in agb.list().error_message
    assert CLOSED in agb.attach("s-1").command.execute("true").error_message
    with pytest.raises(SessionError, match=CLOSED):
        next(agb.iterate())
    assert len(server.requests) == 1


def test_closed_from_another_loop(server: Scripted) -> None:
    """While the loop of a connection runs, waits for something else, and after it has ended."""
    agb = client(server)

    async def main() -> None:
        await use(agb)
        assert server.wait_for_open(1)
        await asyncio.to_thread(trio.run, agb.aclose)
        assert await asyncio.to_thread(server.wait_for_open, 0)
        await refused(agb)

    asyncio.run(main())
    trio.run(agb.aclose)


def test_closed_from_another_loop_than_that_of_trio(server: Scripted) -> None:
    agb = client(server)

    async def main() -> None:
        await use(agb)
        await trio.to_thread.run_sync(asyncio.run, agb.aclose())
        assert await trio.to_thread.run_sync(server.wait_for_open, 0)
        await refused(agb)

    trio.run(main)


def test_live_output_of_another_loop_ends_with_the_client() -> None:
    """The stream fails with a sentence, and its connection is closed."""
    with websocket_service(lambda talk: talk.stdout("begun\n")) as service:
        agb = AsyncAGB("ako-key", Config("http://127.0.0.1:9", 10_000))

        async def main() -> None:
            session = agb.attach("s-1")
            session.ws_url, session.token = service.url, "tok-secret"
            async with session.code.stream("x", "python") as events:
                assert await anext(events) == Stdout("begun\n")
                await asyncio.to_thread(asyncio.run, agb.aclose())
                with pytest.raises(AGBError, match="closed by this program"):
                    await anext(events)

        asyncio.run(main())
        assert service.closed.wait(SECONDS)


SCRIPT = """
import asyncio, gc, sys, threading
from agb import AsyncAGB, Config

endpoint, way = sys.argv[1:]
agb = AsyncAGB("ako-key", Config(endpoint, 10_000), verify=False)

async def use():
    assert (await agb.attach("s-1").get_link()).success

def bare(end):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use())
    if end:
        loop.close()
    return loop

if way == "never closed":
    for _ in range(3):
        asyncio.run(use())
elif way == "closed later":
    for _ in range(3):
        asyncio.run(use())
    asyncio.run(agb.aclose())
    asyncio.run(agb.aclose())
elif way == "loop closed without its end":
    bare(True)
    asyncio.run(agb.aclose())
elif way == "loop at rest":
    loop = bare(False)
    asyncio.run(agb.aclose())
    print("closed", flush=True)
    input()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
elif way == "another thread":
    asyncio.run(use())
    thread = threading.Thread(target=lambda: asyncio.run(agb.aclose()))
    thread.start()
    thread.join()
elif way == "dropped":
    async def main():
        global agb
        await use()
        del agb
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    asyncio.run(main())
print("closed", flush=True)
input()
gc.collect()
"""


@pytest.mark.parametrize(
    ("way", "is_secure"),
    [
        ("never closed", False),
        ("never closed", True),
        ("closed later", False),
        ("loop closed without its end", False),
        ("loop closed without its end", True),
        ("loop at rest", False),
        ("another thread", False),
        ("dropped", True),
    ],
)
def test_no_connection_is_left(way: str, is_secure: bool) -> None:
    tls = None
    if is_secure:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(Path(__file__).parent / "localhost.pem")
    with scripted(URL, tls=tls) as server:
        endpoint = server.endpoint.replace("http", "https") if is_secure else server.endpoint
        program = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", "-c", SCRIPT, endpoint, way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert program.stdin is not None
        assert program.stdout is not None
        line = program.stdout.readline()
        closed = line == "closed\n" and server.wait_for_open(0)  # and the program still runs
        _, errors = program.communicate("\n\n")
    assert (line, errors, program.returncode) == ("closed\n", "", 0)
    assert closed
    assert server.connections > 0


# --- forks -------------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process and return its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # no caller above this one could report it
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_synchronous_client_after_a_fork(server: Scripted) -> None:
    with AGB("ako-key", Config(server.endpoint, 10_000)) as agb:
        session = agb.attach("s-1")

        def child() -> None:
            for _ in range(3):
                assert session.get_link().data == "http://127.0.0.1/link"

        assert session.get_link().success
        assert in_child(child) == 0
        assert in_child(lambda: child()) == 0
        assert session.get_link().success
    assert server.connections == 3  # the parent's one, and one of each child's own


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_asynchronous_client_after_a_fork(server: Scripted) -> None:
    agb = client(server)

    async def main() -> None:
        await use(agb)
        assert in_child(lambda: asyncio.run(use_and_close(agb))) == 0
        assert in_child(lambda: trio.run(use_and_close, agb)) == 0
        await use(agb)
        await agb.aclose()

    asyncio.run(main())
    assert server.connections == 3


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_client_used_before_and_after_a_fork_between_two_loops(server: Scripted) -> None:
    agb = client(server)
    asyncio.run(use(agb))
    assert in_child(lambda: asyncio.run(use_and_close(agb))) == 0
    asyncio.run(use(agb))
    assert server.connections == 3


# --- where there is no loop --------------------------------------------------------------------------------------


def test_without_a_loop_the_error_says_what_to_use(server: Scripted) -> None:
    coroutine = client(server).attach("s-1").get_link()
    with pytest.raises(RuntimeError, match=r"agb\.AGB|event loop|async"):
        coroutine.send(None)
    coroutine.close()
