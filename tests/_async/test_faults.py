"""Every method ends by its deadline, and sends few requests, whatever the service does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import ExitStack
from functools import partial
from typing import cast

import pytest

from agb import AGBError, AsyncAGB, AsyncSession, Config, Context, CreateSessionParams, Limits, McpTool
from agb._async._compat.concurrency import TaskGroup, gather
from agb._async._compat.loop import call
from tests.faults import FAULTS, Faulty
from tests.servers import CREATE, Request

pytestmark = pytest.mark.anyio

IMAGE = CreateSessionParams({"project": "demo"}, "agb-code-space-1")
SECONDS = 0.3
MOST_LATE = 1.0 + 3.7
"""Seconds that a method may take more: what is promised, and what a loaded machine needs."""
MOST_REQUESTS = 12
"""Requests of a method at most."""

Use = Callable[[AsyncAGB, AsyncSession], Awaitable[object]]


def linked(agb: AsyncAGB) -> AsyncSession:
    """Return a session whose tools are called at its own host, which has the fault as well."""
    session = agb.attach("s-2")
    session.link_url, session.token = f"{agb.client.endpoint}/sessions/s-2", "token"
    session.tool_list = [McpTool(name="shell", server="shell"), McpTool(name="run_code", server="code")]
    return session


async def enter(agb: AsyncAGB) -> None:
    async with agb.session(IMAGE, timeout=SECONDS):
        pytest.fail("the block was entered")


async def iterate(agb: AsyncAGB) -> None:
    async for _ in agb.iterate(timeout=SECONDS):
        pytest.fail("there was a session")


METHODS: dict[str, Use] = {
    "create": lambda agb, s: agb.create(IMAGE, timeout=SECONDS),
    "session": lambda agb, s: enter(agb),
    "iterate": lambda agb, s: iterate(agb),
    "get": lambda agb, s: agb.get("s-1", timeout=SECONDS),
    "get_session": lambda agb, s: agb.get_session("s-1", timeout=SECONDS),
    "list": lambda agb, s: agb.list(timeout=SECONDS),
    "list a late page": lambda agb, s: agb.list(page=9, timeout=SECONDS),
    "delete": lambda agb, s: s.delete(timeout=SECONDS),
    "delete with a sync": lambda agb, s: s.delete(True, timeout=SECONDS),
    "delete with a sync, or keep": lambda agb, s: s.delete(True, on_sync_failure="keep", timeout=SECONDS),
    "reap": lambda agb, s: agb.reap("pool:x", timeout=SECONDS),
    "set_labels": lambda agb, s: s.set_labels({"a": "b"}, timeout=SECONDS),
    "get_labels": lambda agb, s: s.get_labels(timeout=SECONDS),
    "info": lambda agb, s: s.info(timeout=SECONDS),
    "get_link": lambda agb, s: s.get_link(timeout=SECONDS),
    "get_status": lambda agb, s: s.get_status(timeout=SECONDS),
    "keep_alive": lambda agb, s: s.keep_alive(timeout=SECONDS),
    "call_mcp_tool": lambda agb, s: s.call_mcp_tool("shell", {}, timeout=SECONDS),
    "call_mcp_tool at the link": lambda agb, s: linked(agb).call_mcp_tool("shell", {}, timeout=SECONDS),
    "list_mcp_tools": lambda agb, s: s.list_mcp_tools("image", timeout=SECONDS),
    "get_metrics": lambda agb, s: s.get_metrics(timeout=SECONDS),
    "command.execute": lambda agb, s: s.command.execute("true", timeout=SECONDS),
    "code.run": lambda agb, s: s.code.run("1", "python", timeout=SECONDS),
    "code.run at the link": lambda agb, s: linked(agb).code.run("1", "python", timeout=SECONDS),
    "file.read": lambda agb, s: s.file.read("/tmp/a", timeout=SECONDS),
    "file.read bytes": lambda agb, s: s.file.read("/tmp/a", format="bytes", timeout=SECONDS),
    "file.read_batch": lambda agb, s: s.file.read_batch(["/tmp/a", "/tmp/b"], timeout=SECONDS),
    "file.write": lambda agb, s: s.file.write("/tmp/a", "x" * 200_000, timeout=SECONDS),
    "file.write bytes": lambda agb, s: s.file.write("/tmp/a", b"\0" * 200_000, timeout=SECONDS),
    "file.list": lambda agb, s: s.file.list("/tmp", timeout=SECONDS),
    "file.edit": lambda agb, s: s.file.edit("/tmp/a", [{"oldText": "a", "newText": "b"}], timeout=SECONDS),
    "session context.info": lambda agb, s: s.context.info(timeout=SECONDS),
    "session context.sync": lambda agb, s: s.context.sync(timeout=SECONDS),
    "context.list": lambda agb, s: agb.context.list(timeout=SECONDS),
    "context.get": lambda agb, s: agb.context.get("x", timeout=SECONDS),
    "context.create": lambda agb, s: agb.context.create("x", timeout=SECONDS),
    "context.update": lambda agb, s: agb.context.update(Context("SdkCtx-1", "x"), timeout=SECONDS),
    "context.delete": lambda agb, s: agb.context.delete(Context("SdkCtx-1", "x"), timeout=SECONDS),
    "context.clear": lambda agb, s: agb.context.clear("SdkCtx-1", timeout=SECONDS),
    "context.list_files": lambda agb, s: agb.context.list_files("SdkCtx-1", "/", timeout=SECONDS),
    "context.delete_file": lambda agb, s: agb.context.delete_file("SdkCtx-1", "/a", timeout=SECONDS),
}


async def problem(agb: AsyncAGB, name: str) -> str:
    """Call a method, and return what is wrong with how it ends."""
    begin = time.monotonic()
    try:
        result = await call(METHODS[name], agb, agb.attach("s-1"))
    except AGBError:
        result = None
    except Exception as error:
        return f"{name} raised {error!r}"
    seconds = time.monotonic() - begin
    if getattr(result, "success", False):
        return f"{name} was a success"
    return f"{name} ended after {seconds:.1f} s" if seconds > SECONDS + MOST_LATE else ""


async def problems(faulty: Faulty, names: Collection[str]) -> list[str]:
    """Call methods at the same time, by a client whose own time-out is a minute; return what is wrong."""
    async with AsyncAGB("ako-key", Config(faulty.endpoint, 60_000), limits=Limits(connections=100)) as agb:
        found = await gather([partial(problem, agb, name) for name in names])
    if len(faulty.received) > MOST_REQUESTS * len(names):
        found.append(f"{len(faulty.received)} requests")
    return [text for text in found if text]


@pytest.mark.one_event_loop
@pytest.mark.parametrize("fault", ["no answer", "closed after the request", "503 of the service", "one byte at a time"])
async def test_every_method_ends_by_its_deadline(fault: str) -> None:
    with FAULTS[fault]() as faulty:
        assert not await problems(faulty, METHODS)


async def test_every_fault_is_met_within_the_deadline() -> None:
    found: dict[str, list[str]] = {}

    async def meet(name: str, faulty: Faulty) -> None:
        found[name] = await problems(faulty, ["create", "list", "delete with a sync"])

    with ExitStack() as stack:
        async with TaskGroup() as group:
            for name, fault in FAULTS.items():
                group.start(meet, name, stack.enter_context(fault()))
    assert found == {name: [] for name in FAULTS}


@pytest.mark.parametrize("fault", ["503 of the service", "429"])
async def test_refused_creation_is_repeated_with_growing_pauses(fault: str) -> None:
    """Also where the service asks for no pause at all."""
    with FAULTS[fault]() as faulty:
        async with AsyncAGB("ako-key", Config(faulty.endpoint, 60_000)) as agb:
            result = await agb.create(IMAGE, timeout=1)
    assert not result.success
    # One whose answer is late is looked for as well, which are other requests.
    paths = [request.path for request in cast("list[Request]", faulty.received)]
    assert 1 <= paths.count(CREATE) <= 3


@pytest.mark.one_event_loop
async def test_error_names_the_deadline_of_the_caller() -> None:
    """Not the rest of it that the last of several calls had; the connection is made long before."""
    seconds = 2
    with FAULTS["no answer"]() as faulty:
        async with AsyncAGB("ako-key", Config(faulty.endpoint, 60_000)) as agb:
            created = await agb.create(IMAGE, timeout=seconds)
            synced = await agb.attach("s-1").delete(True, timeout=seconds)
    assert created.error_message.count(f"no complete answer from {faulty.endpoint} within {seconds} s") == 2
    assert f"`agb gc --create {created.error.extra['create']}`" in created.error_message if created.error else False
    assert f"within {seconds} s" in synced.error_message
