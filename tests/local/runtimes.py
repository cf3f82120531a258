"""Runtimes for tests: the start of every test of the runtime."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from agb.local.api.app import build_app
from agb.local.kernels.base import Execution
from agb.local.kernels.interpreters import Interpreter
from agb.local.limits import Limits
from agb.local.sessions.runtime import Runtime
from agb.local.sessions.session import LocalSession
from agb.local.sessions.tools import ToolReply

IMAGE = "agb-code-space-1"


def _why_bubblewrap_fails() -> str:
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed"
    command = [program, "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"bubblewrap does not work here: {done.stderr.strip()}"


LACKING = _why_bubblewrap_fails()
needs_bubblewrap = pytest.mark.skipif(bool(LACKING), reason=LACKING or "never")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


class Clock:
    """A clock that advances when a test sets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def local_runtime() -> AsyncIterator[Runtime]:
    """A runtime with isolation if the machine has it; the network is tested with the sandbox."""
    async with Runtime(allow_none=True, network="isolated") as runtime:
        yield runtime


@pytest_asyncio.fixture
async def box(local_runtime: Runtime) -> LocalSession:
    """A session of that runtime."""
    return await local_runtime.create(IMAGE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_runtime() -> AsyncIterator[Runtime]:
    """A runtime for the tests of a module that run in the event loop of the module."""
    async with Runtime(allow_none=True, network="isolated") as runtime:
        yield runtime


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_box(shared_runtime: Runtime) -> LocalSession:
    """A session for those that leave nothing behind by which another one could notice them."""
    return await shared_runtime.create(IMAGE)


@asynccontextmanager
async def application(
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[tuple[Runtime, httpx.AsyncClient]]:
    """A runtime in this process, and a client of its API without a socket."""
    async with Runtime(allow_none=True, clock=clock) as runtime:
        transport = httpx.ASGITransport(build_app(runtime, "key"), raise_app_exceptions=False)
        headers = {"authorization": "Bearer key"}
        async with httpx.AsyncClient(transport=transport, base_url="http://agb.test", headers=headers) as caller:
            yield runtime, caller


async def call(runtime: Runtime, session: LocalSession, name: str, **args: Any) -> ToolReply:
    return await runtime.call_tool(session.id, name, args, route="api")


async def shell(runtime: Runtime, session: LocalSession, command: str, **args: Any) -> dict[str, Any]:
    """Run a command and return its result, whatever its exit code."""
    reply = await call(runtime, session, "shell", command=command, **{"timeout_ms": 120_000, **args})
    result = json.loads(reply.text)
    assert reply.is_error == (result["exit_code"] != 0)
    assert isinstance(result, dict)
    return result


async def output(runtime: Runtime, session: LocalSession, command: str, **args: Any) -> str:
    """Return the standard output of a command that succeeds."""
    result = await shell(runtime, session, command, **args)
    assert result["exit_code"] == 0, result
    return str(result["stdout"]).strip()


async def run(
    runtime: Runtime, session: LocalSession, code: str, language: str = "python", **args: Any
) -> dict[str, Any]:
    """Return the result of a piece of code."""
    reply = await call(runtime, session, "run_code", code=code, language=language, **args)
    assert not reply.is_error, reply.text
    result = json.loads(reply.text)
    assert isinstance(result, dict)
    return result


async def stopped(execute: Callable[..., Awaitable[dict[str, Any]]], code: str) -> dict[str, Any]:
    """Return the result of code that writes something and never ends: that of the first limit it could begin within.

    Callers give whole seconds; the first limit here is shorter, as most code begins at once.
    """
    run_for = Interpreter.run
    for seconds in (0.2, 1, 4, 16, 64):

        async def run(self: Interpreter, code: str, execution: Execution, *, timeout: float) -> None:
            await run_for(self, code, execution, timeout=seconds)  # noqa: B023  it is called in this round only

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Interpreter, "run", run)
            result = await execute(code)
        if result["stdout"]:
            return result
    pytest.fail(f"the code was never begun in time: {result}")


def sandboxed(**limits: Any) -> Runtime:
    """Return a runtime with isolation."""
    return Runtime(isolation="bubblewrap", limits=Limits(**limits))


def wait_for_end(pid: int, seconds: float = 120.0) -> bool:
    """Return whether a process, of any parent, ended within the time; waits for the event."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)
